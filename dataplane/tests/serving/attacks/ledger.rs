//! A backend that answers whole requests only, and can tell which ones it got.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::kit::{PATIENCE, a_moment};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const NO: &[u8] = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
const SWITCH: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// Switches protocols for those who ask, keeps silent below `/proxy/silent` and refuses below `/proxy/refused`.
pub struct Ledger {
    pub address: SocketAddr,
    book: Arc<Mutex<Book>>,
}

/// What has arrived.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// Requests of which at least a byte came.
    pub begun: usize,
    /// Requests that came to their end, in lower case.
    pub whole: Vec<String>,
    /// Bytes of the other protocol.
    pub tunnelled: String,
    /// Requests that may still come to their end.
    open: usize,
}

// === impl Ledger ===

impl Ledger {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let book = Arc::<Mutex<Book>>::default();
        let shared = Arc::clone(&book);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(keep(stream, Arc::clone(&shared)));
            }
        });
        Self { address, book }
    }

    pub fn book(&self) -> Book {
        self.book.lock().clone()
    }

    pub async fn wait(&self, fits: impl Fn(&Book) -> bool) {
        let waiting = async {
            while !fits(&self.book.lock()) {
                a_moment().await;
            }
        };
        let done = timeout(PATIENCE, waiting).await;
        assert!(done.is_ok(), "it does not come to that: {:?}", self.book());
    }

    /// Waits until one more request has begun and none is half here: it is whole, or its connection is gone.
    pub async fn settled(&self, before: &Book) {
        self.wait(|book| book.begun > before.begun && book.open == 0)
            .await;
    }
}

async fn keep(mut stream: TcpStream, book: Arc<Mutex<Book>>) {
    let mut bytes = Vec::new();
    loop {
        if bytes.is_empty() && !read(&mut stream, &mut bytes).await {
            return;
        }
        {
            let mut book = book.lock();
            book.begun += 1;
            book.open += 1;
        }
        let end = loop {
            match end(&bytes) {
                Some(end) => break Some(end),
                None if read(&mut stream, &mut bytes).await => {}
                None => break None,
            }
        };
        book.lock().open -= 1;
        let Some(end) = end else { return };
        let request = text(&bytes[..end]).to_ascii_lowercase();
        bytes.drain(..end);
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        let is_upgrade = request.contains("\r\nupgrade:");
        book.lock().whole.push(request);
        let answer = match &*path {
            "/proxy/silent" => b"",
            "/proxy/refused" => NO,
            _ if is_upgrade => SWITCH,
            _ => OK,
        };
        if stream.write_all(answer).await.is_err() {
            return;
        }
        if is_upgrade && answer == SWITCH {
            loop {
                book.lock().tunnelled.push_str(&text(&bytes));
                bytes.clear();
                if !read(&mut stream, &mut bytes).await {
                    return;
                }
            }
        }
    }
}

async fn read(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> bool {
    stream.read_buf(bytes).await.is_ok_and(|read| read > 0)
}

/// Where the first request ends, if it is all here.
fn end(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let lines = text(&bytes[..head]).to_ascii_lowercase();
    let value = |name: &str| lines.lines().find_map(|line| line.strip_prefix(name));
    if value("transfer-encoding:").is_some() {
        return chunks(&bytes[head..]).map(|length| head + length);
    }
    let length: usize = value("content-length:").map_or(0, |length| length.trim().parse().unwrap());
    (bytes.len() >= head + length).then_some(head + length)
}

/// The length of a chunked body, if it is all here. Its pieces come as they like, so that its last bytes say nothing.
fn chunks(body: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = body[at..].windows(2).position(|window| window == b"\r\n")?;
        let size = text(&body[at..at + line]);
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or_else(|_| panic!("no chunk: {size:?}"));
        // genkan sends no trailers.
        at += line + 2 + size + 2;
        if at > body.len() {
            return None;
        }
        if size == 0 {
            return Some(at);
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
