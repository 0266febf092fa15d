// http2 of Node over OpenSSL: TLS 1.3, TLS 1.2, whoever comes, HTTP/1.1 alone, TLS 1.1 alone, and no TLS.
//
//   node server.mjs DIRECTORY NAME...   a NAME is a host with NAME.pem and NAME.key of its own
import { readFileSync } from "node:fs";
import http2 from "node:http2";
import tls from "node:tls";

const [directory, ...names] = process.argv.slice(2);
const read = (name) => readFileSync(`${directory}/${name}`);
const pair = (name) => ({ cert: read(`${name}.pem`), key: read(`${name}.key`) });
// One entry a list: of a text with several, Node reads the first.
const crl = read("crl.pem").toString().match(/-----BEGIN[^-]*-----[^-]*-----END[^-]*-----/g);
const trust = { ca: read("client-ca.pem"), crl };
const contexts = new Map(names.map((name) => [name, tls.createSecureContext({ ...pair(name), ...trust })]));

// GetSystemInfoResponse.server_version in a message that is not compressed
const answer = Buffer.from("\0\0\0\0\x08\x0a\x06stacks", "latin1");

function serve(stream) {
  stream.on("error", () => {});
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end(answer);
}

function listen(label, server) {
  server.on("stream", serve);
  server.on("sessionError", () => {});
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1", () => console.log("LISTEN", label, server.address().port));
}

const common = {
  ...pair("server"), ...trust, requestCert: true, rejectUnauthorized: true,
  SNICallback: (name, done) => done(null, contexts.get(name)),
};
listen("node13", http2.createSecureServer({ ...common, minVersion: "TLSv1.3" }));
listen("node12", http2.createSecureServer({ ...common, maxVersion: "TLSv1.2" }));
listen("node_optional", http2.createSecureServer({ ...common, rejectUnauthorized: false }));
listen("node_http1", tls.createServer({ ...common, ALPNProtocols: ["http/1.1"] }));
listen("node_no_alpn", tls.createServer({ ...common, ALPNProtocols: undefined }));
listen("node_tls11", http2.createSecureServer({
  ...common, minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0",
}));
listen("node_sni", http2.createSecureServer({
  ...common, SNICallback: (name, done) => done(new Error(`nobody is called ${name}`)),
}));
listen("node_plaintext", http2.createServer());
