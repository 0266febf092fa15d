"""Microsoft's own SDK against a vault: python sdk.py URL CA TOKEN CERTIFICATE_PEM KEY_AND_CHAIN_PEM PFX

Creates, merges and imports as its documentation shows, and prints what came back, as JSON.
"""
import base64
import json
import sys
import time

from azure.core.credentials import AccessToken
from azure.keyvault.certificates import (
    CertificateClient, CertificateContentType, CertificatePolicy, KeyCurveName, KeyType, KeyUsageType)
from azure.keyvault.secrets import SecretClient

url, authority, token, phase, path = sys.argv[1:6]


class Credential:
    def get_token(self, *scopes, **options):
        return AccessToken(token, int(time.time()) + 3600)


options = dict(connection_verify=authority, verify_challenge_resource=False, api_version="7.4", retry_total=0)
certificates = CertificateClient(url, Credential(), **options)
secrets = SecretClient(url, Credential(), **options)

if phase == "create":
    policy = CertificatePolicy(
        issuer_name="Unknown", subject="CN=payments.a1b2c", exportable=True, key_type=KeyType.ec,
        key_curve_name=KeyCurveName.p_256, reuse_key=False, content_type=CertificateContentType.pem,
        enhanced_key_usage=["1.3.6.1.5.5.7.3.2"], key_usage=[KeyUsageType.digital_signature],
        validity_in_months=12)
    certificates.begin_create_certificate("sdk", policy)
    operation = certificates.get_certificate_operation("sdk")
    print(json.dumps({"csr": base64.b64encode(operation.csr).decode(), "status": operation.status}))
elif phase == "merge":
    with open(path) as file:
        blocks = [block.split("-----BEGIN CERTIFICATE-----")[1].replace("\n", "")
                  for block in file.read().split("-----END CERTIFICATE-----")[:-1]]
    merged = certificates.merge_certificate("sdk", [base64.b64decode(block) for block in blocks])
    secret = secrets.get_secret("sdk")
    print(json.dumps({"cer": base64.b64encode(merged.cer).decode(), "value": secret.value,
                      "contentType": secret.properties.content_type}))
elif phase == "import":
    with open(path, "rb") as file:
        data = file.read()
    kind = CertificateContentType.pem if data.startswith(b"-----") else CertificateContentType.pkcs12
    password = None if kind == CertificateContentType.pem else ""
    certificates.import_certificate("sdk", data, password=password, policy=CertificatePolicy(content_type=kind))
    secret = secrets.get_secret("sdk")
    print(json.dumps({"value": secret.value, "contentType": secret.properties.content_type}))
