"""A gRPC service that knows nothing of any metrics, and a client that keeps calling it.

demo.py server PORT
demo.py client HOST:PORT
"""

import random
import sys
import time
from concurrent import futures

import grpc

SERVICE = "csca.CscaService"
METHODS = ("GetCertificate", "ListCertificates", "RevokeCertificate")


def answer(method):
    """A handler that takes its time and sometimes fails: a lookup that finds nothing, a backend that is away."""

    def handle(request, context):
        time.sleep(random.lognormvariate(-5, 1))
        chance = random.random()
        if method == "GetCertificate" and chance < 0.05:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such certificate")
        if method == "RevokeCertificate" and chance < 0.02:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the backend is away")
        return b"certificate " * random.randint(1, 100)

    return grpc.unary_unary_rpc_method_handler(handle)


def serve(port):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    handlers = {method: answer(method) for method in METHODS}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    print(f"serving at port {port}", flush=True)
    server.wait_for_termination()


def call(address):
    with grpc.insecure_channel(address) as channel:
        calls = [channel.unary_unary(f"/{SERVICE}/{method}") for method in METHODS]
        while True:
            try:
                random.choices(calls, weights=(10, 3, 1))[0](b"request", timeout=1)
            except grpc.RpcError as error:
                # What the observer shows, too.
                print(error.code().name, flush=True)
            time.sleep(random.expovariate(20))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["server", port]:
            serve(int(port))
        case ["client", address]:
            call(address)
        case _:
            sys.exit(__doc__)
