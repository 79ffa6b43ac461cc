//! Files of web servers, which somebody fetches for the compiler.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

/// What is to be fetched.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
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
    /// One sentence.
    Failed(String),
}

/// Nothing of a Secret.
impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fetch({})", self.url)
    }
}
