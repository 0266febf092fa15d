// For the script node beside this one: forge.js DIRECTORY
'use strict';

const fs = require('fs');
const path = require('path');
const forge = require('node-forge');
const { pki } = forge;

const directory = process.argv[2];
const day = 24 * 60 * 60 * 1000;

function generate() {
  return pki.rsa.generateKeyPair({ bits: 2048 });
}

// The digest is SHA-1 unless another one is passed to sign().
function make({ subject, issuer, serial, days, keys, by, extensions, digest }) {
  const certificate = pki.createCertificate();
  certificate.publicKey = keys.publicKey;
  certificate.serialNumber = serial;
  certificate.validity.notBefore = new Date();
  certificate.validity.notAfter = new Date(Date.now() + days * day);
  certificate.setSubject(subject);
  certificate.setIssuer(issuer);
  if (extensions) {
    certificate.setExtensions(extensions);
  }
  certificate.sign(by.privateKey, digest);
  return pki.certificateToPem(certificate);
}

function write(name, bundle, chain, keys, pkcs8) {
  const into = path.join(directory, name);
  fs.mkdirSync(into);
  fs.writeFileSync(path.join(into, 'bundle.pem'), bundle);
  fs.writeFileSync(path.join(into, 'chain.pem'), chain);
  const key = pkcs8
    ? pki.privateKeyInfoToPem(pki.wrapRsaPrivateKey(pki.privateKeyToAsn1(keys.privateKey)))
    : pki.privateKeyToPem(keys.privateKey);
  fs.writeFileSync(path.join(into, 'client.key'), key);
}

const organization = [{ name: 'organizationName', value: 'Acme' }];
const named = (name) => [...organization, { name: 'commonName', value: name }];
const authority = generate();
const client = generate();

// The example of the library's front page: one certificate that is and may do everything, CA:TRUE
// among it, signed with what sign() takes by itself.
const everything = make({
  subject: named('worker'), issuer: named('worker'), serial: '01', days: 365, keys: client, by: client,
  extensions: [
    { name: 'basicConstraints', cA: true },
    {
      name: 'keyUsage', keyCertSign: true, digitalSignature: true, nonRepudiation: true,
      keyEncipherment: true, dataEncipherment: true,
    },
    { name: 'extKeyUsage', serverAuth: true, clientAuth: true, codeSigning: true, timeStamping: true },
    { name: 'subjectKeyIdentifier' },
  ],
});
write('front-page', everything, everything, client, false);

const root = make({
  subject: named('Acme CA'), issuer: named('Acme CA'), serial: '01', days: 730, keys: authority, by: authority,
  extensions: [
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    { name: 'subjectKeyIdentifier' },
  ],
  digest: forge.md.sha256.create(),
});

// A leaf for which nobody called setExtensions: version 3 without extensions, and SHA-1.
write('no-extensions', root, make({
  subject: named('worker'), issuer: named('Acme CA'), serial: '02', days: 365, keys: client, by: authority,
}), client, false);

write('client', root, make({
  subject: named('worker'), issuer: named('Acme CA'), serial: '03', days: 365, keys: client, by: authority,
  extensions: [
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
    { name: 'extKeyUsage', clientAuth: true },
  ],
  digest: forge.md.sha256.create(),
}), client, true);

// The issuer copied by hand, in another string type than the CA's subject has: OpenSSL compares
// names by their meaning, crypto/x509 byte for byte.
write('issuer-in-other-bytes', root, make({
  subject: named('worker'),
  issuer: named('Acme CA').map((field) => ({ ...field, valueTagClass: forge.asn1.Type.UTF8 })),
  serial: '04', days: 365, keys: client, by: authority,
  extensions: [
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, critical: true },
    { name: 'extKeyUsage', clientAuth: true },
  ],
  digest: forge.md.sha256.create(),
}), client, true);
