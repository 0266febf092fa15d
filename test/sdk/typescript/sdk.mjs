// The TypeScript SDK: the connection of a client (grpc-js, so Node's OpenSSL) or of a worker (rustls). See ../README.md.
// Node finds the SDK in TEMPORAL_SDK, the directory of its node_modules.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.TEMPORAL_SDK + "/");
const [address, authority, certificate, key] = process.argv.slice(2);
const tls = {
  serverNameOverride: "localhost",
  serverRootCACertificate: readFileSync(authority),
  clientCertPair: { crt: readFileSync(certificate), key: readFileSync(key) },
};

async function connect() {
  if (process.env.CONNECTION === "worker") {
    const { NativeConnection, Runtime, DefaultLogger } = require("@temporalio/worker");
    Runtime.install({ logger: new DefaultLogger("ERROR", () => {}) });
    return NativeConnection.connect({ address, tls });
  }
  const { Connection } = require("@temporalio/client");
  return Connection.connect({ address, tls, connectTimeout: "10s" });
}

try {
  const connection = await connect();
  const system = await connection.workflowService.getSystemInfo({});
  const described = await connection.workflowService.describeNamespace({ namespace: "temporal-system" });
  console.log("ok", system.serverVersion, described.namespaceInfo.name);
  await connection.close();
} catch (error) {
  console.log("error", `${error.message} ${error.cause?.message ?? ""}`.replace(/\s+/g, " "));
}
process.exit(0);
