use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::upstream::PLACEHOLDER;

/// The roots of the system, filtered: the engine panics over a single certificate that it cannot read.
///
/// # Errors
/// When the file cannot be written.
pub fn write(folder: &Path) -> io::Result<PathBuf> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = rustls::RootCertStore::empty();
    let good = found
        .certs
        .into_iter()
        .filter(|certificate| store.add(certificate.clone()).is_ok());
    let mut roots: Vec<Vec<u8>> = good.map(|certificate| certificate.to_vec()).collect();
    if roots.is_empty() {
        tracing::warn!("the system has no root certificates; an https backend needs a caBundle");
        roots.push(PLACEHOLDER.to_vec());
    }
    let path = folder.join("roots.pem");
    // Another process with the same folder must never read half of it.
    let unfinished = folder.join(format!("roots.pem.{}", std::process::id()));
    let mut file = std::fs::File::create(&unfinished)?;
    for der in roots {
        writeln!(file, "-----BEGIN CERTIFICATE-----")?;
        for line in STANDARD.encode(der).as_bytes().chunks(64) {
            file.write_all(line)?;
            writeln!(file)?;
        }
        writeln!(file, "-----END CERTIFICATE-----")?;
    }
    std::fs::rename(unfinished, &path)?;
    Ok(path)
}
