-- What a party is known not to read of what tcpki writes. `artefact` is a pattern of KIND.KEY.FORM, `message` a plain
-- part of what the party says; `why` stands in docs/interop.md. A row that no artefact meets any longer fails the
-- specs.

return {
  { party = "go", artefact = "^key%..*%.PKCS#8, encrypted$", message = "asn1: structure error",
    why = "crypto/x509 reads no encrypted PKCS#8" },
  { party = "java", artefact = "^key%..*%.traditional$", message = "algid parse error",
    why = "Netty reads PKCS#8 alone, as the Temporal Java SDK does" },
  { party = "java", artefact = "^key%..*%.traditional, encrypted$", message = "Invalid lenByte",
    why = "Netty reads PKCS#8 alone, encrypted or not" },
  { party = "java", artefact = "^key%.ed25519%.", message = "Not a SEQUENCE",
    why = "Netty 4.1 tries RSA, DSA and EC" },
  { party = "java", artefact = "^pkcs12%..*%.passwordless$", message = "0 entries, no key",
    why = "KeyStore passes over a key that is not encrypted, without a word" },
  { party = "rustls", artefact = "^key%..*%.PKCS#8, encrypted$", message = "no items found",
    why = "rustls reads no encrypted keys" },
  { party = "rustls", artefact = "^key%..*%.traditional, encrypted$", message = "InvalidCharacter(45)",
    why = "rustls takes the headers of the old encryption for base64" },
  { party = "rustls", artefact = "^key%.p521%.[^,]*$", message = "failed to parse private key",
    why = "ring has no P-521; aws-lc-rs, the default of newer SDKs, has" },
  { party = "nss", artefact = "^certificates%.ed25519%.", message = "SEC_ERROR_ADDING_CERT",
    why = "this NSS (3.87) has no Ed25519" },
  { party = "nss", artefact = "^pkcs12%.ed25519%.", message = "SEC_ERROR_PKCS12_UNABLE_TO_IMPORT_KEY",
    why = "this NSS (3.87) has no Ed25519" },
  { party = "xca", artefact = "^csr%.ed25519%.", message = "incomplete or inconsistent",
    why = "XCA 2.4 takes an Ed25519 key alone, and nothing that bears its public half" },
  { party = "xca", artefact = "^certificates%.ed25519%.", message = "incomplete or inconsistent",
    why = "XCA 2.4 takes an Ed25519 key alone, and nothing that bears its public half" },
  { party = "xca", artefact = "^pkcs12%.ed25519%.", message = "incomplete or inconsistent",
    why = "XCA 2.4 takes an Ed25519 key alone, and nothing that bears its public half" },
}
