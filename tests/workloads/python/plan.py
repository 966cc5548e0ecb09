"""Plans: the parts of a client that do not depend on the programming model."""

import itertools
import json
import sys

import wire
from tally import Tally

MAX_CALLS = 1_000_000
MAX_CONNECTIONS = 20_000

_marks = itertools.count()


class Step:
    """One step of a plan, with what every call of it needs."""

    def __init__(self, values):
        self.values = values
        get = values.get
        self.method = get("method", "/truth.v1.Truth/Echo")
        self.kind = get("kind", "unary")
        self.count = min(get("count", 1), MAX_CALLS)
        self.connections = min(get("connections", 1), MAX_CONNECTIONS)
        self.concurrency = get("concurrency", 1)
        self.churn = get("churn", False)
        self.timeout = get("deadline_ms", 0) / 1000 or None
        self.cancel_after = get("cancel_after_ms", 0) / 1000 or None
        self.cancel_after_first = get("cancel_after_first", False)
        self.expect = get("expect", wire.STATUSES[get("status", 0)])
        self.first = wire.request(values)
        self.later = wire.fill(get("request_size", 0))
        self.request_count = get("request_count", 1) if self.kind in ("client", "bidi") else 1
        self.answers = wire.answers(values, self.kind)
        self.answer_size = get("response_size", 0)
        self.shared_metadata = wire.metadata(get("metadata_size", 0))

    def metadata(self):
        if self.values.get("metadata_unique"):
            return wire.metadata(self.values.get("metadata_size", 0), f"{next(_marks):08d}-")
        return self.shared_metadata

    def request(self, number):
        return self.later if number else self.first

    def check(self, tally, status, detail, sizes):
        """Compares the end of a call, `sizes` being those of the answers, with what the plan wants."""
        if self.expect not in ("*", status):
            tally.unexpected(self.method, self.expect, status, detail)
        elif status == self.expect != "CANCELLED" and self.values.get("status", 0) == wire.STATUSES.index(status):
            if len(sizes) != self.answers or any(size != self.answer_size for size in sizes):
                tally.unexpected(self.method, self.expect, "WRONG_ANSWER", f"{len(sizes)} answers")


def lines(peer, version):
    """Reads plans from standard input: yields the steps and a new tally of each, prints the tally after it."""
    for line in sys.stdin:
        if line.strip() == "quit":
            return
        if line.strip():
            tally = Tally(peer, version)
            yield [Step(values) for values in json.loads(line)["steps"]], tally
            print(tally.line(), flush=True)
