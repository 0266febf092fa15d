"""Python's ssl module, and the cryptography package.

What load_cert_chain loaded is seen in the Certificate message of a TLS 1.2 handshake, which is not
encrypted. load_verify_locations gives a set, without order: it is printed in order of the hashes.
get_ca_certs lists those with basicConstraints CA:TRUE only: all certificates here must have it.
READERS_KEYS is a directory of NAME.pem and NAME.key, certificates with their keys.
"""

import glob
import hashlib
import os
import re
import ssl
import sys
import warnings

from cryptography import x509
from cryptography.hazmat.primitives import serialization

warnings.simplefilter("ignore")

KEYS = sorted(glob.glob(os.path.join(os.environ["READERS_KEYS"], "*.key")))
MISMATCH = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")


def digest(der):
    return hashlib.sha256(der).hexdigest()


def refused(error):
    # cryptography's errors may quote what they do not like
    text = getattr(error, "reason", None) or str(error).split("\n", 1)[0]
    return "error: " + re.sub(r"\s+", " ", f"{type(error).__name__}: {text}")[:120]


def attempt(read):
    try:
        return read()
    except BaseException as error:  # pyo3's PanicException is not an Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        return refused(error)


def certificates_in(records):
    handshake = b""
    while len(records) >= 5:
        end = 5 + int.from_bytes(records[3:5], "big")
        if records[0] == 22:
            handshake += records[5:end]
        records = records[end:]
    while len(handshake) >= 4:
        end = 4 + int.from_bytes(handshake[1:4], "big")
        if handshake[0] == 11:
            body = handshake[7:end]
            found = []
            while body:
                size = int.from_bytes(body[:3], "big")
                found.append(body[3 : 3 + size])
                body = body[3 + size :]
            return found
        handshake = handshake[end:]
    raise ValueError("no Certificate message")


def client_hello():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


HELLO = client_hello()


def load_pair(certificate, key):
    """A context, or the error of the last pair that was tried."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key, password=lambda: b"")
    return context


def ssl_chain(path):
    for key in KEYS:
        try:
            context = load_pair(path, key)
        except ssl.SSLError as error:
            if error.reason in MISMATCH and key != KEYS[-1]:
                continue
            raise
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        incoming.write(HELLO)
        try:
            context.wrap_bio(incoming, outgoing, server_side=True).do_handshake()
        except ssl.SSLWantReadError:
            pass
        return ",".join(map(digest, certificates_in(outgoing.read())))


def ssl_key(path):
    for key in KEYS:
        certificate = key[:-4] + ".pem"
        try:
            load_pair(certificate, path)
        except ssl.SSLError as error:
            if error.reason in MISMATCH and key != KEYS[-1]:
                continue
            raise
        with open(certificate, "rb") as file:
            public = x509.load_pem_x509_certificate(file.read()).public_key()
        return "spki:" + digest(
            public.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )


def ssl_roots(**location):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(**location)
    return ",".join(sorted(map(digest, context.get_ca_certs(binary_form=True))))


def cryptography_certificates(text):
    return ",".join(
        digest(certificate.public_bytes(serialization.Encoding.DER))
        for certificate in x509.load_pem_x509_certificates(text)
    )


def cryptography_key(text):
    key = serialization.load_pem_private_key(text, None)
    return "spki:" + digest(
        key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def main():
    paths = sys.stdin.read().splitlines()
    # load_verify_locations(cadata=) asks for a passphrase, on the terminal or on standard input.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        os.setsid()
    except PermissionError:
        pass
    for line in paths:
        path, _, wanted = line.partition("\t")
        with open(path, "rb") as file:
            text = file.read()
        for reader, kind, read in (
            ("python-ssl", "chain", lambda: ssl_chain(path)),
            ("python-ssl", "roots", lambda: ssl_roots(cafile=path)),
            ("python-ssl", "cadata", lambda: ssl_roots(cadata=text.decode("utf-8"))),
            ("python-ssl", "key", lambda: ssl_key(path)),
            ("cryptography", "chain", lambda: cryptography_certificates(text)),
            ("cryptography", "key", lambda: cryptography_key(text)),
        ):
            if wanted == "" or (wanted == "key") == (kind == "key"):
                print(reader, path, kind, attempt(read), sep="\t")


main()
