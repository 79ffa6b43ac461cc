//! Keys and certificates: made by the operator, or given to it in the form that cert-manager writes.
//!
//! Everything here is pure but for the randomness of keys; `keep` puts it into the cluster.

mod authority;
pub mod keep;
mod pair;

use std::time::SystemTime;

use rustls::pki_types::UnixTime;

pub use authority::Authority;
pub use pair::{Examined, Flaw, Pair};

/// What a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A server of these names and addresses; the first is the one that clients use.
    Server(Vec<String>),
    /// A client of this common name.
    Client(String),
}

#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    #[error("no certificate can be made: {0}")]
    Make(#[from] rcgen::Error),
    #[error("{0}")]
    Flaw(#[from] Flaw),
}

// === impl Purpose ===

impl Purpose {
    /// A Service of a namespace, and what reaches it on the same machine.
    pub fn service(name: &str, namespace: &str) -> Self {
        let mut names = vec![format!("{name}.{namespace}.svc")];
        names.extend([
            name.to_owned(),
            format!("{name}.{namespace}"),
            format!("{name}.{namespace}.svc.cluster.local"),
        ]);
        names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
        Self::Server(names)
    }
}

fn unix(time: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

#[cfg(test)]
mod tests;
