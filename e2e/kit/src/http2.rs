//! Clients of HTTP/2: one that a library keeps proper, and frames written and read by hand, for what it would not send.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::http1::{Answer, Client};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const PING: u8 = 6;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const END_BOTH: u8 = 0x5;

/// One frame as it arrived.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// A client of HTTP/2 that can say anything.
#[derive(Debug)]
pub struct RawHttp2<S = TcpStream> {
    pub client: Client<S>,
    next: u32,
}

/// A proper client over a connection, which lives for as long as the client does.
///
/// # Panics
/// When the other side does not speak HTTP/2.
pub async fn client(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> SendRequest<Bytes> {
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async move {
        let _ = connection.await;
    });
    client
}

/// Sends a request, and reads the whole answer.
///
/// # Panics
/// When the stream is refused or reset.
pub async fn ask(client: &SendRequest<Bytes>, request: Request<()>, body: Option<&'static str>) -> Answer {
    let mut client = client.clone().ready().await.unwrap();
    let (answer, mut sender) = client.send_request(request, body.is_none()).unwrap();
    if let Some(body) = body {
        sender
            .send_data(Bytes::from_static(body.as_bytes()), true)
            .unwrap();
    }
    let (head, mut body) = answer.await.unwrap().into_parts();
    let mut answer = Answer {
        status: head.status.as_u16(),
        ..Answer::default()
    };
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        answer.headers.push((name.to_string(), value));
    }
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        answer.body.extend_from_slice(&piece);
        body.flow_control().release_capacity(piece.len()).unwrap();
    }
    answer
}

// === impl RawHttp2 ===

impl RawHttp2 {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(Client::connect(address).await).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> RawHttp2<S> {
    pub async fn over(mut client: Client<S>) -> Self {
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        client.send(frame(SETTINGS, 0, 0, &[])).await;
        Self { client, next: 1 }
    }

    /// Sends one request without a body; returns the number of its stream.
    pub async fn request(&mut self, fields: &[(&str, &[u8])]) -> u32 {
        self.head(fields, END_BOTH).await
    }

    /// The same, with a body announced that may follow or not.
    pub async fn begin(&mut self, fields: &[(&str, &[u8])]) -> u32 {
        self.head(fields, END_HEADERS).await
    }

    async fn head(&mut self, fields: &[(&str, &[u8])], flags: u8) -> u32 {
        let stream = self.next;
        self.next += 2;
        let block = block(fields);
        self.client.try_send(frame(HEADERS, flags, stream, &block)).await;
        stream
    }

