"""Server on grpcio's threads."""

import signal
import sys
import threading
import time
from concurrent import futures

import grpc

import channel
import wire
from tally import Tally

# More than any plan has at once: a call waiting for a thread would look like a slow server.
MAX_THREADS = 300
CODES = {code.value[0]: code for code in grpc.StatusCode}


class Call:
    """One call: its command, its pauses and its end in the tally."""

    def __init__(self, tally, method):
        self.tally, self.method, self.context = tally, method, None
        self.begun = time.monotonic()
        self.over = threading.Event()
        self.counted = threading.Lock()
        tally.started(method)

    def __del__(self):
        """A call that was given up before its turn came: grpcio never runs its handler."""
        self.count("CANCELLED")

    def accept(self, context):
        self.context = context
        if not context.add_callback(self.terminated):
            self.terminated()
        return self

    def terminated(self):
        """Runs when the call is over, however: one that was not answered yet has been given up by its client."""
        self.over.set()
        left = self.context.time_remaining()
        self.count("CANCELLED" if left is None or left > 0 else "DEADLINE_EXCEEDED")

    def count(self, status):
        if self.counted.acquire(blocking=False):
            self.tally.ended(self.method, status, time.monotonic() - self.begun)

    def receive(self, data):
        self.tally.message(self.method, "request", data)
        return data

    def send(self, data):
        self.tally.message(self.method, "response", data)
        return data

    def pause(self, milliseconds):
        if milliseconds:
            self.over.wait(milliseconds / 1000)

    def begin(self, command):
        self.pause(command.sleep_ms)
        if command.headers_first and not self.over.is_set():
            self.quietly(self.context.send_initial_metadata, wire.metadata(command.response_headers))

    def quietly(self, act, metadata):
        """grpcio raises ValueError when the call was cancelled a moment ago: `end` finds that out by itself."""
        try:
            act(metadata)
        except ValueError:
            pass

    def end(self, command):
        """Counts the call, then answers its status: what a client has seen is always counted."""
        self.count(wire.STATUSES[command.status])
        self.quietly(self.context.set_trailing_metadata, wire.metadata(command.response_trailers))
        if command.status and not self.over.is_set():
            self.context.abort(CODES[command.status], command.message)


class Handler(grpc.GenericRpcHandler):
    def __init__(self, tally):
        self.tally = tally

    def service(self, details):
        method = details.method
        call = Call(self.tally, method)
        kind = wire.METHODS.get(method)
        if kind is None:
            call.count("UNIMPLEMENTED")
            return None
        behaviour = getattr(self, kind)
        make = {
            "unary": grpc.unary_unary_rpc_method_handler,
            "server": grpc.unary_stream_rpc_method_handler,
            "client": grpc.stream_unary_rpc_method_handler,
            "bidi": grpc.stream_stream_rpc_method_handler,
        }[kind]
        return make(lambda request, context: behaviour(request, call.accept(context)))

    def unary(self, request, call):
        return self.answer_once(call, wire.Command(call.receive(request)))

    def client(self, requests, call):
        return self.answer_once(call, first_command(requests, call))

    def answer_once(self, call, command):
        call.begin(command)
        answer = call.send(command.answer) if command.status == 0 and not call.over.is_set() else None
        call.end(command)
        return answer

    def server(self, request, call):
        command = wire.Command(call.receive(request))
        call.begin(command)
        if command.headers_first:
            for _ in range(command.response_count):
                if call.over.is_set():
                    break
                yield call.send(command.answer)
        call.pause(command.linger_ms)
        call.end(command)

    def bidi(self, requests, call):
        command = None
        try:
            for request in requests:
                call.receive(request)
                if command is None:
                    command = wire.Command(request)
                    call.begin(command)
                if not command.headers_first:
                    break
                for _ in range(max(1, command.response_count)):
                    yield call.send(command.answer)
        except grpc.RpcError:
            call.over.wait(1)
        command = command or wire.Command()
        call.pause(command.linger_ms)
        call.end(command)


def first_command(requests, call):
    command = None
    try:
        for request in requests:
            call.receive(request)
            command = command or wire.Command(request)
    except grpc.RpcError:
        call.over.wait(1)
    return command or wire.Command()


def run(args):
    tally = Tally("python", "grpcio " + grpc.__version__)
    pool = futures.ThreadPoolExecutor(MAX_THREADS)
    server = grpc.server(pool, handlers=[Handler(tally)], options=channel.server(args))
    port = channel.listen(server, args)
    server.start()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"READY port={port}", flush=True)
    try:
        for line in sys.stdin:
            if line.strip() == "stats":
                print(tally.line(), flush=True)
            elif line.strip() == "quit":
                break
    except KeyboardInterrupt:
        pass
    server.stop(0.2).wait()
    print(tally.line(), flush=True)
