"""Server on grpclib: asyncio and hyper-h2, no C-core."""

import asyncio
import signal
import socket
import sys
import threading
import time

import grpclib.server
from grpclib.const import Handler, Status
from grpclib.server import Server

import grpclib_wire
import wire
from tally import Tally


class Call:
    """One call: its stream, its end in the tally."""

    def __init__(self, tally, method):
        self.tally, self.method, self.stream = tally, method, None
        self.begun = time.monotonic()
        self.is_over = False
        tally.started(method)

    async def receive(self):
        data = await self.stream.recv_message()
        if data is not None:
            self.tally.message(self.method, "request", data)
        return data

    async def send(self, data):
        self.tally.message(self.method, "response", data)
        await self.stream.send_message(data)

    async def begin(self, command):
        if command.sleep_ms:
            await asyncio.sleep(command.sleep_ms / 1000)
        if command.headers_first:
            await self.stream.send_initial_metadata(metadata=wire.metadata(command.response_headers))

    async def end(self, command):
        """Counts the call, then answers its status: what a client has seen is always counted."""
        self.count(wire.STATUSES[command.status])
        await self.stream.send_trailing_metadata(
            status=Status(command.status),
            status_message=command.message or None,
            metadata=wire.metadata(command.response_trailers),
        )

    def count(self, status):
        if not self.is_over:
            self.is_over = True
            self.tally.ended(self.method, status, time.monotonic() - self.begun)

    def given_up(self):
        deadline = self.stream.deadline if self.stream else None
        met = deadline is not None and deadline.time_remaining() <= 0
        self.count("DEADLINE_EXCEEDED" if met else "CANCELLED")


class Counting(grpclib.server.Handler):
    """Counts calls where grpclib first hears of them: those given up before their turn never reach a handler."""

    tally = None
    calls = {}

    def accept(self, stream, headers, release_stream):
        super().accept(stream, headers, release_stream)
        path = dict(headers).get(":path")
        if path not in wire.METHODS:
            return
        call = self.calls[stream] = Call(self.tally, path)

        def over(_):
            # Whatever else has ended it was not this program's doing.
            call.given_up()
            del self.calls[stream]

        self._tasks[stream].add_done_callback(over)


class Service:

    def __mapping__(self):
        return {path: self.handler(path, kind) for path, kind in wire.METHODS.items()}

    def handler(self, path, kind):
        behaviour = getattr(self, kind)

        async def serve(stream):
            call = Counting.calls[stream._stream]
            call.stream = stream
            await behaviour(call)

        return Handler(serve, grpclib_wire.CARDINALITIES[kind], bytes, bytes)

    async def unary(self, call):
        await self.answer_once(call, wire.Command(await call.receive() or b""))

    async def client(self, call):
        command = None
        while (data := await call.receive()) is not None:
            command = command or wire.Command(data)
        await self.answer_once(call, command or wire.Command())

    async def answer_once(self, call, command):
        await call.begin(command)
        if command.status == 0:
            await call.send(command.answer)
        await call.end(command)

    async def server(self, call):
        command = wire.Command(await call.receive() or b"")
        await call.begin(command)
        if command.headers_first:
            for _ in range(command.response_count):
                await call.send(command.answer)
        await self.linger(call, command)

    async def bidi(self, call):
        command = None
        while (data := await call.receive()) is not None:
            if command is None:
                command = wire.Command(data)
                await call.begin(command)
            if not command.headers_first:
                break
            for _ in range(max(1, command.response_count)):
                await call.send(command.answer)
        await self.linger(call, command or wire.Command())

    async def linger(self, call, command):
        if command.linger_ms:
            await asyncio.sleep(command.linger_ms / 1000)
        await call.end(command)


def listen(args):
    family = socket.AF_INET6 if ":" in args.host else socket.AF_INET
    listener = socket.create_server((args.host, args.port), family=family)
    listener.setblocking(False)
    return listener


async def serve(args):
    tally = Tally("python-grpclib", "grpclib " + grpclib.__version__)
    config = grpclib_wire.configuration(args.keepalive_ms)
    Counting.tally = tally
    grpclib.server.Handler = Counting
    server = Server([Service()], codec=grpclib_wire.Bytes(), config=config)
    listener = listen(args)
    await server.start(sock=listener, ssl=grpclib_wire.server_security(args.tls))
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)

    def control():
        for line in sys.stdin:
            if line.strip() == "stats":
                loop.call_soon_threadsafe(lambda: print(tally.line(), flush=True))
            elif line.strip() == "quit":
                break
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=control, daemon=True).start()
    print(f"READY port={listener.getsockname()[1]}", flush=True)
    await over.wait()
    server.close()
    try:
        await asyncio.wait_for(server.wait_closed(), 0.5)
    except asyncio.TimeoutError:
        pass
    print(tally.line(), flush=True)


def run(args):
    asyncio.run(serve(args))
