"""What grpclib needs on both sides: messages as they are, kinds of methods, and TLS."""

import pathlib
import ssl

from grpclib.config import Configuration
from grpclib.const import Cardinality
from grpclib.encoding.base import CodecBase

CARDINALITIES = {
    "unary": Cardinality.UNARY_UNARY,
    "server": Cardinality.UNARY_STREAM,
    "client": Cardinality.STREAM_UNARY,
    "bidi": Cardinality.STREAM_STREAM,
}


class Bytes(CodecBase):
    __content_subtype__ = "proto"

    def encode(self, message, message_type):
        return message

    def decode(self, data, message_type):
        return data


def configuration(keepalive_ms=0):
    if not keepalive_ms:
        return Configuration()
    return Configuration(
        _keepalive_time=keepalive_ms / 1000,
        _keepalive_permit_without_calls=True,
        _http2_max_pings_without_data=0,
        _http2_min_sent_ping_interval_without_data=keepalive_ms / 1000,
    )


def server_security(folder):
    """By a folder of certificates; without one there is no TLS."""
    if not folder:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pathlib.Path(folder) / "server.pem", pathlib.Path(folder) / "server.key")
    context.set_alpn_protocols(["h2"])
    return context


def client_security(folder):
    if not folder:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(pathlib.Path(folder) / "ca.pem")
    context.set_alpn_protocols(["h2"])
    return context
