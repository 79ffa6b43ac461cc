use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use crate::decisions::Keys;
use crate::identity::{AUTHENTICATED, User};
use crate::kubernetes::UserInfo;

/// The authorities whose client certificates say who a caller is.
#[derive(Debug)]
pub struct CallerAuthorities {
    file: PathBuf,
    current: ArcSwap<Roots>,
}

#[derive(Debug)]
struct Roots {
    verifier: Arc<dyn ClientCertVerifier>,
    fingerprint: blake3::Hash,
    /// Rises with every change of the file.
    generation: u64,
}

/// A certificate that a client proved to have the key of, as Kubernetes reads it. Kept with the connection.
#[derive(Debug)]
pub struct CallerCertificate {
    pub user: Arc<User>,
    /// What it says of whom it is for.
    pub names: Names,
    chain: Vec<CertificateDer<'static>>,
    not_after: SystemTime,
    /// Of the authorities that it was last found to be signed by; 0 when it no longer is.
    generation: AtomicU64,
}

/// The names in a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// `CN=till-7,O=Acme`.
    pub subject: String,
    /// Alternative names that are those of hosts, and those that are URIs.
    pub dns: Vec<String>,
    pub uri: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("--client-ca-file {path} cannot be read: {source}", path = .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("--client-ca-file {path} holds no certificate that can be an authority", path = .0.display())]
    Empty(PathBuf),
}

// === impl CallerAuthorities ===

impl CallerAuthorities {
    /// # Errors
    /// When the file cannot be used.
    pub fn load(file: PathBuf) -> Result<Self, AuthorityError> {
        let roots = Roots::read(&file, 1)?;
        Ok(Self {
            file,
            current: ArcSwap::from_pointee(roots),
        })
    }

    /// Takes up what changed in the file; true if anything did. It counts for the next request of open connections.
    ///
    /// # Errors
    /// When the file cannot be used; then everything stays as it is.
    pub fn reload(&self) -> Result<bool, AuthorityError> {
        let current = self.current.load();
        let roots = Roots::read(&self.file, current.generation + 1)?;
        if roots.fingerprint == current.fingerprint {
            return Ok(false);
        }
        self.current.store(Arc::new(roots));
        Ok(true)
    }

    /// Is the certificate of a connection still good? Asked for every request: a kept connection outlives expiry and
    /// changes of the authorities.
    pub fn accepts(&self, certificate: &CallerCertificate) -> bool {
        if SystemTime::now() >= certificate.not_after {
            return false;
        }
        let roots = self.current.load();
        if certificate.generation.load(Ordering::Relaxed) == roots.generation {
            return true;
        }
        let Some((end_entity, intermediates)) = certificate.chain.split_first() else {
            return false;
        };
        let is_good = roots
            .verifier
            .verify_client_cert(end_entity, intermediates, UnixTime::now())
            .is_ok();
        if is_good {
            certificate.generation.store(roots.generation, Ordering::Relaxed);
        }
        is_good
    }
}

impl Roots {
    fn read(path: &Path, generation: u64) -> Result<Self, AuthorityError> {
        let pem = std::fs::read(path).map_err(|source| AuthorityError::Read {
            path: path.to_owned(),
            source,
        })?;
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
        // Callers without a certificate come with a token, or as nobody.
        let verifier = WebPkiClientVerifier::builder(Arc::new(store))
            .allow_unauthenticated()
            .build()
            .map_err(|_| AuthorityError::Empty(path.to_owned()))?;
        Ok(Self {
            verifier,
            fingerprint: blake3::hash(&pem),
            generation,
        })
    }
}

impl ClientCertVerifier for CallerAuthorities {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// None: clients then offer whatever certificate they have, and the authorities may change.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let roots = self.current.load();
        roots.verifier.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let roots = self.current.load();
        roots
            .verifier
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let roots = self.current.load();
        roots
            .verifier
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current.load().verifier.supported_verify_schemes()
    }
}

// === impl Names ===

impl Names {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let subject = certificate.subject();
        let of = |kind: &str, value: &str| format!("{kind}={}", escaped(value));
        let common = subject.iter_common_name().filter_map(|name| name.as_str().ok());
        let organizations = subject.iter_organization().filter_map(|name| name.as_str().ok());
        let parts = common
            .map(|name| of("CN", name))
            .chain(organizations.map(|name| of("O", name)));
        let mut names = Self {
            subject: parts.collect::<Vec<_>>().join(","),
            ..Self::default()
        };
        let alternative = certificate.subject_alternative_name().ok().flatten();
        for name in alternative
            .iter()
            .flat_map(|extension| &extension.value.general_names)
        {
            match name {
                GeneralName::DNSName(name) => names.dns.push((*name).to_owned()),
                GeneralName::URI(uri) => names.uri.push((*uri).to_owned()),
                _ => {}
            }
        }
        names
    }
}

