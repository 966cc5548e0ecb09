"""Client on grpclib, a task per concurrent call."""

import asyncio
import itertools
import time

import grpclib
from grpclib.client import Channel
from grpclib.exceptions import GRPCError, StreamTerminatedError

import grpclib_wire
from plan import lines

READY_TIMEOUT = 20
# An error code of HTTP/2.
CANCEL = 8


class Cancelled(Exception):
    """The plan has a call cancelled."""


class Pool:
    """Connections that stay open from one step, and one plan, to the next."""

    def __init__(self, args):
        host, _, port = args.address.rpartition(":")
        self.security = grpclib_wire.client_security(args.tls)
        self.host, self.port, self.channels = host.strip("[]"), int(port), []

    async def open(self):
        settings = {"codec": grpclib_wire.Bytes(), "config": grpclib_wire.configuration(), "ssl": self.security}
        opened = Channel(self.host, self.port, **settings)
        await asyncio.wait_for(opened.__connect__(), READY_TIMEOUT)
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
    status, detail = "OK", ""
    try:
        if step.cancel_after:
            await asyncio.wait_for(converse(step, tally, opened, sizes), step.cancel_after)
        else:
            await converse(step, tally, opened, sizes)
    except GRPCError as error:
        status, detail = error.status.name, error.message
    except Cancelled:
        status = "CANCELLED"
    except asyncio.TimeoutError:
        status = "CANCELLED" if step.cancel_after else "DEADLINE_EXCEEDED"
    except (StreamTerminatedError, OSError) as error:
        # grpclib has no status for it: a reset by CANCEL is one, the end of a connection is the other.
        status = "CANCELLED" if f"error_code: {CANCEL}" in str(error) else "UNAVAILABLE"
        detail = error
    tally.ended(step.method, status, time.monotonic() - begun)
    step.check(tally, status, detail, sizes)


async def converse(step, tally, opened, sizes):
    cardinality = grpclib_wire.CARDINALITIES[step.kind]
    made = opened.request(
        step.method, cardinality, bytes, bytes, timeout=step.timeout, metadata=dict(step.metadata())
    )
    # Leaving it before its end resets the stream.
    async with made as stream:
        each = max(1, step.values.get("response_count", 0)) if step.kind == "bidi" else 0
        for number in range(step.request_count):
            await stream.send_message(sent(step, tally, number), end=step.kind in ("unary", "server"))
            for _ in range(each):
                if not await received(step, tally, stream, sizes):
                    break
        if step.kind in ("client", "bidi"):
            await stream.end()
        while await received(step, tally, stream, sizes):
            pass
        await stream.recv_trailing_metadata()


def sent(step, tally, number):
    data = step.request(number)
    tally.message(step.method, "request", data)
    return data


async def received(step, tally, stream, sizes):
    data = await stream.recv_message()
    if data is None:
        return False
    tally.message(step.method, "response", data)
    sizes.append(len(data))
    if step.cancel_after_first:
        raise Cancelled
    return True


async def worker(step, tally, pool, opened, turns):
    while next(turns) < step.count:
        if step.churn:
            own = await pool.open()
            await call(step, tally, own)
            own.close()
        else:
            await call(step, tally, opened)


async def serve(args):
    pool = Pool(args)
    print("READY", flush=True)
    plans = iter(lines("python-grpclib", "grpclib " + grpclib.__version__))
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
        opened.close()


def run(args):
    asyncio.run(serve(args))
