//! rustls-pki-types, as tonic (so the Temporal SDKs that embed the Rust core) reads PEM: the first
//! error refuses the whole text. What came before it is printed too.
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use std::io::{BufRead, Cursor, Write};

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn list(items: impl Iterator<Item = Result<CertificateDer<'static>, rustls_pki_types::pem::Error>>) -> String {
    let mut hashes = Vec::new();
    for item in items {
        match item {
            Ok(certificate) => hashes.push(hash(&certificate)),
            Err(error) => {
                let gap = if hashes.is_empty() { "" } else { " " };
                return format!("{}{gap}error: {}", hashes.join(","), name(&error));
            }
        }
    }
    if hashes.is_empty() {
        return "error: no items found".to_string();
    }
    hashes.join(",")
}

// Without the bytes that Display quotes: they may be those of a key.
fn name(error: &rustls_pki_types::pem::Error) -> String {
    use rustls_pki_types::pem::Error;
    match error {
        Error::MissingSectionEnd { .. } => "missing section end marker".to_string(),
        Error::IllegalSectionStart { .. } => "illegal section start".to_string(),
        other => other.to_string(),
    }
}

fn key(read: Result<PrivateKeyDer<'static>, rustls_pki_types::pem::Error>) -> String {
    match read {
        Ok(PrivateKeyDer::Pkcs8(der)) => format!("pkcs8:{}", hash(der.secret_pkcs8_der())),
        Ok(PrivateKeyDer::Pkcs1(der)) => format!("pkcs1:{}", hash(der.secret_pkcs1_der())),
        Ok(PrivateKeyDer::Sec1(der)) => format!("sec1:{}", hash(der.secret_sec1_der())),
        Ok(_) => "error: a key of a new kind".to_string(),
        Err(error) => format!("error: {}", name(&error)),
    }
}

fn main() {
    let mut out = std::io::BufWriter::new(std::io::stdout());
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a path");
        let (path, kind) = line.split_once('\t').unwrap_or((&line, ""));
        let text = std::fs::read(path).expect(path);
        // tonic reads through the reader, others a slice: two implementations, one answer.
        if kind != "key" {
            let chain = list(CertificateDer::pem_slice_iter(&text));
            assert_eq!(chain, list(CertificateDer::pem_reader_iter(Cursor::new(&text))), "{path}");
            writeln!(out, "rustls\t{path}\tchain\t{chain}").unwrap();
            writeln!(out, "rustls\t{path}\troots\t{chain}").unwrap();
        }
        if kind != "certificates" {
            let private = key(PrivateKeyDer::from_pem_slice(&text));
            assert_eq!(private, key(PrivateKeyDer::from_pem_reader(Cursor::new(&text))), "{path}");
            writeln!(out, "rustls\t{path}\tkey\t{private}").unwrap();
        }
    }
}