    /// Says that not a byte of any answer can be taken.
    pub async fn no_window(&mut self) {
        // SETTINGS_INITIAL_WINDOW_SIZE.
        self.client.send(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])).await;
    }

    /// The beginning of a request whose rest never comes.
    pub async fn half_a_head(&mut self) {
        self.client.send(frame(HEADERS, 0x1, self.next, &[0x82])).await;
    }

    /// A piece of the body.
    pub async fn data(&mut self, stream: u32, bytes: &[u8], is_last: bool) {
        let frame = frame(DATA, u8::from(is_last), stream, bytes);
        self.client.try_send(frame).await;
    }

    /// What stands behind the body.
    pub async fn trailers(&mut self, stream: u32, fields: &[(&str, &[u8])]) {
        let block = block(fields);
        self.client
            .try_send(frame(HEADERS, END_BOTH, stream, &block))
            .await;
    }

    pub async fn reset(&mut self, stream: u32) {
        self.client
            .try_send(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()))
            .await;
    }

    /// The next frame; `None` at the end of the connection.
    pub async fn frame(&mut self) -> Option<Frame> {
        while self.client.buffered.len() < 9 {
            if !self.client.fill().await.unwrap() {
                return None;
            }
        }
        let buffered = &self.client.buffered;
        let length = u32::from_be_bytes([0, buffered[0], buffered[1], buffered[2]]) as usize;
        let (kind, flags) = (buffered[3], buffered[4]);
        let stream = u32::from_be_bytes(buffered[5..9].try_into().unwrap());
        while self.client.buffered.len() < 9 + length {
            if !self.client.fill().await.unwrap() {
                return None;
            }
        }
        let payload = self.client.buffered.split_to(9 + length)[9..].to_vec();
        Some(Frame {
            kind,
            flags,
            stream,
            payload,
        })
    }

    /// What became of a stream: the number that its answer begins with, or that it was reset.
    pub async fn outcome(&mut self, stream: u32) -> Outcome {
        loop {
            match self.frame().await {
                None => return Outcome::Closed,
                Some(frame) if frame.kind == GOAWAY => return Outcome::GoAway,
                Some(frame) if frame.stream != stream => {}
                Some(frame) if frame.kind == RST_STREAM => return Outcome::Reset,
                Some(frame) if frame.kind == HEADERS => return Outcome::Status(status(&frame.payload)),
                Some(_) => {}
            }
        }
    }

    /// Everything that comes on a stream until it is ended or reset, and what else has come by then: kinds, and whether
    /// they end the stream. Windows do not count.
    pub async fn frames_of(&mut self, stream: u32) -> Vec<(u8, bool)> {
        let (mut frames, mut is_over) = (Vec::new(), false);
        while let Some(frame) = self.frame().await {
            if frame.kind == PING {
                break;
            }
            if frame.stream != stream || frame.kind == WINDOW_UPDATE {
                continue;
            }
            let is_end = matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0;
            frames.push((frame.kind, is_end));
            if !is_over && (is_end || frame.kind == RST_STREAM) {
                is_over = true;
                self.client.send(frame_of_ping()).await;
            }
        }
        frames
    }

    /// Reads until the server says that it takes no more streams, or closes.
    pub async fn is_sent_away(&mut self) -> bool {
        loop {
            match self.frame().await {
                None => return true,
                Some(frame) if frame.kind == GOAWAY => return true,
                Some(_) => {}
            }
        }
    }
}

/// What became of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Status(u16),
    Reset,
    GoAway,
    Closed,
}

/// The first field of an answer is its status: an entry of the static table, or a literal with that name.
fn status(block: &[u8]) -> u16 {
    const STATIC: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    // A change of the size of the dynamic table may come first.
    let block = if block[0] & 0xe0 == 0x20 {
        &block[1..]
    } else {
        block
    };
    match block[0] {
        indexed @ 0x88..=0x8e => STATIC[usize::from(indexed - 0x88)],
        _ if block[1] & 0x80 == 0 => text(&block[2..5]),
        _ => text(&digits(&block[2..5])),
    }
}

/// Three digits in the code of Huffman: 0 to 2 have five bits, the others six.
fn digits(coded: &[u8]) -> Vec<u8> {
    let mut bits = u32::from_be_bytes([coded[0], coded[1], coded[2], 0]);
    let mut digit = || match bits >> 27 {
        small @ 0..=2 => {
            bits <<= 5;
            b'0' + small as u8
        }
        _ => {
            let digit = b'3' + ((bits >> 26) - 0b01_1001) as u8;
            bits <<= 6;
            digit
        }
    };
    vec![digit(), digit(), digit()]
}

fn text(digits: &[u8]) -> u16 {
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_default()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

fn frame_of_ping() -> Vec<u8> {
    frame(PING, 0, 0, &[0; 8])
}

fn block(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let literals = fields.iter().map(|(name, value)| literal(name.as_bytes(), value));
    literals.collect::<Vec<_>>().concat()
}

/// A header field, never indexed, not compressed.
fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    assert!(
        name.len() < 127 && value.len() < 127,
        "longer strings need another encoding"
    );
    [&[0x10, name.len() as u8], name, &[value.len() as u8], value].concat()
}
