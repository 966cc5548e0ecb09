"""What every workload agrees on: methods, the command in the first message, filler. No gRPC here."""

import struct

METHODS = {
    "/truth.v1.Truth/Echo": "unary",
    "/truth.v1.Truth/Get": "unary",
    "/truth.v1.Truth/Put": "unary",
    "/truth.v1.Inventory/Reserve": "unary",
    "/truth.v1.Truth/Download": "server",
    "/truth.v1.Inventory/Watch": "server",
    "/truth.v1.Truth/Upload": "client",
    "/truth.v1.Truth/Chat": "bidi",
}

STATUSES = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
    "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS "
    "UNAUTHENTICATED"
).split()

# A whole HEADERS frame (END_STREAM, END_HEADERS, stream 1): an observer that loses its place counts it.
FILL = bytes.fromhex("0000050105000000018386844100")
MAX_MESSAGE = 16 << 20
MAX_METADATA = 64 << 10
MAX_PAUSE_MS = 120_000
MAX_MESSAGES = 100_000
METADATA_PART = 1000

_HEAD = struct.Struct(">9I")
_filler = FILL * 1024


def fill(size):
    """`size` bytes of filler."""
    global _filler
    while len(_filler) < size:
        _filler += _filler
    return _filler[:size]


def metadata(size, mark=""):
    """Filler as metadata, `mark` making it unique."""
    text = mark + "abcdefghijklmnopqrstuvwxyz0123456789" * (METADATA_PART // 36 + 1)
    return [
        (f"x-truth-fill-{number}", text[: min(METADATA_PART, size - number * METADATA_PART)])
        for number in range((size + METADATA_PART - 1) // METADATA_PART)
    ]


class Command:
    """What a server is asked to do."""

    FIELDS = "status sleep_ms linger_ms response_size response_count response_headers response_trailers flags".split()

    def __init__(self, data=b""):
        values = _HEAD.unpack_from(data) if len(data) >= _HEAD.size else (0,) * 9
        for name, value in zip(self.FIELDS, values):
            setattr(self, name, value)
        self.message = data[_HEAD.size : _HEAD.size + values[8]].decode("utf-8", "replace")
        self.valid = (
            self.status < len(STATUSES)
            and max(self.sleep_ms, self.linger_ms) <= MAX_PAUSE_MS
            and self.response_size <= MAX_MESSAGE
            and self.response_count <= MAX_MESSAGES
            and max(self.response_headers, self.response_trailers) <= MAX_METADATA
        )
        if not self.valid:
            self.status, self.message, self.flags = 3, "command out of bounds", 0

    @property
    def headers_first(self):
        return bool(self.flags & 1) or self.status == 0

    @property
    def answer(self):
        return fill(self.response_size)


def request(step):
    """The first message of a call."""
    values = [step.get(name, 0) for name in Command.FIELDS[:-1]] + [int(step.get("headers_first", False))]
    message = step.get("message", "").encode()
    size = step.get("request_size", 0)
    if not any(values) and not message and size < _HEAD.size:
        return fill(size)
    head = _HEAD.pack(*values, len(message)) + message
    return head + fill(max(0, size - len(head)))


def answers(step, kind):
    """How many response messages a complete call brings."""
    if step.get("status", 0) and not (step.get("headers_first") and kind in ("server", "bidi")):
        return 0
    if kind == "server":
        return step.get("response_count", 0)
    if kind == "bidi":
        return max(1, step.get("response_count", 0)) * step.get("request_count", 1)
    return 1
