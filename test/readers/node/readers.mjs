// Node's tls and crypto.
//
// What `cert` loaded is seen in the Certificate message of a TLS 1.2 handshake, which is not
// encrypted. What `ca` loaded cannot be listed in Node 20: READERS_KEYS/issued/HASH.pem is a
// certificate issued by the certificate of that SHA-256, and getIssuer() finds the issuer of the
// current one among the loaded. So `ca` gives a set, in the order of the file names.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { Duplex } from 'node:stream';
import tls from 'node:tls';

const directory = process.env.READERS_KEYS;
const keys = fs.readdirSync(directory).filter((name) => name.endsWith('.key'))
  .map((name) => fs.readFileSync(path.join(directory, name)));
const issued = fs.readdirSync(path.join(directory, 'issued')).sort()
  .map((name) => [name.slice(0, -4), fs.readFileSync(path.join(directory, 'issued', name))]);

const hash = (bytes) => crypto.createHash('sha256').update(bytes).digest('hex');
const refused = (error) =>
  'error: ' + (error.reason || error.code || error.message).replace(/\s+/g, ' ');

function socketPair(seen) {
  const make = (take) => new Duplex({
    read() {},
    write(chunk, encoding, done) { take(chunk); done(); },
    final(done) { done(); },
  });
  const client = make((chunk) => server.push(chunk));
  const server = make((chunk) => { seen.push(chunk); client.push(chunk); });
  return { client, server };
}

// The certificates in the server's first flight, or nothing.
function certificatesIn(records) {
  let handshake = Buffer.alloc(0);
  for (let at = 0; at + 5 <= records.length; at += 5 + records.readUInt16BE(at + 3)) {
    if (records[at] === 22) {
      handshake = Buffer.concat(
        [handshake, records.subarray(at + 5, at + 5 + records.readUInt16BE(at + 3))]);
    }
  }
  for (let at = 0; at + 4 <= handshake.length; at += 4 + handshake.readUIntBE(at + 1, 3)) {
    if (handshake[at] === 11) {
      const found = [];
      const end = at + 7 + handshake.readUIntBE(at + 4, 3);
      for (let from = at + 7; from < end; from += 3 + handshake.readUIntBE(from, 3)) {
        found.push(handshake.subarray(from + 3, from + 3 + handshake.readUIntBE(from, 3)));
      }
      return found;
    }
  }
  return undefined;
}

async function sent(secureContext) {
  const seen = [];
  const { client, server } = socketPair(seen);
  return new Promise((resolve) => {
    const serverSide = new tls.TLSSocket(server, { isServer: true, secureContext });
    const clientSide = tls.connect(
      { socket: client, rejectUnauthorized: false, maxVersion: 'TLSv1.2' });
    const finish = () => {
      serverSide.destroy();
      clientSide.destroy();
      resolve(certificatesIn(Buffer.concat(seen)));
    };
    for (const socket of [clientSide, serverSide]) socket.once('error', finish);
    clientSide.once('secureConnect', finish);
  });
}

async function chain(text) {
  let refusal;
  for (const key of keys) {
    let context;
    try {
      context = tls.createSecureContext({ cert: text, key, ca: [] });
    } catch (error) {
      refusal = error;
      if (/KEY_(VALUES|TYPE)_MISMATCH/.test(error.code)) continue;
      break;
    }
    const found = await sent(context);
    return found ? found.map(hash).join(',') : 'error: loaded, but no handshake';
  }
  return refused(refusal);
}

function roots(text) {
  const found = [];
  try {
    const { context } = tls.createSecureContext({ ca: text });
    for (const [name, certificate] of issued) {
      context.setCert(certificate);
      const issuer = context.getIssuer();
      if (issuer && hash(issuer) === name) found.push(name);
    }
  } catch (error) {
    return refused(error);
  }
  // Node says nothing at all when `ca` holds no certificate.
  return found.join(',');
}

function key(text) {
  try {
    tls.createSecureContext({ key: text, ca: [] });
  } catch (error) {
    return refused(error);
  }
  return 'spki:' + hash(crypto.createPublicKey(crypto.createPrivateKey(text))
    .export({ type: 'spki', format: 'der' }));
}

function one(text) {
  try {
    return hash(new crypto.X509Certificate(text).raw);
  } catch (error) {
    return refused(error);
  }
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [name, kind] = line.split('\t');
  const text = fs.readFileSync(name);
  if (kind !== 'key') {
    console.log(`node\t${name}\tchain\t${await chain(text)}`);
    console.log(`node\t${name}\troots\t${roots(text)}`);
    console.log(`node\t${name}\tone\t${one(text)}`);
  }
  if (kind !== 'certificates') console.log(`node\t${name}\tkey\t${key(text)}`);
}
