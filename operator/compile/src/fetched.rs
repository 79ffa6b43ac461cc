//! Files of web servers, which somebody fetches for the compiler.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

/// What is to be fetched.
#[derive(Clone, PartialEq, Eq)]
pub struct Fetch {
    pub url: String,
    /// In hexadecimal; nothing else is taken.
    pub sha256: String,
    /// PEM; absent: the roots of the operator.
    pub authorities: Option<Vec<u8>>,
    /// For the host of the URL, and no other.
    pub authorization: Option<Zeroizing<String>>,
    pub timeout: Duration,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    Found(Arc<[u8]>),
    /// It has another hash: this one.
    Another(String),
    /// One sentence.
    Failed(String),
}

impl Fetch {
    fn key(&self) -> (&str, &str, Option<&[u8]>, Option<&str>, Duration) {
        let authorization = self.authorization.as_ref().map(|text| text.as_str());
        let authorities = self.authorities.as_deref();
        (&self.url, &self.sha256, authorities, authorization, self.timeout)
    }
}

impl Ord for Fetch {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Fetch {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Nothing of a Secret.
impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fetch({})", self.url)
    }
}
