"""Server on grpcio's asyncio interface."""

import asyncio
import signal
import sys
import threading
import time

import grpc
import grpc.aio

import channel
import wire
from tally import Tally

CODES = {code.value[0]: code for code in grpc.StatusCode}


class Call:
    """One call: its command, its pauses and its end in the tally."""

    def __init__(self, tally, method):
        self.tally, self.method, self.context = tally, method, None
        self.begun = time.monotonic()
        self.is_over = False
        tally.started(method)

    def __del__(self):
        """A call that was given up before its turn came: grpcio never runs its handler."""
        self.count("CANCELLED")

    def accept(self, context):
        self.context = context
        return self

    def receive(self, data):
        self.tally.message(self.method, "request", data)
        return data

    async def write(self, data):
        self.tally.message(self.method, "response", data)
        await self.context.write(data)

    async def begin(self, command):
        if command.sleep_ms:
            await asyncio.sleep(command.sleep_ms / 1000)
        if command.headers_first:
            await self.context.send_initial_metadata(wire.metadata(command.response_headers))

    async def end(self, command):
        """Counts the call, then answers its status: what a client has seen is always counted."""
        self.count(wire.STATUSES[command.status])
        self.context.set_trailing_metadata(wire.metadata(command.response_trailers))
        if command.status:
            await self.context.abort(CODES[command.status], command.message)

    def count(self, status):
        if not self.is_over:
            self.is_over = True
            self.tally.ended(self.method, status, time.monotonic() - self.begun)

    def aborted(self):
        left = self.context.time_remaining()
        self.count("CANCELLED" if left is None or left > 0 else "DEADLINE_EXCEEDED")


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

        async def serve(request, context):
            try:
                return await behaviour(request, call.accept(context))
            except asyncio.CancelledError:
                call.aborted()
                raise

        return make(serve)

    async def unary(self, request, call):
        return await self.answer_once(call, wire.Command(call.receive(request)))

    async def client(self, requests, call):
        command = None
        async for request in requests:
            call.receive(request)
            command = command or wire.Command(request)
        return await self.answer_once(call, command or wire.Command())

    async def answer_once(self, call, command):
        await call.begin(command)
        if command.status == 0:
            self.tally.message(call.method, "response", command.answer)
        await call.end(command)
        return command.answer

    async def server(self, request, call):
        command = wire.Command(call.receive(request))
        await call.begin(command)
        if command.headers_first:
            for _ in range(command.response_count):
                await call.write(command.answer)
        await self.linger(call, command)

    async def bidi(self, requests, call):
        command = None
        async for request in requests:
            call.receive(request)
            if command is None:
                command = wire.Command(request)
                await call.begin(command)
            if not command.headers_first:
                break
            for _ in range(max(1, command.response_count)):
                await call.write(command.answer)
        await self.linger(call, command or wire.Command())

    async def linger(self, call, command):
        if command.linger_ms:
            await asyncio.sleep(command.linger_ms / 1000)
        await call.end(command)


async def serve(args):
    tally = Tally("python-asyncio", "grpcio " + grpc.__version__)
    server = grpc.aio.server(handlers=[Handler(tally)], options=channel.server(args))
    port = channel.listen(server, args)
    await server.start()
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)

    def control():
        for line in sys.stdin:
            if line.strip() == "stats":
                print(tally.line(), flush=True)
            elif line.strip() == "quit":
                break
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=control, daemon=True).start()
    print(f"READY port={port}", flush=True)
    await over.wait()
    await server.stop(0.2)
    print(tally.line(), flush=True)


def run(args):
    asyncio.run(serve(args))
