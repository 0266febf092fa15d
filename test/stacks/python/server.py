"""gRPC core with BoringSSL, as grpcio has it: requires a client certificate; and the same without TLS.

    server.py DIRECTORY
"""
import sys
from concurrent import futures

import grpc

# GetSystemInfoResponse.server_version
ANSWER = b"\x0a\x06stacks"


class System(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method.endswith("/GetSystemInfo"):
            return grpc.unary_unary_rpc_method_handler(lambda request, context: ANSWER)
        return None  # UNIMPLEMENTED


def read(name):
    with open(sys.argv[1] + "/" + name, "rb") as file:
        return file.read()


server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), handlers=[System()])
credentials = grpc.ssl_server_credentials(
    [(read("server.key"), read("server.pem"))], read("client-ca.pem"), require_client_auth=True
)
print("LISTEN grpcio", server.add_secure_port("127.0.0.1:0", credentials))
print("LISTEN plaintext_grpcio", server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
