//! HTTP/1 as it stands on the wire, read from either side; nothing is normalised.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

/// Longer than anything in tests takes, so that a failure ends.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Why a message could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// With what has come of it.
    Ended {
        read: usize,
    },
    Late,
    Malformed(String),
}

/// Names and values, in their order.
pub type Headers = Vec<(String, String)>;

/// What arrives on a connection.
#[derive(Debug)]
pub struct Reader<S> {
    pub stream: S,
    /// What has arrived and was not read yet.
    pub buffered: BytesMut,
    /// For each read.
    pub patience: Duration,
}

impl fmt::Display for Broken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended { read } => write!(
                out,
                "the connection ended before it was whole ({read} bytes were)"
            ),
            Self::Late => write!(out, "nothing came in time"),
            Self::Malformed(line) => write!(out, "it has the line {line:?}"),
        }
    }
}

impl std::error::Error for Broken {}

// === impl Reader ===

impl<S: AsyncRead + Unpin> Reader<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            buffered: BytesMut::with_capacity(4096),
            patience: PATIENCE,
        }
    }

    /// One read; false at the end of the connection, however it came.
    ///
    /// # Errors
    /// When nothing comes in time.
    pub async fn fill(&mut self) -> Result<bool, Broken> {
        let read = timeout(self.patience, self.stream.read_buf(&mut self.buffered)).await;
        let read = read.map_err(|_| Broken::Late)?;
        Ok(read.is_ok_and(|read| read > 0))
    }

    /// A line without its end.
    ///
    /// # Errors
    /// When the connection ends first, or nothing comes in time.
    pub async fn line(&mut self) -> Result<String, Broken> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffered) {
                let line = self.buffered.split_to(end + 1);
                let line = &line[..end];
                return Ok(latin(line.strip_suffix(b"\r").unwrap_or(line)));
            }
            self.more().await?;
        }
    }

    /// # Errors
    /// When the connection ends first, or nothing comes in time.
    pub async fn exactly(&mut self, length: usize) -> Result<Bytes, Broken> {
        while self.buffered.len() < length {
            self.more().await?;
        }
        Ok(self.buffered.split_to(length).freeze())
    }

    /// Everything up to the end of the connection, however it comes.
    ///
    /// # Errors
    /// When nothing comes in time.
    pub async fn rest(&mut self) -> Result<Bytes, Broken> {
        while self.fill().await? {}
        Ok(self.buffered.split().freeze())
    }

    /// Header lines, and the empty one behind them.
    ///
    /// # Errors
    /// When there is a line without a colon, the connection ends first, or nothing comes in time.
    pub async fn headers(&mut self) -> Result<Headers, Broken> {
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(headers);
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| Broken::Malformed(line.clone()))?;
            headers.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
        }
    }

    /// A chunked body, and its trailers.
    ///
    /// # Errors
    /// When a size is no number, the connection ends first, or nothing comes in time.
    pub async fn chunked(&mut self) -> Result<(Vec<u8>, Headers), Broken> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| Broken::Malformed(line.clone()))?;
            if size == 0 {
                return Ok((body, self.headers().await?));
            }
            body.extend(self.exactly(size).await?);
            self.line().await?;
        }
    }

    async fn more(&mut self) -> Result<(), Broken> {
        let read = self.buffered.len();
        if self.fill().await? {
            Ok(())
        } else {
            Err(Broken::Ended { read })
        }
    }
}

/// The values of the headers of this name.
pub fn values<'h>(headers: &'h Headers, name: &str) -> impl Iterator<Item = &'h str> {
    headers
        .iter()
        .filter(move |(of, _)| of.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// Whether a list in headers of this name has this member.
pub fn has_token(headers: &Headers, name: &str, token: &str) -> bool {
    values(headers, name)
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// UTF-8 where it is that; else one character a byte, so that nothing is lost.
pub fn latin(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}
