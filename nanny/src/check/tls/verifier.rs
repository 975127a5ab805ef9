//! Whether a server's certificate is good: in time, for the right name, and signed by somebody who is trusted.
//!
//! The work is done by `rustls-webpki`. Added to it: a server's own certificate can be trusted even if it says that it is an
//! authority, as those do that are made with one call of openssl; one that nobody but itself has signed is told from
//! one of an unknown authority; and everything can be let pass.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use webpki::EndEntityCert;

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// Says which certificates are good.
#[derive(Debug)]
pub struct Verifier {
    algorithms: WebPkiSupportedAlgorithms,
    /// None if everybody is.
    authorities: Option<Authorities>,
}

#[derive(Debug)]
struct Authorities {
    webpki: Arc<WebPkiServerVerifier>,
    /// Certificates that are trusted as they are.
    named: Vec<CertificateDer<'static>>,
}

/// A certificate that is signed by itself and that nobody trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelfSigned;

impl fmt::Display for SelfSigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("self-signed")
    }
}

impl std::error::Error for SelfSigned {}

impl Verifier {
    /// Lets everything pass.
    #[must_use]
    pub fn anybody(provider: &CryptoProvider) -> Self {
        Self { algorithms: provider.signature_verification_algorithms, authorities: None }
    }

    /// Lets pass what `roots` have signed, and the certificates in `named` themselves.
    ///
    /// # Errors
    /// There are no roots.
    pub fn authorities(
        provider: &Arc<CryptoProvider>,
        roots: RootCertStore,
        named: Vec<CertificateDer<'static>>,
    ) -> Result<Self, String> {
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let webpki = builder.build().map_err(|error| format!("nobody is trusted: {error}"))?;
        let algorithms = provider.signature_verification_algorithms;
        Ok(Self { algorithms, authorities: Some(Authorities { webpki, named }) })
    }

    /// How many whole days the chain is good for after `now`, if it is good then, and is not `days` later.
    #[must_use]
    pub fn days_left(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
        days: u16,
    ) -> Option<u16> {
        let (certificate, intermediates) = chain.split_first()?;
        let later = now.as_secs().saturating_add(u64::from(days) * DAY);
        let later = UnixTime::since_unix_epoch(Duration::from_secs(later));
        match self.authorities.as_ref()?.verify(certificate, intermediates, name, later) {
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
                u16::try_from(not_after.as_secs().saturating_sub(now.as_secs()) / DAY).ok()
            }
            _ => None,
        }
    }
}

impl Authorities {
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let Err(error) = self.webpki.verify_server_cert(certificate, intermediates, name, &[], now) else {
            return Ok(());
        };
        // Found after its dates have been looked at, and before its name.
        if is(&error, &webpki::Error::CaUsedAsEndEntity)
            && self.named.iter().any(|named| named == certificate)
        {
            return verify_server_name(&ParsedCertificate::try_from(certificate)?, name);
        }
        let is_unknown = error == Error::InvalidCertificate(CertificateError::UnknownIssuer)
            || is(&error, &webpki::Error::CaUsedAsEndEntity);
        if is_unknown && is_self_signed(certificate) {
            let reason = OtherError(Arc::new(SelfSigned));
            return Err(Error::InvalidCertificate(CertificateError::Other(reason)));
        }
        Err(error)
    }
}

fn is(error: &Error, cause: &webpki::Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
    other.0.downcast_ref() == Some(cause)
}

fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(certificate).is_ok_and(|parsed| parsed.issuer() == parsed.subject())
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(authorities) = &self.authorities {
            authorities.verify(certificate, intermediates, name, now)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.authorities {
            Some(_) => verify_tls12_signature(message, certificate, signature, &self.algorithms),
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.authorities {
            Some(_) => verify_tls13_signature(message, certificate, signature, &self.algorithms),
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
