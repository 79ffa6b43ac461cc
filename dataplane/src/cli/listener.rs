use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use ipnet::IpNet;

/// What the listener for TLS and load balancers in front need to know.
#[derive(Args, Clone, Debug, Default)]
pub struct Listener {
    /// Address to serve requests on with TLS [default: none]
    #[arg(
        long,
        env = "GENKAN_TLS_LISTEN",
        value_name = "ADDR",
        requires = "tls_cert_file"
    )]
    pub tls_listen: Option<SocketAddr>,
    /// Certificate chain in PEM; repeatable, the first serves names that none of them is for
    #[arg(
        long,
        env = "GENKAN_TLS_CERT_FILE",
        value_name = "FILE",
        value_delimiter = ',',
        requires_all = ["tls_listen", "tls_key_file"]
    )]
    pub tls_cert_file: Vec<PathBuf>,
    /// Private key in PEM, one for each --tls-cert-file and in the same order
    #[arg(
        long,
        env = "GENKAN_TLS_KEY_FILE",
        value_name = "FILE",
        value_delimiter = ',',
        requires = "tls_cert_file"
    )]
    pub tls_key_file: Vec<PathBuf>,
    /// Authorities in PEM whose client certificates say who a caller is [default: none]
    #[arg(
        long,
        env = "GENKAN_CLIENT_CA_FILE",
        value_name = "FILE",
        requires = "tls_listen"
    )]
    pub client_ca_file: Option<PathBuf>,
    /// Load balancers whose connections begin with a PROXY protocol header; repeatable [default: none]
    #[arg(
        long,
        env = "GENKAN_PROXY_PROTOCOL_FROM",
        value_name = "CIDR",
        value_delimiter = ','
    )]
    pub proxy_protocol_from: Vec<IpNet>,
}

// === impl Listener ===

impl Listener {
    /// Every certificate with its key.
    ///
    /// # Errors
    /// The numbers of both, when they differ.
    pub fn pairs(&self) -> Result<Vec<(PathBuf, PathBuf)>, (usize, usize)> {
        let (certificates, keys) = (&self.tls_cert_file, &self.tls_key_file);
        if certificates.len() != keys.len() {
            return Err((certificates.len(), keys.len()));
        }
        Ok(certificates.iter().cloned().zip(keys.iter().cloned()).collect())
    }
}
