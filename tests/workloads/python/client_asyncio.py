"""Client on grpcio's asyncio interface, a task per concurrent call."""

import asyncio
import itertools
import time

import grpc
import grpc.aio

import channel
from plan import lines

READY_TIMEOUT = 20


class Pool:
    """Connections that stay open from one step, and one plan, to the next."""

    def __init__(self, args):
        self.address, self.channels = args.address, []
        self.credentials = channel.client_credentials(args)

    async def open(self):
        if self.credentials:
            opened = grpc.aio.secure_channel(self.address, self.credentials, options=channel.CLIENT)
        else:
            opened = grpc.aio.insecure_channel(self.address, options=channel.CLIENT)
        await asyncio.wait_for(opened.channel_ready(), READY_TIMEOUT)
        return opened

    async def first(self, count):
        while len(self.channels) < count:
            self.channels.append(await self.open())
        return self.channels[:count]


async def call(step, tally, opened):
    """One call on one connection."""
    tally.started(step.method)
    begun = time.monotonic()
    sizes = []
    made = make(step, tally, opened)
    cancel = asyncio.get_running_loop().call_later(step.cancel_after, made.cancel) if step.cancel_after else None
    try:
        if step.kind == "unary":
            received(step, tally, await made, sizes)
        elif step.kind == "server":
            async for answer in made:
                received(step, tally, answer, sizes)
                if step.cancel_after_first:
                    made.cancel()
        elif step.kind == "client":
            for number in range(step.request_count):
                await made.write(sent(step, tally, number))
            await made.done_writing()
            received(step, tally, await made, sizes)
        else:
            await converse(step, tally, made, sizes)
    except (grpc.RpcError, asyncio.CancelledError, asyncio.InvalidStateError):
        pass
    code, detail = await made.code(), await made.details()
    if cancel:
        cancel.cancel()
    tally.ended(step.method, code.name, time.monotonic() - begun)
    step.check(tally, code.name, detail, sizes)


def make(step, tally, opened):
    options = {"timeout": step.timeout, "metadata": step.metadata()}
    if step.kind == "unary":
        return opened.unary_unary(step.method)(sent(step, tally, 0), **options)
    if step.kind == "server":
        return opened.unary_stream(step.method)(sent(step, tally, 0), **options)
    if step.kind == "client":
        return opened.stream_unary(step.method)(**options)
    return opened.stream_stream(step.method)(**options)


async def converse(step, tally, made, sizes):
    """Each request waits for the answers to the one before."""
    each = max(1, step.values.get("response_count", 0))
    for number in range(step.request_count):
        await made.write(sent(step, tally, number))
        for _ in range(each):
            answer = await made.read()
            if answer is grpc.aio.EOF:
                return
            received(step, tally, answer, sizes)
            if step.cancel_after_first:
                made.cancel()
    await made.done_writing()
    while (answer := await made.read()) is not grpc.aio.EOF:
        received(step, tally, answer, sizes)


def sent(step, tally, number):
    data = step.request(number)
    tally.message(step.method, "request", data)
    return data


def received(step, tally, data, sizes):
    tally.message(step.method, "response", data)
    sizes.append(len(data))


async def worker(step, tally, pool, opened, turns):
    while next(turns) < step.count:
        if step.churn:
            async with await pool.open() as own:
                await call(step, tally, own)
        else:
            await call(step, tally, opened)


async def serve(args):
    pool = Pool(args)
    print("READY", flush=True)
    plans = iter(lines("python-asyncio", "grpcio " + grpc.__version__))
    # Plans are read off the loop, so that connections answer pings between plans.
    while (plan := await asyncio.to_thread(next, plans, None)) is not None:
        steps, tally = plan
        for step in steps:
            channels = [None] * step.connections if step.churn else await pool.first(step.connections)
            turns = itertools.count()
            await asyncio.gather(
                *(worker(step, tally, pool, opened, turns) for opened in channels for _ in range(step.concurrency))
            )
    for opened in pool.channels:
        await opened.close()


def run(args):
    asyncio.run(serve(args))
