#!/usr/bin/env python3
"""Makes `seeds/`, from the header stories and by PyPI's `hpack`: `python3 seeds.py`."""
import glob, json, os, struct

import hpack

HERE = os.path.dirname(os.path.abspath(__file__))


def write(target, name, data):
    folder = os.path.join(HERE, "seeds", target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as out:
        out.write(data)


def header_blocks():
    for path in sorted(glob.glob(os.path.join(HERE, "..", "hpack", "*.json"))):
        blocks = [bytes.fromhex(case["wire"]) for case in json.load(open(path))["cases"]]
        data = bytes([3, 0x40]) + b"".join(bytes([len(b)]) + b for b in blocks[:14] if len(b) < 256)
        write("hpack", os.path.basename(path)[:-5], data)


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def connections():
    """Three calls; as bytes of both directions, the length byte's lowest bit being the direction."""
    for joined in (0, 1):
        encoders = [hpack.Encoder(), hpack.Encoder()]
        acts = [(0, frame(4, 0, 0, b"")), (1, frame(4, 0, 0, b"\0\1\0\0\x10\0"))]
        for stream in (1, 3, 5):
            request = [(":method", "POST"), (":scheme", "http"), (":path", "/a.A/One"), ("content-type", "application/grpc"), ("te", "trailers")]
            block = encoders[0].encode(request)
            half = len(block) // 2
            acts.append((0, frame(1, 0, stream, block[:half]) + frame(9, 4, stream, block[half:])))
            acts.append((0, frame(0, 1, stream, b"\0\0\0\0\3abc")))
            acts.append((1, frame(1, 4, stream, encoders[1].encode([(":status", "200"), ("content-type", "application/grpc")]))))
            acts.append((1, frame(0, 0, stream, b"\0\0\0\0\2ok")))
            if stream == 5:
                acts.append((0, frame(3, 0, stream, b"\0\0\0\x08")))
            else:
                acts.append((1, frame(1, 5, stream, encoders[1].encode([("grpc-status", str(stream - 1))]))))
        acts.append((1, frame(7, 0, 0, b"\0\0\0\3\0\0\0\0bye")))
        data = b"".join(bytes([len(b) << 1 | who]) + b for who, b in acts if len(b) < 128)
        write("bytes", f"calls-{joined}", bytes([joined | 0x70]) + data)


def acts():
    """The language of `fuzz_targets/connection.rs`: act, stream, size and time, body."""
    request, response, trailers = bytes([0, 2, 3, 10, 13]), bytes([7, 10]), bytes([16])

    def act(code, stream, body=b"", time=1):
        return bytes([code, stream, time << 5 | len(body)]) + body

    call = lambda n: act(0x00, n, request) + act(0x60, n, b"\x20") + act(0x01, n, response) + act(0x61, n, b"\x40") + act(0x03, n, trailers)
    write("connection", "calls", b"\0" + call(1) + call(3) + call(5))
    write("connection", "continuation", b"\0" + act(0x34, 1, request) + act(0x17, 1, response + trailers))
    write("connection", "joined", b"\x31" + act(0x01, 1, response) + act(0x03, 1, trailers) + call(3))
    write("connection", "resets", b"\x20" + call(1) + act(0x00, 3, request) + act(0x90, 3, b"\x08") + act(0x00, 5, request) + act(0x91, 5, b"\x02"))
    write("connection", "goaway", b"\x20" + act(0x00, 1, request) + act(0x00, 3, request) + act(0xA1, 1) + act(0xE5, 0))
    write("connection", "losses", b"\x40" + call(1) + act(0xC1, 0) + call(3) + act(0xD0, 0) + call(5) + act(0xB0, 0, b"\x40") + call(7))


def pieces():
    piece = lambda kind, flags, stream, length, offset, payload: bytes([kind, flags, stream, length, offset, len(payload)]) + payload
    write("frames", "whole", b"\0" + piece(1, 4, 1, 3, 0, b"abc") + piece(3, 0, 1, 4, 0, b"\0\0\0\x08") + piece(7, 0, 0, 8, 0, bytes(8)))
    write("frames", "cut", b"\0" + piece(1, 0, 1, 3, 0, b"a") + piece(1, 0, 1, 3, 1, b"bc") + piece(9, 4, 1, 2, 0, b"de"))
    write("frames", "padded", b"\1" + piece(1, 0x2C, 1, 9, 0, b"\2" + bytes(8)) + piece(5, 4, 1, 6, 0, bytes(6)))


def captures():
    """One call as pcap and as pcapng, raw IP, from the SYN on."""
    literal = lambda fields: b"".join(b"\0" + b"".join(bytes([len(t)]) + t for t in field) for field in fields)
    request = literal([(b":method", b"POST"), (b":path", b"/a.A/One"), (b"content-type", b"application/grpc")])
    response = literal([(b":status", b"200"), (b"content-type", b"application/grpc"), (b"grpc-status", b"0")])
    settings = frame(4, 0, 0, b"")
    packets, sequences = [], [100, 200]

    def segment(side, flags, payload=b""):
        ports = (50051, 40000) if side else (40000, 50051)
        tcp = struct.pack(">HHIIBBHHH", *ports, sequences[side], sequences[1 - side], 0x50, flags, 0, 0, 0) + payload
        address = bytes([127, 0, 0, 1])
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0) + address + address
        sequences[side] += len(payload) + (flags & 3 != 0)
        packets.append(ip + tcp)

    segment(0, 2), segment(1, 0x12)
    segment(0, 0x10, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)
    segment(1, 0x10, settings)
    segment(0, 0x18, frame(1, 4, 1, request) + frame(0, 1, 1, bytes(5)))
    segment(1, 0x18, frame(1, 5, 1, response))
    segment(0, 0x11), segment(1, 0x11)
    pcap = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    ng = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28) + struct.pack("<IIHHII", 1, 20, 101, 0, 0, 20)
    for at, packet in enumerate(packets):
        pcap += struct.pack("<IIII", 1, at, len(packet), len(packet)) + packet
        padded = packet + bytes(-len(packet) % 4)
        ng += struct.pack("<IIIIIII", 6, 32 + len(padded), 0, 0, at, len(packet), len(packet)) + padded + struct.pack("<I", 32 + len(padded))
    write("capture", "call.pcap", pcap)
    write("capture", "call.pcapng", ng)


header_blocks()
connections()
acts()
pieces()
captures()
