//! Certificates and servers that speak TLS, made on the spot.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, Stream};

use super::support::server;

/// A day.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An authority with a folder of its own, which goes when it does.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

/// A certificate and its key.
pub(crate) struct Certified {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) pem: String,
    pub(crate) key: KeyPair,
}

fn params(name: &str, alternatives: &[&str]) -> CertificateParams {
    let alternatives: Vec<String> = alternatives.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(alternatives).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    let (begin, end) = (SystemTime::now() - DAY, SystemTime::now() + 400 * DAY);
    (params.not_before, params.not_after) = (begin.into(), end.into());
    params
}

impl Authority {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("ca-{}-{count}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut params = params(&format!("authority {count}"), &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer, folder }
    }

    /// A certificate for `names` that ends after `end`.
    pub(crate) fn certify(&self, names: &[&str], end: SystemTime) -> Certified {
        let key = KeyPair::generate().unwrap();
        let mut params = params("server", names);
        params.not_before = (end - 300 * DAY).into();
        params.not_after = end.into();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Certified { certificate: certificate.der().clone(), pem: certificate.pem(), key }
    }

    /// A certificate for `names` that is good for long.
    pub(crate) fn certify_well(&self, names: &[&str]) -> Certified {
        self.certify(names, SystemTime::now() + 200 * DAY)
    }

    /// A file in its folder; returns its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        path.into_os_string().into_string().unwrap()
    }

    /// The path of a file with its certificate.
    pub(crate) fn ca(&self) -> String {
        self.file("ca.pem", &self.issuer.pem())
    }

    /// Servers with this certificate that demand one of this authority's from their clients.
    pub(crate) fn demanding(&self, certified: &Certified) -> Arc<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .unwrap();
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_client_cert_verifier(verifier);
        Arc::new(config.with_single_cert(vec![certified.certificate.clone()], certified.der()).unwrap())
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Certified {
    /// A certificate that nobody but itself has signed. As openssl makes them, it says that it is an authority.
    pub(crate) fn by_itself(names: &[&str], end: SystemTime) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params("itself", names);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = (end - 300 * DAY).into();
        params.not_after = end.into();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate: certificate.der().clone(), pem: certificate.pem(), key }
    }

    fn der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }

    /// Servers with this certificate.
    pub(crate) fn serving(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth();
        Arc::new(config.with_single_cert(vec![self.certificate.clone()], self.der()).unwrap())
    }
}

/// A server that speaks TLS and answers what it is asked first with `answer`, and closes.
pub(crate) fn answering(config: Arc<ServerConfig>, answer: &'static [u8]) -> SocketAddr {
    server(move |mut socket: TcpStream| {
        let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = Stream::new(&mut connection, &mut socket);
        // The check may have ended it, which is its right.
        if matches!(stream.read(&mut [0; 4096]), Ok(1..)) && stream.write_all(answer).is_ok() {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
        super::support::wait_for_close(&mut socket);
    })
}
