"""Channel and server options, addresses and TLS, the same for both programming models."""

import pathlib

import grpc

UNLIMITED = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 128 << 10),
    ("grpc.absolute_max_metadata_size", 256 << 10),
]

# One connection per channel, and no hidden second attempt: a retry would be a call that the tally does not have.
CLIENT = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0), *UNLIMITED]


def server(args):
    options = [("grpc.so_reuseport", 0), *UNLIMITED]
    if args.max_age_ms:
        options += [("grpc.max_connection_age_ms", args.max_age_ms), ("grpc.max_connection_age_grace_ms", 5000)]
    if args.keepalive_ms:
        options += [("grpc.keepalive_time_ms", args.keepalive_ms), ("grpc.keepalive_permit_without_calls", 1)]
        options += [("grpc.http2.max_pings_without_data", 0)]
    if args.max_streams:
        options.append(("grpc.max_concurrent_streams", args.max_streams))
    return options


def listen_address(args):
    host = f"[{args.host}]" if ":" in args.host else args.host
    return f"{host}:{args.port}"


def listen(server, args):
    """Gives the port."""
    address = listen_address(args)
    if not args.tls:
        return server.add_insecure_port(address)
    folder = pathlib.Path(args.tls)
    pair = ((folder / "server.key").read_bytes(), (folder / "server.pem").read_bytes())
    return server.add_secure_port(address, grpc.ssl_server_credentials([pair]))


def client_credentials(args):
    """None: without TLS."""
    if not args.tls:
        return None
    return grpc.ssl_channel_credentials((pathlib.Path(args.tls) / "ca.pem").read_bytes())
