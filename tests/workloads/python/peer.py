"""Python workload: grpcio (threads or asyncio) or grpclib, as server or client. The protocol is in ../README.md."""

import argparse
import importlib
import os
import signal
import sys
import threading


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=("sync", "asyncio", "grpclib"), default="sync")
    roles = parser.add_subparsers(dest="role", required=True)
    server = roles.add_parser("server")
    server.add_argument("--host", default="127.0.0.1")
    server.add_argument("--port", type=int, default=0)
    server.add_argument("--max-age-ms", type=int, default=0)
    server.add_argument("--keepalive-ms", type=int, default=0)
    server.add_argument("--max-streams", type=int, default=0)
    client = roles.add_parser("client")
    client.add_argument("address")
    for role in (server, client):
        role.add_argument("--limit-s", type=float, default=300)
        role.add_argument("--tls")
    return parser.parse_args()


def main():
    args = parse()
    limit = threading.Timer(args.limit_s, os._exit, [3])
    limit.daemon = True
    limit.start()
    signal.signal(signal.SIGUSR2, lambda *_: None)
    # The others' packages need not be there.
    importlib.import_module(f"{args.role}_{args.model}").run(args)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
