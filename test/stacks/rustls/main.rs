// rustls with ring: requires a client certificate, and answers each HTTP/2 request with one GetSystemInfoResponse.
//
//   rustls-server DIRECTORY NAME...   a NAME is a host with NAME.pem and NAME.key of its own
//   rustls-server verify ROOTS CHAIN SECONDS   what it makes of a client's chain at that time (since the epoch):
//                                              `accepted`, or its error
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::TLS12;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion, ALL_VERSIONS};

#[derive(Debug)]
struct Names {
    by_name: HashMap<String, Arc<CertifiedKey>>,
    otherwise: Option<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.by_name.get(name));
        named.or(self.otherwise.as_ref()).cloned()
    }
}

fn pair(directory: &str, name: &str) -> Arc<CertifiedKey> {
    let chain = CertificateDer::pem_file_iter(format!("{directory}/{name}.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(format!("{directory}/{name}.key")).unwrap();
    let signer = ring::sign::any_supported_type(&key).unwrap();
    Arc::new(CertifiedKey::new(chain.map(Result::unwrap).collect(), signer))
}

// RFC 9113, 4.1
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

// Literal fields without Huffman or index: RFC 7541, 6.2.2.
fn fields(list: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in list {
        bytes.push(0);
        bytes.push(name.len() as u8);
        bytes.extend(name.bytes());
        bytes.push(value.len() as u8);
        bytes.extend(value.bytes());
    }
    bytes
}

fn answer(stream: u32) -> Vec<u8> {
    let headers = fields(&[(":status", "200"), ("content-type", "application/grpc")]);
    let mut bytes = frame(1, 4, stream, &headers);
    bytes.extend(frame(0, 0, stream, b"\0\0\0\0\x08\x0a\x06stacks"));
    bytes.extend(frame(1, 5, stream, &fields(&[("grpc-status", "0")])));
    bytes
}

fn serve(config: Arc<ServerConfig>, socket: TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut tls = StreamOwned::new(connection, socket);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    tls.write_all(&frame(4, 0, 0, b""))?;
    tls.flush()?;
    let mut preface = [0; 24];
    tls.read_exact(&mut preface)?;
    loop {
        let mut head = [0; 9];
        tls.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length as usize];
        tls.read_exact(&mut payload)?;
        match (head[3], head[4] & 1) {
            (0 | 1, 1) => tls.write_all(&answer(stream))?, // the request ends
            (4, 0) => tls.write_all(&frame(4, 1, 0, b""))?,
            (6, 0) => tls.write_all(&frame(6, 1, 0, &payload))?,
            _ => (),
        }
        tls.flush()?;
    }
}

fn listen(label: &str, config: ServerConfig) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("LISTEN {label} {}", listener.local_addr().unwrap().port());
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let config = config.clone();
            std::thread::spawn(move || serve(config, socket));
        }
    });
}

fn verify(roots_path: &str, chain_path: &str, seconds: u64) -> Result<(), String> {
    let read = |path: &str| -> Result<Vec<CertificateDer<'static>>, String> {
        let list = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
        list.collect::<Result<_, _>>().map_err(|error| error.to_string())
    };
    let mut roots = RootCertStore::empty();
    for root in read(roots_path)? {
        roots.add(root).map_err(|error| format!("{error:?}"))?;
    }
    let chain = read(chain_path)?;
    let leaf = chain.first().ok_or("no certificate")?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()))
        .build()
        .map_err(|error| format!("{error:?}"))?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    verifier.verify_client_cert(leaf, &chain[1..], now).map(|_| ()).map_err(|error| format!("{error:?}"))
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments[1] == "verify" {
        let verdict = verify(&arguments[2], &arguments[3], arguments[4].parse().unwrap());
        println!("{}", verdict.err().unwrap_or("accepted".into()));
        return;
    }
    let directory = &arguments[1];
    let names = || Names {
        by_name: arguments[2..].iter().map(|name| (name.clone(), pair(directory, name))).collect(),
        otherwise: Some(pair(directory, "server")),
    };
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(format!("{directory}/client-ca.pem")).unwrap() {
        roots.add(root.unwrap()).unwrap();
    }
    let provider = Arc::new(ring::default_provider());
    let crls = CertificateRevocationListDer::pem_file_iter(format!("{directory}/crl.pem")).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .with_crls(crls.map(Result::unwrap))
        .only_check_end_entity_revocation()
        .allow_unknown_revocation_status()
        .build()
        .unwrap();
    let config = |names: Names, protocol: &str, versions: &[&'static SupportedProtocolVersion]| {
        let mut made = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .unwrap()
            .with_client_cert_verifier(verifier.clone())
            .with_cert_resolver(Arc::new(names));
        made.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        made
    };
    listen("rustls", config(names(), "h2", ALL_VERSIONS));
    listen("rustls12", config(names(), "h2", &[&TLS12]));
    listen("rustls_http1", config(names(), "http/1.1", ALL_VERSIONS));
    listen("rustls_sni", config(Names { otherwise: None, ..names() }, "h2", ALL_VERSIONS));
    loop {
        std::thread::park();
    }
}
