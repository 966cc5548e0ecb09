#!/usr/bin/env python3
"""Makes the header stories beside this file, by real encoders: PyPI's `hpack` and libnghttp2 (by ctypes).

    pip install hpack; apt-get install libnghttp2-14; python3 generate.py [path of libnghttp2.so.14]

The headers are those of gRPC calls: repeated paths, statuses, unique metadata, tables that are resized.
"""
import ctypes, ctypes.util, json, os, random, sys

import hpack


def calls(seed, count):
    """Header lists of one direction: requests, or responses and trailers."""
    rng = random.Random(seed)
    lists = []
    for n in range(count):
        if seed % 2 == 0:
            fields = [(":method", "POST"), (":scheme", "http"), (":path", f"/pkg.Service{rng.randrange(3)}/Method{rng.randrange(5)}"),
                      (":authority", "svc:50051"), ("content-type", "application/grpc"), ("te", "trailers"),
                      ("user-agent", "grpc-test/1.0")]
            if rng.random() < 0.5:
                fields.append(("grpc-timeout", f"{rng.randrange(1, 100000)}m"))
            if rng.random() < 0.7:
                fields.append(("x-request-id", f"{rng.getrandbits(64):016x}"))
        elif n % 2 == 0:
            fields = [(":status", "200"), ("content-type", "application/grpc"), ("x-served-by", f"node-{rng.randrange(9)}")]
        else:
            fields = [("grpc-status", str(rng.choice([0, 0, 0, 5, 13, 14]))), ("grpc-message", rng.choice(["", "no such thing"]))]
        if rng.random() < 0.05:
            fields.append(("x-large", "v" * rng.randrange(200, 1000)))
        lists.append(fields)
    return lists


class Nv(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("value", ctypes.c_char_p), ("namelen", ctypes.c_size_t),
                ("valuelen", ctypes.c_size_t), ("flags", ctypes.c_uint8)]


class Nghttp2:
    def __init__(self, library, most):
        self.library = library
        self.deflater = ctypes.c_void_p()
        assert library.nghttp2_hd_deflate_new(ctypes.byref(self.deflater), ctypes.c_size_t(most)) == 0

    def resize(self, size):
        assert self.library.nghttp2_hd_deflate_change_table_size(self.deflater, ctypes.c_size_t(size)) == 0

    def encode(self, fields):
        array = (Nv * len(fields))(*[Nv(n.encode(), v.encode(), len(n), len(v), 0) for n, v in fields])
        buffer = ctypes.create_string_buffer(1 << 16)
        self.library.nghttp2_hd_deflate_hd.restype = ctypes.c_ssize_t
        length = self.library.nghttp2_hd_deflate_hd(self.deflater, buffer, ctypes.c_size_t(len(buffer)), array, ctypes.c_size_t(len(fields)))
        assert length >= 0
        return buffer.raw[:length]


class Python:
    def __init__(self, huffman):
        self.encoder = hpack.Encoder()
        self.huffman = huffman

    def resize(self, size):
        self.encoder.header_table_size = size

    def encode(self, fields):
        return self.encoder.encode(fields, huffman=self.huffman)


def write(name, encoder, seed, sizes=()):
    rng = random.Random(seed)
    cases = []
    for n, fields in enumerate(calls(seed, 60)):
        case = {"seqno": n}
        if sizes and n % 7 == 3:
            case["header_table_size"] = rng.choice(sizes)
            encoder.resize(case["header_table_size"])
        case["wire"] = encoder.encode(fields).hex()
        case["headers"] = [{name: value} for name, value in fields]
        cases.append(case)
    folder = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(folder, name + ".json"), "w") as out:
        out.write('{"description": "%s", "cases": [\n' % name)
        out.write(",\n".join(json.dumps(case) for case in cases))
        out.write("\n]}\n")


def main():
    library = ctypes.CDLL(sys.argv[1] if len(sys.argv) > 1 else ctypes.util.find_library("nghttp2"))
    sizes = [0, 64, 150, 500, 1024, 4096, 8192]
    write("python-huffman-requests", Python(True), 0)
    write("python-plain-responses", Python(False), 1)
    write("python-resized-requests", Python(True), 2, sizes)
    write("nghttp2-requests", Nghttp2(library, 4096), 4)
    write("nghttp2-responses", Nghttp2(library, 4096), 5)
    write("nghttp2-resized-requests", Nghttp2(library, 1 << 16), 6, sizes)
    write("nghttp2-resized-responses", Nghttp2(library, 1 << 16), 7, sizes)


main()
