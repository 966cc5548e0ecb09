"""Unary calls over BoringSSL, for which no gRPC program with its names is to be had: the library by ctypes, HTTP/2 by hyper-h2.

python boring.py LIBCRYPTO LIBSSL HOST PORT CALLS NOT_FOUND. Says READY when it has the library, connects when it is sent a
line, and prints "DONE" with how many calls ended with which status.
"""

import collections
import ctypes
import json
import socket
import struct
import sys

import h2.config
import h2.connection
import h2.events

libcrypto, libssl, host, port, calls, not_found = sys.argv[1:]
ctypes.CDLL(libcrypto, mode=ctypes.RTLD_GLOBAL)
ssl = ctypes.CDLL(libssl)
Pointer = ctypes.c_void_p


def call(name, *arguments, returns=ctypes.c_int):
    function = getattr(ssl, name)
    function.restype = returns
    return function(*arguments)


def command(status):
    """What the server is asked for, as wire.py has it, with the length that gRPC puts before a message."""
    body = struct.pack(">9I", status, 0, 0, 0, 0, 0, 0, 0, 0)
    return struct.pack(">BI", 0, len(body)) + body


context = Pointer(call("SSL_CTX_new", Pointer(call("TLS_method", returns=Pointer)), returns=Pointer))
assert call("SSL_CTX_set_alpn_protos", context, b"\x02h2", 3) == 0
print("READY", flush=True)
sys.stdin.readline()

connected = socket.create_connection((host, int(port)))
secure = Pointer(call("SSL_new", context, returns=Pointer))
assert call("SSL_set_fd", secure, connected.fileno()) == 1
assert call("SSL_connect", secure) == 1
frames = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
frames.initiate_connection()
held = ctypes.create_string_buffer(65536)


def flush():
    data = frames.data_to_send()
    if data:
        assert call("SSL_write", secure, data, len(data)) == len(data)


def ended():
    """The status of the next call that ends."""
    while True:
        length = call("SSL_read", secure, held, len(held))
        assert length > 0, length
        status = None
        for event in frames.receive_data(held.raw[:length]):
            if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                status = dict(event.headers).get("grpc-status", status)
            elif isinstance(event, h2.events.DataReceived):
                frames.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        flush()
        if status is not None:
            return status


counts = collections.Counter()
for number in range(int(calls)):
    stream = frames.get_next_available_stream_id()
    head = {
        ":method": "POST",
        ":scheme": "https",
        ":path": "/truth.v1.Truth/Echo",
        ":authority": f"{host}:{port}",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    frames.send_headers(stream, list(head.items()))
    frames.send_data(stream, command(5 if number < int(not_found) else 0), end_stream=True)
    flush()
    counts[ended()] += 1
print("DONE", json.dumps(counts), flush=True)
call("SSL_shutdown", secure)
call("SSL_free", secure, returns=None)
