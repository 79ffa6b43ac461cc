use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::upstream::PLACEHOLDER;

/// The roots of the system, in DER, read once and filtered: the engine panics over a single certificate that it cannot read.
pub fn of_system() -> &'static [Vec<u8>] {
    static ROOTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut store = rustls::RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs().certs.into_iter();
        let good = found.filter(|certificate| store.add(certificate.clone()).is_ok());
        good.map(|certificate| certificate.to_vec()).collect()
    })
}

/// Writes the roots of the system into a folder, in PEM.
///
/// # Errors
/// When the file cannot be written.
pub fn write(folder: &Path) -> io::Result<PathBuf> {
    let mut roots = of_system().to_vec();
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
