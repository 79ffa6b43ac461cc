use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};

use super::pair::{Flaw, certificates, validity};
use super::{Pair, PkiError, Purpose};

const DAY: Duration = Duration::from_secs(24 * 3600);
const AUTHORITY_LIFE: Duration = DAY.saturating_mul(3650);
const LEAF_LIFE: Duration = DAY.saturating_mul(90);
/// Clocks of other machines may be behind.
const SKEW: Duration = Duration::from_secs(5 * 60);

/// A certificate authority with its key, both in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Authority {
    pub certificate: String,
    pub key: String,
}

// === impl Authority ===

impl Authority {
    /// A new one of this common name.
    ///
    /// # Errors
    /// When the machine gives no randomness.
    pub fn make(name: &str, now: SystemTime) -> Result<Self, PkiError> {
        let key = KeyPair::generate()?;
        let mut params = named(name, &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = (now - SKEW).into();
        params.not_after = (now + AUTHORITY_LIFE).into();
        Ok(Self {
            certificate: params.self_signed(&key)?.pem(),
            key: key.serialize_pem(),
        })
    }

    /// Whether what was read can sign, and will for as long as a certificate lives.
    ///
    /// # Errors
    /// Says what is wrong, in the words of a Secret of the type `kubernetes.io/tls`.
    pub fn examine(&self, now: SystemTime) -> Result<(), Flaw> {
        let key = KeyPair::from_pem(&self.key).map_err(|_| Flaw::Key)?;
        let chain = certificates(&self.certificate).ok_or(Flaw::Certificate)?;
        let (_, certificate) =
            x509_parser::parse_x509_certificate(&chain[0]).map_err(|_| Flaw::Certificate)?;
        if certificate.public_key().raw != key_info(&key) {
            return Err(Flaw::Key);
        }
        if !certificate.is_ca() {
            return Err(Flaw::NotAnAuthority);
        }
        let (_, until) = validity(&chain[0]).ok_or(Flaw::Certificate)?;
        if until <= now + LEAF_LIFE {
            return Err(Flaw::Short);
        }
        Ok(())
    }

    /// A new key, and a certificate for it.
    ///
    /// # Errors
    /// When this is no usable authority, or a name is none.
    pub fn sign(&self, purpose: &Purpose, now: SystemTime) -> Result<Pair, PkiError> {
        let issuer = Issuer::from_ca_cert_pem(&self.certificate, KeyPair::from_pem(&self.key)?)?;
        let mut params = match purpose {
            Purpose::Server(names) => named(&names[0], names)?,
            Purpose::Client(name) => named(name, &[])?,
        };
        params.extended_key_usages = vec![match purpose {
            Purpose::Server(_) => ExtendedKeyUsagePurpose::ServerAuth,
            Purpose::Client(_) => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.not_before = (now - SKEW).into();
        params.not_after = (now + LEAF_LIFE).into();
        let key = KeyPair::generate()?;
        Ok(Pair {
            certificate: params.signed_by(&key, &issuer)?.pem(),
            key: key.serialize_pem(),
            ca: self.certificate.clone(),
        })
    }
}

/// The key is for nobody's log.
impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

fn named(name: &str, names: &[String]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

fn key_info(key: &KeyPair) -> Vec<u8> {
    use rcgen::PublicKeyData;
    key.subject_public_key_info()
}
