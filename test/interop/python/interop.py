"""Python's cryptography: see ../README.md."""
import datetime
import hashlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def public_value(key):
    return sha256(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))


def der(certificate):
    return certificate.public_bytes(serialization.Encoding.DER)


def read_key(data, passphrase):
    return public_value(serialization.load_pem_private_key(data, passphrase).public_key())


def read_csr(data, _):
    csr = x509.load_pem_x509_csr(data)
    if not csr.is_signature_valid:
        raise ValueError("the signature does not hold")
    return public_value(csr.public_key())


def read_certificates(data, _):
    return ",".join(sha256(der(one)) for one in x509.load_pem_x509_certificates(data))


def read_crl(data, _):
    return ",".join(sorted(f"{entry.serial_number:x}" for entry in x509.load_pem_x509_crl(data)))


def read_pkcs12(data, passphrase):
    found = pkcs12.load_pkcs12(data, passphrase)
    certificates = [found.cert.certificate] + [one.certificate for one in found.additional_certs]
    return public_value(found.key.public_key()) + ":" + ",".join(sha256(der(one)) for one in certificates)


def read_all(manifest):
    readers = {"key": read_key, "csr": read_csr, "certificates": read_certificates, "crl": read_crl,
               "pkcs12": read_pkcs12}
    for line in open(manifest):
        path, kind, passphrase, _ = line.rstrip("\n").split("\t")
        try:
            with open(path, "rb") as file:
                value = readers[kind](file.read(), None if passphrase == "-" else passphrase.encode())
            print(f"{path}\tok\t{value}")
        except Exception as error:  # whatever the library raises is its answer
            print(f"{path}\terror\t{type(error).__name__}: {' '.join(str(error).split())}")


def write_all(directory):
    kinds = {"p256": lambda: ec.generate_private_key(ec.SECP256R1()),
             "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
             "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
             "rsa2048": lambda: rsa.generate_private_key(65537, 2048),
             "rsa3072": lambda: rsa.generate_private_key(65537, 3072),
             "rsa4096": lambda: rsa.generate_private_key(65537, 4096),
             "ed25519": ed25519.Ed25519PrivateKey.generate}
    password = b"swordfish"
    encrypted = serialization.BestAvailableEncryption(password)
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)

    def put(name, kind, passphrase, value, data):
        with open(f"{directory}/{name}", "wb") as file:
            file.write(data)
        print(f"{directory}/{name}\t{kind}\t{passphrase}\t{value}")

    for name, generate in kinds.items():
        key = generate()
        value = public_value(key.public_key())
        digest = None if name == "ed25519" else hashes.SHA256()
        forms = {"pkcs8": serialization.PrivateFormat.PKCS8}
        if name != "ed25519":
            forms["traditional"] = serialization.PrivateFormat.TraditionalOpenSSL
        for form, private_format in forms.items():
            put(f"key.{name}.{form}", "key", "-", value, key.private_bytes(pem, private_format, plain))
            put(f"key.{name}.{form}-encrypted", "key", "swordfish", value,
                key.private_bytes(pem, private_format, encrypted))
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"worker {name}")])
        csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, digest)
        put(f"csr.{name}", "csr", "-", value, csr.public_bytes(pem))
        certificate = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
                       .public_key(key.public_key()).serial_number(0x1001).not_valid_before(now)
                       .not_valid_after(now + datetime.timedelta(days=30))
                       .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                       .sign(key, digest))
        own = sha256(der(certificate))
        put(f"certificates.{name}", "certificates", "-", own, certificate.public_bytes(pem))
        revoked = (x509.RevokedCertificateBuilder().serial_number(0xabc).revocation_date(now).build())
        crl = (x509.CertificateRevocationListBuilder().issuer_name(subject).last_update(now)
               .next_update(now + datetime.timedelta(days=1)).add_revoked_certificate(revoked).sign(key, digest))
        put(f"crl.{name}", "crl", "-", "abc", crl.public_bytes(pem))
        put(f"pkcs12.{name}.best", "pkcs12", "swordfish", f"{value}:{own}",
            pkcs12.serialize_key_and_certificates(b"worker", key, certificate, None, encrypted))
        put(f"pkcs12.{name}.plain", "pkcs12", "-", f"{value}:{own}",
            pkcs12.serialize_key_and_certificates(b"worker", key, certificate, None, plain))


(read_all if sys.argv[1] == "read" else write_all)(sys.argv[2])
