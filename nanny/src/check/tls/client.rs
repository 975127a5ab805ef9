//! How to speak TLS with one server: everything that is read from files, read once.

use std::fs;
use std::net::IpAddr;
use std::sync::Arc;

use checkspec::tls::{Identity, Tls, Trust, Version};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};

use super::verifier::Verifier;

/// How to speak TLS with one server.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) config: Arc<ClientConfig>,
    /// Whom the certificate has to be for; a name is also asked for.
    pub(super) name: ServerName<'static>,
    pub(super) has_identity: bool,
    verifier: Arc<Verifier>,
    /// The warning's days.
    expiry: Option<u16>,
}

impl Client {
    /// Reads the files that `asked` names. `host` is the name or the address that stands in for a missing `sni`, `address`
    /// the server's, `protocol` what is spoken inside, as it is registered (RFC 7301, 6).
    ///
    /// # Errors
    /// What is wrong with a file or with what is in it.
    pub fn new(
        asked: &Tls,
        host: Option<&str>,
        address: IpAddr,
        protocol: Option<&'static [u8]>,
    ) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let (verifier, expiry) = match &asked.trust {
            Trust::Anybody => (Verifier::anybody(&provider), None),
            Trust::Authorities { file, expiry } => (authorities(&provider, file.as_deref())?, *expiry),
        };
        let verifier = Arc::new(verifier);
        let versions = match asked.min {
            Version::V1_2 => &[&TLS12, &TLS13][..],
            Version::V1_3 => &[&TLS13],
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| format!("TLS cannot be used: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::<Verifier>::clone(&verifier));
        let mut config = match &asked.identity {
            None => config.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = read_identity(identity)?;
                let refused =
                    |error| format!("key={} does not go with cert={}: {error}", identity.key, identity.cert);
                config.with_client_auth_cert(chain, key).map_err(refused)?
            }
        };
        config.resumption = Resumption::disabled();
        config.alpn_protocols = protocol.map(<[u8]>::to_vec).into_iter().collect();
        Ok(Self {
            config: Arc::new(config),
            name: name(asked.sni.as_deref().or(host), address)?,
            has_identity: asked.identity.is_some(),
            verifier,
            expiry,
        })
    }

    /// How many days a good chain of certificates is good for after `now`, if that is worth a warning.
    pub(super) fn days_left(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Option<u16> {
        self.verifier.days_left(chain, &self.name, now, self.expiry?)
    }
}

/// Whom a certificate has to be for.
fn name(asked: Option<&str>, address: IpAddr) -> Result<ServerName<'static>, String> {
    let Some(text) = asked else { return Ok(ServerName::IpAddress(address.into())) };
    ServerName::try_from(text.to_owned()).map_err(|_| format!("no certificate can be for `{text}`"))
}

fn authorities(provider: &Arc<CryptoProvider>, file: Option<&str>) -> Result<Verifier, String> {
    let mut roots = RootCertStore::empty();
    let Some(path) = file else {
        let found = rustls_native_certs::load_native_certs();
        let (good, _) = roots.add_parsable_certificates(found.certs);
        if good == 0 {
            return Err(
                "this system trusts no authority: name some with ca=FILE, or write verify=off".to_owned()
            );
        }
        return Verifier::authorities(provider, roots, Vec::new());
    };
    let named = read_certificates("ca", path)?;
    for certificate in &named {
        let refused = |error| format!("ca={path} has a certificate that cannot be used: {error}");
        roots.add(certificate.clone()).map_err(refused)?;
    }
    Verifier::authorities(provider, roots, named)
}

fn read_identity(
    identity: &Identity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let chain = read_certificates("cert", &identity.cert)?;
    let path = &identity.key;
    let key = PrivateKeyDer::from_pem_slice(&read("key", path)?)
        .map_err(|error| format!("key={path} has no private key in PEM ({error})"))?;
    Ok((chain, key))
}

/// The certificates of a file, at least one.
fn read_certificates(option: &str, path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(option, path)?;
    let certificates = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(format!("{option}={path} has no certificate in PEM"))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("{option}={path} is no PEM ({error})")),
    }
}

fn read(option: &str, path: &str) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{option}={path} cannot be read: {error}"))
}
