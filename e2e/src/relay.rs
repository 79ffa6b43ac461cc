//! Leads ports of this machine into the private network, through sockets in a folder that both sides see.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// A port of 127.0.0.1, held so that nobody else takes it.
#[derive(Debug)]
pub struct Held {
    pub port: u16,
    listener: TcpListener,
}

// === impl Held ===

impl Held {
    /// This port if it is free, else any.
    pub async fn near(wanted: u16) -> Result<Self> {
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .context("a free port")?,
        };
        Ok(Self {
            port: listener.local_addr()?.port(),
            listener,
        })
    }

    /// Leads every connection to the same port inside, for ever.
    pub fn lead_in(self, folder: &Path) {
        let socket = socket(folder, self.port);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = self.listener.accept().await {
                let socket = socket.clone();
                tokio::spawn(async move {
                    let _ = near.set_nodelay(true);
                    // Either side may go away at any time; the other then sees its connection end.
                    if let Ok(mut far) = UnixStream::connect(&socket).await {
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
    }
}

/// The inner half: from the sockets in the folder to the ports of the private network.
pub fn lead_out(folder: &Path, ports: &[u16]) -> Result<()> {
    for port in ports {
        let socket = socket(folder, *port);
        let listener =
            UnixListener::bind(&socket).with_context(|| format!("listen on {}", socket.display()))?;
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                tokio::spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(target).await {
                        let _ = far.set_nodelay(true);
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
    }
    Ok(())
}

fn socket(folder: &Path, port: u16) -> PathBuf {
    folder.join(format!("{port}.sock"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Backend;
    use crate::http1::{self, Request};

    #[tokio::test]
    async fn a_request_passes_both_halves() {
        let folder = tempfile::tempdir().unwrap();
        let backend = Backend::start("inner", "127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        let outer = Held::near(0).await.unwrap();
        // The two halves share a network here, so the outer port is not the inner one.
        std::os::unix::fs::symlink(
            socket(folder.path(), backend.address.port()),
            socket(folder.path(), outer.port),
        )
        .unwrap();
        lead_out(folder.path(), &[backend.address.port()]).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, outer.port));
        outer.lead_in(folder.path());
        let answer = http1::send(address, Request::post("/through", b"body"))
            .await
            .unwrap();
        assert_eq!(answer.json().unwrap()["target"], "/through");
    }
}
