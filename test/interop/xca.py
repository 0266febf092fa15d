"""XCA without its windows, in a terminal of its own: see README.md.

Its exit status is 0 whatever happens, and it asks for passwords on a terminal only, so a pseudo-terminal answers each
question and what counts is what the database holds afterwards. It only reads: it has no command that writes a
certificate or a PKCS#12 file.
"""
import base64
import hashlib
import os
import pty
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

DATABASE_PASSWORD = "database"
KEY, CSR, CERTIFICATE, CRL = 1, 2, 3, 4


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def openssl(arguments, data):
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


def xca(database, path, passphrase):
    """What it prints. The first question of a new database is that of its password, twice."""
    environment = dict(os.environ, QT_QPA_PLATFORM="offscreen", HOME=os.path.dirname(database))
    arguments = ["xca", "--no-gui", f"--database={database}", f"--password=pass:{DATABASE_PASSWORD}"]
    arguments += ["--import", path] if path else ["--issuers"]
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe("xca", arguments, environment)
    said, answered, until = b"", 0, time.monotonic() + 20
    while time.monotonic() < until:
        if not select.select([terminal], [], [], 0.5)[0]:
            if os.waitpid(child, os.WNOHANG)[0]:
                return said.decode(errors="replace")
            continue
        try:
            part = os.read(terminal, 4096)
        except OSError:
            part = b""
        if not part:
            os.waitpid(child, 0)
            return said.decode(errors="replace")
        said += part
        asked = len(re.findall(rb"assword(?: \(verify\))?:|erify:|epeat:", said))
        if asked > 8:
            break
        while answered < asked:
            time.sleep(0.05)  # it empties the input when it begins to read
            word = passphrase if path else DATABASE_PASSWORD
            os.write(terminal, word.encode() + b"\n")
            answered += 1
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "it asked for a password without end"


def private_value(private):
    key = openssl(["pkcs8", "-inform", "DER", "-passin", f"pass:{DATABASE_PASSWORD}"], base64.b64decode(private))
    return sha256(openssl(["pkey", "-pubout", "-outform", "DER"], key))


def rows(database, query):
    connection = sqlite3.connect(database)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def key_value(database):
    found = rows(database, "select private from view_private")
    return private_value(found[0][0]) if len(found) == 1 else None


def certificate_values(database):
    return [sha256(base64.b64decode(one)) for one, in
            rows(database, "select cert from view_certs order by id")]


def csr_value(database):
    found = rows(database, "select request from view_requests")
    if len(found) != 1:
        return None
    pem = openssl(["req", "-inform", "DER", "-verify", "-noout", "-pubkey"], base64.b64decode(found[0][0]))
    return sha256(openssl(["pkey", "-pubin", "-outform", "DER"], pem))


def crl_value(database):
    found = rows(database, "select crl from view_crls")
    if len(found) != 1:
        return None
    text = openssl(["crl", "-inform", "DER", "-noout", "-text"], base64.b64decode(found[0][0])).decode()
    serials = re.findall(r"Serial Number: ([0-9A-F]+)", text)
    return ",".join(sorted(one.lower().lstrip("0") for one in serials))


def pkcs12_value(database):
    key, certificates = key_value(database), certificate_values(database)
    return f"{key}:{','.join(certificates)}" if key and certificates else None


values = {
    "key": key_value,
    "csr": csr_value,
    "certificates": lambda database: ",".join(certificate_values(database)) or None,
    "crl": crl_value,
    "pkcs12": pkcs12_value,
}


def read_all(manifest):
    with tempfile.TemporaryDirectory() as directory:
        empty = os.path.join(directory, "empty.xdb")
        said = xca(empty, None, "")
        if not os.path.exists(empty):
            sys.exit("XCA made no database: " + said)
        for line in open(manifest):
            path, kind, passphrase, _ = line.rstrip("\n").split("\t")
            database = os.path.join(directory, "one.xdb")
            shutil.copy(empty, database)
            said = xca(database, path, "" if passphrase == "-" else passphrase)
            value = values[kind](database)
            words = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", said).split())
            print(f"{path}\tok\t{value}" if value else f"{path}\terror\t{words or 'it said nothing'}", flush=True)


if sys.argv[1] == "read":
    read_all(sys.argv[2])
