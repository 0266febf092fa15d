"""Who is let in, by other clients than ours: grpcio (gRPC core with BoringSSL) and Python's ssl.

Reads lines `WAY ADDRESS SERVER_NAME ROOTS CERTIFICATE KEY` (tabs between; the last two may be empty), and answers each
with `accepted` or `refused` (also where the client itself does not take what it should show). WAY is `grpc`: the server
answered an RPC; or `tls`: it answered bytes that were sent after the handshake.
"""
import socket
import ssl
import sys

import grpc


def read(path):
    if not path:
        return None
    with open(path, "rb") as file:
        return file.read()


def ask_grpc(address, name, roots, certificate, key):
    credentials = grpc.ssl_channel_credentials(read(roots), read(key), read(certificate))
    options = [("grpc.ssl_target_name_override", name), ("grpc.enable_http_proxy", 0)]
    with grpc.secure_channel(address, credentials, options) as channel:
        call = channel.unary_unary("/temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo")
        try:
            call(b"", timeout=30)
            return True
        except grpc.RpcError:
            return False


def ask_tls(address, name, roots, certificate, key):
    context = ssl.create_default_context(cafile=roots)
    context.set_alpn_protocols(["h2"])
    host, port = address.split(":")
    try:
        if certificate:
            context.load_cert_chain(certificate, key)
        with socket.create_connection((host, int(port)), timeout=30) as plain:
            with context.wrap_socket(plain, server_hostname=name) as connection:
                connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
                return len(connection.recv(1)) == 1
    except OSError:  # ssl.SSLError is one
        return False


for line in sys.stdin:
    way, *arguments = line.rstrip("\n").split("\t")
    accepted = (ask_grpc if way == "grpc" else ask_tls)(*arguments)
    print("accepted" if accepted else "refused", flush=True)
