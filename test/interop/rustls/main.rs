//! rustls-pki-types and rustls with ring, as the Temporal SDKs over Rust read what they are given: see ../README.md.
use rustls::crypto::ring::sign::any_supported_type;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, CertificateSigningRequestDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key(text: &[u8]) -> Result<String, String> {
    let der = PrivateKeyDer::from_pem_slice(text).map_err(|error| error.to_string())?;
    let signer = any_supported_type(&der).map_err(|error| error.to_string())?;
    signer.public_key().map(|public| hash(&public)).ok_or("no public key".to_string())
}

fn certificates(text: &[u8]) -> Result<String, String> {
    let mut values = Vec::new();
    for item in CertificateDer::pem_slice_iter(text) {
        values.push(hash(&item.map_err(|error| error.to_string())?));
    }
    Ok(values.join(","))
}

// The signature of a CSR and the entries of a CRL are nothing that it looks at.
fn csr(text: &[u8]) -> Result<String, String> {
    CertificateSigningRequestDer::from_pem_slice(text).map(|_| "-".to_string()).map_err(|error| error.to_string())
}

fn crl(text: &[u8]) -> Result<String, String> {
    let der = CertificateRevocationListDer::from_pem_slice(text).map_err(|error| error.to_string())?;
    webpki::BorrowedCertRevocationList::from_der(&der).map(|_| "-".to_string()).map_err(|error| format!("{error:?}"))
}

fn main() {
    let manifest = std::env::args().nth(2).expect("usage: rustls read MANIFEST");
    for line in std::fs::read_to_string(manifest).expect("manifest").lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let text = std::fs::read(fields[0]).expect("artefact");
        let answer = match fields[1] {
            "key" => key(&text),
            "certificates" => certificates(&text),
            "csr" => csr(&text),
            "crl" => crl(&text),
            _ => {
                println!("{}\tnone\t-", fields[0]);
                continue;
            }
        };
        match answer {
            Ok(value) => println!("{}\tok\t{}", fields[0], value),
            Err(message) => println!("{}\terror\t{}", fields[0], message.replace(['\n', '\t'], " ")),
        }
    }
}
