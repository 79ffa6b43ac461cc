use std::net::IpAddr;
use std::time::SystemTime;

use ring::digest::{Digest, SHA256, digest};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

/// A certificate of a caBundle that can be both CA and server, as `openssl req -x509` makes them. Go accepts such a
/// server; webpki refuses it. Then the connection is made without verification and the certificate compared with this.
#[derive(Debug, Clone)]
pub struct Pin {
    digest: Digest,
    names: Vec<String>,
    addresses: Vec<IpAddr>,
    not_before: i64,
    not_after: i64,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    #[error("the server's certificate is not one of caBundle")]
    Stranger,
    #[error("the server's certificate is not for {0}")]
    Name(String),
    #[error("the server's certificate is expired or not valid yet")]
    Dates,
}

// === impl Pin ===

impl Pin {
    /// `None` when the certificate is no CA or names no server: then it cannot be meant for a server.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        if !certificate.is_ca() {
            return None;
        }
        let (mut names, mut addresses) = (Vec::new(), Vec::new());
        for name in alternative_names(&certificate)? {
            match name {
                GeneralName::DNSName(name) => names.push(name.to_ascii_lowercase()),
                GeneralName::IPAddress(bytes) => addresses.extend(address(bytes)),
                _ => {}
            }
        }
        let validity = certificate.validity();
        let (not_before, not_after) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        Some(Self {
            digest: digest(&SHA256, der),
            names,
            addresses,
            not_before,
            not_after,
        })
    }

    /// Judges the SHA-256 digest of the certificate that a server showed.
    ///
    /// # Errors
    /// When none of the pins is this certificate, or it is not for this server, or not now.
    pub fn judge(pins: &[Self], digest: &[u8], server_name: &str, now: SystemTime) -> Result<(), PinError> {
        let pin = pins
            .iter()
            .find(|pin| pin.digest.as_ref() == digest)
            .ok_or(PinError::Stranger)?;
        if !pin.is_for(server_name) {
            return Err(PinError::Name(server_name.to_owned()));
        }
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        if now < pin.not_before || now > pin.not_after {
            return Err(PinError::Dates);
        }
        Ok(())
    }

    fn is_for(&self, server_name: &str) -> bool {
        if let Ok(ip) = server_name.parse::<IpAddr>() {
            return self.addresses.contains(&ip);
        }
        let wanted = server_name.trim_end_matches('.').to_ascii_lowercase();
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(parent) => wanted
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
            None => *name == wanted,
        })
    }
}

fn alternative_names<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [GeneralName<'a>]> {
    let extension = certificate.subject_alternative_name().ok()??;
    Some(&extension.value.general_names)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    fn sha256(der: &[u8]) -> Vec<u8> {
        digest(&SHA256, der).as_ref().to_vec()
    }

    fn mk_certificate(is_ca: bool, names: &[&str]) -> Vec<u8> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = if is_ca {
            IsCa::Ca(BasicConstraints::Unconstrained)
        } else {
            IsCa::NoCa
        };
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        params
            .self_signed(&KeyPair::generate().unwrap())
            .unwrap()
            .der()
            .to_vec()
    }

    #[test]
    fn only_the_very_certificate_passes_for_its_names_and_time() {
        let der = mk_certificate(true, &["shop.example", "*.apps.example", "10.0.0.1"]);
        let pins = [Pin::read(&der).unwrap()];
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let judge = |name: &str, now| Pin::judge(&pins, &sha256(&der), name, now);
        for name in ["shop.example", "SHOP.example", "a.apps.example", "10.0.0.1"] {
            assert_eq!(judge(name, now), Ok(()), "{name}");
        }
        for name in [
            "other.example",
            "apps.example",
            "a.b.apps.example",
            "10.0.0.2",
            "",
        ] {
            assert_eq!(judge(name, now), Err(PinError::Name(name.into())), "{name}");
        }
        assert_eq!(
            judge("shop.example", SystemTime::UNIX_EPOCH),
            Err(PinError::Dates)
        );
        let late = SystemTime::UNIX_EPOCH + Duration::from_secs(3_000_000_000);
        assert_eq!(judge("shop.example", late), Err(PinError::Dates));
        let other = sha256(&mk_certificate(true, &["shop.example"]));
        assert_eq!(
            Pin::judge(&pins, &other, "shop.example", now),
            Err(PinError::Stranger)
        );
    }

    #[test]
    fn plain_certificates_and_nameless_ones_are_no_pins() {
        assert!(Pin::read(&mk_certificate(false, &["shop.example"])).is_none());
        assert!(Pin::read(&mk_certificate(true, &[])).is_none());
        assert!(Pin::read(b"nonsense").is_none());
    }
}