/// A value of a subject as RFC 4514 writes it, so that it is no more than one value.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut out = String::with_capacity(value.len());
    for (index, letter) in value.chars().enumerate() {
        let is_at_end = (letter == ' ' && (index == 0 || index == last)) || (letter == '#' && index == 0);
        if is_at_end || matches!(letter, '"' | '+' | ',' | ';' | '<' | '=' | '>' | '\\') {
            out.push('\\');
            out.push(letter);
        } else if letter.is_ascii_control() {
            out.push_str(&format!("\\{:02X}", u32::from(letter)));
        } else {
            out.push(letter);
        }
    }
    out
}

// === impl CallerCertificate ===

impl CallerCertificate {
    /// The common name is the user, every organization a group. `None` when it names nobody. Whether it is signed is
    /// asked later.
    pub fn read(chain: &[CertificateDer<'_>], keys: &Keys) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(chain.first()?).ok()?;
        let subject = certificate.subject();
        // Of several common names Go, and so Kubernetes, takes the last.
        let username = subject.iter_common_name().last()?.as_str().ok()?.to_owned();
        let organizations = subject.iter_organization();
        let organizations = organizations.filter_map(|group| group.as_str().ok().map(ToOwned::to_owned));
        let groups = organizations.chain([AUTHENTICATED.to_owned()]).collect();
        let not_after = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
        if username.is_empty() {
            return None;
        }
        let info = UserInfo {
            username,
            groups: Some(groups),
            ..UserInfo::default()
        };
        Some(Self {
            user: Arc::new(User::new(info, Vec::new(), keys)),
            names: Names::of(&certificate),
            chain: chain.iter().map(|der| der.clone().into_owned()).collect(),
            not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(not_after),
            generation: AtomicU64::new(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    };

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn certificate(
        issuer: &CertifiedIssuer<'static, KeyPair>,
        subject: &[(DnType, &str)],
    ) -> Vec<CertificateDer<'static>> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        vec![params.signed_by(&key, issuer).unwrap().der().clone()]
    }

    #[test]
    fn subject_is_read_as_kubernetes_does() {
        let issuer = authority();
        let subject = [(DnType::CommonName, "jane"), (DnType::OrganizationName, "shop")];
        let keys = Keys::default();
        let read = |chain: &[CertificateDer<'static>]| CallerCertificate::read(chain, &keys);
        let user = read(&certificate(&issuer, &subject)).unwrap().user;
        assert_eq!(
            (&*user.name, user.groups.join(" ")),
            ("jane", "shop system:authenticated".to_owned())
        );
        let nobody = certificate(&issuer, &[(DnType::OrganizationName, "shop")]);
        assert!(read(&nobody).is_none());
        assert!(read(&[]).is_none());
    }

    /// Whoever may choose its name chooses no other part of the subject.
    #[test]
    fn a_name_is_one_part_of_a_subject() {
        let issuer = authority();
        let subject = |name: &str| {
            let chain = certificate(&issuer, &[(DnType::CommonName, name)]);
            CallerCertificate::read(&chain, &Keys::default())
                .unwrap()
                .names
                .subject
        };
        assert_eq!(subject("x,O=Acme"), r"CN=x\,O\=Acme");
        assert_eq!(subject("x+O=Acme"), r"CN=x\+O\=Acme");
        assert_eq!(subject(r"x\,O=Acme"), r"CN=x\\\,O\=Acme");
        assert_eq!(subject("#a b "), r"CN=\#a b\ ");
        assert_eq!(escaped("a\0b"), r"a\00b");
    }

    #[test]
    fn certificate_is_good_for_as_long_as_its_authority_is() {
        let (one, other) = (authority(), authority());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), one.pem()).unwrap();
        let authorities = CallerAuthorities::load(file.path().to_owned()).unwrap();
        let of = |issuer| {
            CallerCertificate::read(
                &certificate(issuer, &[(DnType::CommonName, "jane")]),
                &Keys::default(),
            )
            .unwrap()
        };
        let (jane, stranger) = (of(&one), of(&other));
        assert!(authorities.accepts(&jane) && authorities.accepts(&jane));
        assert!(!authorities.accepts(&stranger));
        std::fs::write(file.path(), other.pem()).unwrap();
        assert!(authorities.reload().unwrap() && !authorities.reload().unwrap());
        assert!(!authorities.accepts(&jane) && authorities.accepts(&stranger));
        std::fs::write(file.path(), "").unwrap();
        assert!(authorities.reload().is_err() && authorities.accepts(&stranger));
    }
}
