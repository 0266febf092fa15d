"""The Python SDK: see ../README.md."""
import asyncio
import os
import sys

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, GetSystemInfoRequest
from temporalio.client import Client, TLSConfig


def read(path):
    with open(path, "rb") as file:
        return file.read()


async def main(address, authority, certificate, key):
    client = await Client.connect(address, namespace="temporal-system", tls=TLSConfig(
        server_root_ca_cert=read(authority), client_cert=read(certificate), client_private_key=read(key),
        domain="localhost"))
    system = await client.workflow_service.get_system_info(GetSystemInfoRequest())
    described = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace="temporal-system"))
    print("ok", system.server_version, described.namespace_info.name, flush=True)


try:
    asyncio.run(main(*sys.argv[1:5]))
except Exception as error:  # whatever the SDK raises is its answer
    print("error", " ".join(str(error).split()), flush=True)
# The SDK's own threads now and then outlive the interpreter at its end, and crash it.
os._exit(0)
