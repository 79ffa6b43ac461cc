//! Keys and certificates of one control plane.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// A certificate and its key, as files.
#[derive(Debug, Clone)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// An authority that signs pairs into a folder.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    pub certificate: PathBuf,
    pub pem: String,
}

// === impl Authority ===

impl Authority {
    pub fn new(folder: &Path, name: &str) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = named(name, None, Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key)?.pem();
        let certificate = put(folder, &format!("{name}.crt"), &pem)?;
        Ok(Self {
            folder: folder.to_owned(),
            issuer: Issuer::new(params, key),
            certificate,
            pem,
        })
    }

    /// A pair for a server of these names and addresses.
    pub fn server(&self, name: &str, names: &[&str]) -> Result<Pair> {
        let mut params = named(name, None, names.iter().map(|n| (*n).to_owned()).collect())?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(name, params)
    }

    /// A pair for a client: the common name is the user, the organisation its group.
    pub fn client(&self, file: &str, user: &str, group: Option<&str>) -> Result<Pair> {
        let mut params = named(user, group, Vec::new())?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(file, params)
    }

    fn sign(&self, file: &str, params: CertificateParams) -> Result<Pair> {
        let key = KeyPair::generate()?;
        let signed = params.signed_by(&key, &self.issuer)?;
        Ok(Pair {
            certificate: put(&self.folder, &format!("{file}.crt"), &signed.pem())?,
            key: put(&self.folder, &format!("{file}.key"), &key.serialize_pem())?,
        })
    }
}

/// The key that signs ServiceAccount tokens: public half as `certificate`.
pub fn service_account(folder: &Path) -> Result<Pair> {
    let key = KeyPair::generate()?;
    Ok(Pair {
        certificate: put(folder, "service-account.pub", &key.public_key_pem())?,
        key: put(folder, "service-account.key", &key.serialize_pem())?,
    })
}

fn named(name: &str, group: Option<&str>, names: Vec<String>) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    Ok(params)
}

fn put(folder: &Path, name: &str, content: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    std::fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}
