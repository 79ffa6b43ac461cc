//! HTTP/1.1 on blocking sockets; nothing is normalised.

use std::fmt;
use std::io::{ErrorKind, Read};

/// Why a message could not be read to its end.
#[derive(Debug)]
pub enum Broken {
    Ended,
    Late,
    Malformed(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => write!(out, "it ended too early"),
            Self::Late => write!(out, "nothing came in time"),
            Self::Malformed(line) => write!(out, "it has the line {line:?}"),
        }
    }
}

pub type Headers = Vec<(String, String)>;

pub struct Reader<S> {
    pub stream: S,
    pub buffer: Vec<u8>,
}

// === impl Reader ===

impl<S: Read> Reader<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// False at the end.
    pub fn fill(&mut self) -> Result<bool, Broken> {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(read) => {
                self.buffer.extend_from_slice(&chunk[..read]);
                Ok(read > 0)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(Broken::Late)
            }
            Err(_) => Err(Broken::Ended),
        }
    }

    pub fn line(&mut self) -> Result<String, Broken> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                return Ok(latin(line));
            }
            if !self.fill()? {
                return Err(Broken::Ended);
            }
        }
    }

    pub fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Broken> {
        while self.buffer.len() < length {
            if !self.fill()? {
                return Err(Broken::Ended);
            }
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Everything up to the end, however it comes.
    pub fn rest(&mut self) -> Result<Vec<u8>, Broken> {
        while self.fill()? {}
        Ok(std::mem::take(&mut self.buffer))
    }

    pub fn headers(&mut self) -> Result<Headers, Broken> {
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(headers);
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| Broken::Malformed(line.clone()))?;
            headers.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
        }
    }

    /// Body and trailers.
    pub fn chunked(&mut self) -> Result<(Vec<u8>, Headers), Broken> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| Broken::Malformed(line.clone()))?;
            if size == 0 {
                return Ok((body, self.headers()?));
            }
            body.extend(self.exactly(size)?);
            self.line()?;
        }
    }
}

pub fn values<'h>(headers: &'h Headers, name: &str) -> impl Iterator<Item = &'h str> {
    headers
        .iter()
        .filter(move |(of, _)| of.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

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
