// Node's crypto and tls: see ../README.md.
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createSecureContext } from "node:tls";

const hash = (der) => createHash("sha256").update(der).digest("hex");
const publicValue = (key) => hash(createPublicKey(key).export({ type: "spki", format: "der" }));

const readers = {
  key: (data, passphrase) => publicValue(createPrivateKey({ key: data, format: "pem", passphrase })),
  certificates: (data) => data.toString("latin1").match(/-----BEGIN[^-]*-----[^-]*-----END[^-]*-----/g)
    .map((block) => hash(new X509Certificate(block).raw)).join(","),
  // What a TLS client takes of it: the leaf; the key and its certificates stay inside.
  pkcs12: (data, passphrase) => "-:" + hash(createSecureContext({ pfx: data, passphrase: passphrase ?? "" })
    .context.getCertificate()) + ",-",
  // Node parses a CRL only to trust by it.
  crl: (data) => createSecureContext({ crl: data }) && "-",
};

function read(manifest) {
  for (const line of readFileSync(manifest, "utf8").split("\n").filter(Boolean)) {
    const [path, kind, passphrase] = line.split("\t");
    let answer = "none\t-";
    if (readers[kind]) {
      try {
        answer = `ok\t${readers[kind](readFileSync(path), passphrase === "-" ? undefined : passphrase)}`;
      } catch (error) {
        answer = `error\t${error.message.replace(/\s+/g, " ")}`;
      }
    }
    console.log(`${path}\t${answer}`);
  }
}

function write(directory) {
  const kinds = { p256: ["ec", { namedCurve: "P-256" }], p384: ["ec", { namedCurve: "P-384" }],
    p521: ["ec", { namedCurve: "P-521" }], rsa2048: ["rsa", { modulusLength: 2048 }],
    rsa3072: ["rsa", { modulusLength: 3072 }], rsa4096: ["rsa", { modulusLength: 4096 }], ed25519: ["ed25519", {}] };
  const put = (name, passphrase, value, text) => {
    writeFileSync(`${directory}/${name}`, text);
    console.log(`${directory}/${name}\tkey\t${passphrase}\t${value}`);
  };
  for (const [name, [kind, options]] of Object.entries(kinds)) {
    const { privateKey, publicKey } = generateKeyPairSync(kind, options);
    const value = hash(publicKey.export({ type: "spki", format: "der" }));
    const encrypted = { format: "pem", cipher: "aes-256-cbc", passphrase: "swordfish" };
    put(`key.${name}.pkcs8`, "-", value, privateKey.export({ type: "pkcs8", format: "pem" }));
    put(`key.${name}.pkcs8-encrypted`, "swordfish", value, privateKey.export({ type: "pkcs8", ...encrypted }));
    const type = { ec: "sec1", rsa: "pkcs1" }[kind];
    if (type) {
      put(`key.${name}.traditional`, "-", value, privateKey.export({ type, format: "pem" }));
      put(`key.${name}.traditional-encrypted`, "swordfish", value, privateKey.export({ type, ...encrypted }));
    }
  }
}

(process.argv[2] === "read" ? read : write)(process.argv[3]);
