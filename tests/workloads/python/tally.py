"""Counts of what this program itself did and saw. Thread safe."""

import bisect
import json
import threading

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Tally:
    def __init__(self, peer, version):
        self._lock = threading.Lock()
        self._peer, self._version = peer, version
        self._methods, self._unexpected = {}, {}

    def _of(self, method):
        found = self._methods.get(method)
        if found is None:
            numbers = ("started", "request_messages", "request_bytes", "response_messages", "response_bytes")
            found = dict.fromkeys(numbers, 0) | {"ended": {}, "seconds": 0.0, "buckets": [0] * (len(BOUNDS) + 1)}
            self._methods[method] = found
        return found

    def started(self, method):
        with self._lock:
            self._of(method)["started"] += 1

    def message(self, method, way, data):
        """`way` is "request" or "response"."""
        with self._lock:
            of = self._of(method)
            of[way + "_messages"] += 1
            of[way + "_bytes"] += len(data)

    def ended(self, method, status, seconds):
        with self._lock:
            of = self._of(method)
            of["ended"][status] = of["ended"].get(status, 0) + 1
            of["seconds"] += seconds
            of["buckets"][bisect.bisect_left(BOUNDS, seconds)] += 1

    def unexpected(self, method, wanted, got, detail):
        with self._lock:
            entry = self._unexpected.setdefault((method, wanted, got), {"count": 0, "detail": str(detail)[:200]})
            entry["count"] += 1

    def line(self):
        with self._lock:
            unexpected = [
                {"method": m, "wanted": w, "got": g, **entry} for (m, w, g), entry in self._unexpected.items()
            ]
            whole = {"peer": self._peer, "version": self._version, "methods": self._methods, "unexpected": unexpected}
            return json.dumps(whole)
