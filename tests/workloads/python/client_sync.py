"""Client on grpcio's blocking interface, a thread per concurrent call."""

import itertools
import queue
import threading
import time

import grpc

import channel
from plan import lines

READY_TIMEOUT = 20


class Pool:
    """Connections that stay open from one step, and one plan, to the next."""

    def __init__(self, args):
        self.address, self.channels = args.address, []
        self.credentials = channel.client_credentials(args)

    def open(self):
        if self.credentials:
            opened = grpc.secure_channel(self.address, self.credentials, options=channel.CLIENT)
        else:
            opened = grpc.insecure_channel(self.address, options=channel.CLIENT)
        grpc.channel_ready_future(opened).result(READY_TIMEOUT)
        return opened

    def first(self, count):
        while len(self.channels) < count:
            self.channels.append(self.open())
        return self.channels[:count]


def call(step, tally, opened):
    """One call on one connection."""
    tally.started(step.method)
    begun = time.monotonic()
    sizes = []
    kinds = {"unary": unary, "server": streaming, "client": unary, "bidi": streaming}
    code, detail = kinds[step.kind](step, tally, opened, sizes)
    tally.ended(step.method, code.name, time.monotonic() - begun)
    step.check(tally, code.name, detail, sizes)


def unary(step, tally, opened, sizes):
    make = opened.unary_unary if step.kind == "unary" else opened.stream_unary
    request = sent(step, tally, 0) if step.kind == "unary" else requests(step, tally)
    made = make(step.method).future(request, timeout=step.timeout, metadata=step.metadata())
    with Cancel(step, made):
        try:
            received(step, tally, made.result(), sizes)
        except (grpc.RpcError, grpc.FutureCancelledError):
            pass
    return made.code(), made.details()


def streaming(step, tally, opened, sizes):
    pace = queue.SimpleQueue()
    if step.kind == "server":
        make, request = opened.unary_stream, sent(step, tally, 0)
    else:
        make, request = opened.stream_stream, requests(step, tally, pace)
    made = make(step.method)(request, timeout=step.timeout, metadata=step.metadata())
    each = max(1, step.values.get("response_count", 0))
    with Cancel(step, made):
        try:
            for answer in made:
                received(step, tally, answer, sizes)
                if step.cancel_after_first:
                    made.cancel()
                elif len(sizes) % each == 0:
                    pace.put(True)
        except grpc.RpcError:
            pass
    pace.put(False)
    return made.code(), made.details()


def requests(step, tally, pace=None):
    """The request messages; with `pace`, each waits for the answers to the one before."""
    for number in range(step.request_count):
        if number and pace is not None and not pace.get():
            return
        yield sent(step, tally, number)


def sent(step, tally, number):
    data = step.request(number)
    tally.message(step.method, "request", data)
    return data


def received(step, tally, data, sizes):
    tally.message(step.method, "response", data)
    sizes.append(len(data))


class Cancel:
    """Cancels a call after the time that the step gives, unless it has ended before."""

    def __init__(self, step, made):
        self.timer = threading.Timer(step.cancel_after, made.cancel) if step.cancel_after else None

    def __enter__(self):
        if self.timer:
            self.timer.start()

    def __exit__(self, *_):
        if self.timer:
            self.timer.cancel()
            self.timer.join()


def worker(step, tally, pool, opened, turns):
    while next(turns) < step.count:
        if step.churn:
            with pool.open() as own:
                call(step, tally, own)
        else:
            call(step, tally, opened)


def run(args):
    pool = Pool(args)
    print("READY", flush=True)
    for steps, tally in lines("python", "grpcio " + grpc.__version__):
        for step in steps:
            channels = [None] * step.connections if step.churn else pool.first(step.connections)
            turns = itertools.count()
            threads = [
                threading.Thread(target=worker, args=(step, tally, pool, opened, turns), daemon=True)
                for opened in channels
                for _ in range(step.concurrency)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    for opened in pool.channels:
        opened.close()
