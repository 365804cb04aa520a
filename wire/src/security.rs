//! The keys of one application and the TLS configurations made of them.
//!
//! The client makes a certificate authority for each application, issues one certificate to its ApplicationMaster, one
//! to its executors and one to itself as a driver, and forgets the authority's key. The certificates and keys travel as secrets of the
//! YARN credentials, which only the user's containers can read; the driver's key stays in the client. Both sides of a connection prove themselves: nobody
//! on the network can register an executor or read a task.
//!
//! Validity dates are left wide, because a node's clock may be wrong and the authority lives no longer than its
//! application.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The name that the ApplicationMaster's certificate carries, on whatever host it runs.
pub const SERVER_NAME: &str = "am.drawloom";

/// Names of the secrets in the credentials of the containers.
pub mod secret {
    /// The authority's certificate, DER.
    pub const AUTHORITY: &str = "drawloom.ca";
    /// The ApplicationMaster's certificate, DER.
    pub const AM_CERTIFICATE: &str = "drawloom.am.cert";
    /// The ApplicationMaster's key, PKCS 8.
    pub const AM_KEY: &str = "drawloom.am.key";
    /// The executors' certificate, DER.
    pub const EXECUTOR_CERTIFICATE: &str = "drawloom.executor.cert";
    /// The executors' key, PKCS 8.
    pub const EXECUTOR_KEY: &str = "drawloom.executor.key";
    /// The certificate of a driver in the client, DER. Its key never leaves the client.
    pub const DRIVER_CERTIFICATE: &str = "drawloom.driver.cert";
}

/// Keys that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the application's keys cannot be used: {0}")]
pub struct KeyError(String);

impl KeyError {
    fn new(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// A certificate and its key, and the authority that the peer's certificate must come from. All DER.
#[derive(Clone)]
pub struct Identity {
    /// The authority's certificate.
    pub authority: Vec<u8>,
    /// Our certificate.
    pub certificate: Vec<u8>,
    /// Our key, PKCS 8.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(..)")
    }
}

impl Identity {
    fn roots(&self) -> Result<RootCertStore, KeyError> {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from(self.authority.clone());
        roots.add(authority).map_err(KeyError::new)?;
        Ok(roots)
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from(self.certificate.clone())]
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// What the gateway listens with: TLS 1.3 only, and only peers of the same authority get in.
///
/// # Errors
/// Keys that are damaged or do not belong together.
pub fn server_config(identity: &Identity) -> Result<Arc<ServerConfig>, KeyError> {
    let provider = provider();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(identity.roots()?), provider.clone())
        .build()
        .map_err(KeyError::new)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(KeyError::new)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain(), identity.private_key())
        .map_err(KeyError::new)?;
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// What an executor or a driver dials with.
///
/// # Errors
/// Keys that are damaged or do not belong together.
pub fn client_config(identity: &Identity) -> Result<Arc<ClientConfig>, KeyError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(KeyError::new)?
        .with_root_certificates(identity.roots()?)
        .with_client_auth_cert(identity.chain(), identity.private_key())
        .map_err(KeyError::new)?;
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// [`SERVER_NAME`] as rustls wants it.
#[must_use]
pub fn server_name() -> ServerName<'static> {
    ServerName::try_from(SERVER_NAME).expect("the constant is a valid DNS name")
}

/// The keys of a new application.
#[cfg(feature = "issue")]
#[derive(Debug, Clone)]
pub struct ApplicationKeys {
    /// For the ApplicationMaster.
    pub am: Identity,
    /// For its executors.
    pub executor: Identity,
    /// For a driver in the client.
    pub driver: Identity,
}

#[cfg(feature = "issue")]
mod issue {
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
        KeyUsagePurpose,
    };

    use super::{ApplicationKeys, Identity, KeyError, SERVER_NAME};

    impl ApplicationKeys {
        /// Makes an authority and what it issues; the authority's key is dropped here.
        ///
        /// # Errors
        /// When the system gives no random numbers.
        pub fn issue() -> Result<Self, KeyError> {
            let authority = authority()?;
            let dialer = |name| identity(&authority, name, ExtendedKeyUsagePurpose::ClientAuth);
            Ok(Self {
                am: identity(&authority, SERVER_NAME, ExtendedKeyUsagePurpose::ServerAuth)?,
                executor: dialer("executor.drawloom")?,
                driver: dialer("driver.drawloom")?,
            })
        }
    }

    fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, KeyError> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().map_err(KeyError::new)?;
        CertifiedIssuer::self_signed(params, key).map_err(KeyError::new)
    }

    fn identity(
        authority: &CertifiedIssuer<'static, KeyPair>,
        name: &str,
        purpose: ExtendedKeyUsagePurpose,
    ) -> Result<Identity, KeyError> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(KeyError::new)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().map_err(KeyError::new)?;
        let certificate = params.signed_by(&key, authority).map_err(KeyError::new)?;
        Ok(Identity {
            authority: authority.der().to_vec(),
            certificate: certificate.der().to_vec(),
            key: key.serialize_der(),
        })
    }
}
