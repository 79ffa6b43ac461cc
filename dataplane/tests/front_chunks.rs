//! Where the strict reading sees the end of a chunked body, there the engine sees it too, and the same data before it,
//! whatever the pieces in which it arrives.

#![allow(clippy::unwrap_used)]

use bytes::BytesMut;
use genkan_routing::strict::ChunkScan;
use pingora_core::protocols::http::v1::server::HttpSession;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const HEAD: &[u8] = b"POST /proxy/x HTTP/1.1\r\nHost: gw.example\r\nTransfer-Encoding: chunked\r\n\r\n";
const NEXT: &[u8] = b"GET /next HTTP/1.1\r\n\r\n";

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    /// A chunked body and its data.
    fn body(&mut self) -> (Vec<u8>, Vec<u8>) {
        const EXTENSIONS: [&str; 4] = ["", ";a", ";a=b", ";a=\";\\\"\";b"];
        const DATA: [&[u8]; 6] = [b"\r\n", b"\r", b"\n", b"0\r\n\r\n", b"abc", b"\0;5\r\n"];
        const TRAILERS: [&str; 4] = [
            "",
            "X: 1\r\n",
            "X-A: 1\r\nX-B:\r\n",
            "X: ;a \t b\r\nContent-Length: 3\r\n",
        ];
        let (mut body, mut data) = (Vec::new(), Vec::new());
        for _ in 0..self.roll(5) {
            let mut chunk = Vec::new();
            for _ in 0..=self.roll(4) {
                chunk.extend_from_slice(DATA[self.roll(DATA.len())]);
            }
            if self.roll(20) == 0 {
                chunk.resize(70_000, b'd');
            }
            let zeros = "0".repeat(self.roll(3));
            let line = format!(
                "{zeros}{:x}{}\r\n",
                chunk.len(),
                EXTENSIONS[self.roll(EXTENSIONS.len())]
            );
            body.extend_from_slice(line.as_bytes());
            body.extend_from_slice(&chunk);
            body.extend_from_slice(b"\r\n");
            data.extend_from_slice(&chunk);
        }
        let last = ["0", "000"][self.roll(2)];
        let extension = EXTENSIONS[self.roll(EXTENSIONS.len())];
        let trailers = TRAILERS[self.roll(TRAILERS.len())];
        body.extend_from_slice(format!("{last}{extension}\r\n{trailers}\r\n").as_bytes());
        (body, data)
    }

    fn mutate(&mut self, body: &mut Vec<u8>) {
        const PIECES: [&[u8]; 12] = [
            b"\r\n",
            b"\n",
            b"\r",
            b" ",
            b";",
            b"=",
            b"\"",
            b"0",
            b"a",
            b":",
            b"\0",
            b"0\r\n\r\n",
        ];
        let at = self.roll(body.len());
        match self.roll(3) {
            0 => body[at] = self.roll(256) as u8,
            1 => drop(body.remove(at)),
            _ => drop(body.splice(at..at, PIECES[self.roll(PIECES.len())].iter().copied())),
        }
    }
}

/// What the engine makes of the bytes behind a head: the data, and what is left behind the body.
async fn engine(bytes: &[u8], with_head: usize, piece: usize) -> Result<(Vec<u8>, Vec<u8>), String> {
    let (mut client, server) = tokio::io::duplex(piece);
    let mut session = HttpSession::new(Box::new(server));
    session.set_pipelining_enabled(true);
    session.set_pipelined_prefix(BytesMut::from(&*[HEAD, &bytes[..with_head]].concat()));
    let rest = bytes[with_head..].to_vec();
    let sending = tokio::spawn(async move {
        let _ = client.write_all(&rest).await;
    });
    session.read_request().await.map_err(|error| error.to_string())?;
    session.set_server_keepalive(Some(60));
    let mut data = Vec::new();
    while let Some(piece) = session
        .read_body_bytes()
        .await
        .map_err(|error| error.to_string())?
    {
        data.extend_from_slice(&piece);
    }
    let reused = session.reuse().await.map_err(|error| error.to_string())?;
    let (mut stream, prefix) = reused.ok_or("not reused")?.into_parts();
    let mut left = prefix.unwrap_or_default().to_vec();
    stream
        .read_to_end(&mut left)
        .await
        .map_err(|error| error.to_string())?;
    sending.await.unwrap();
    Ok((data, left))
}

fn end_of(bytes: &[u8]) -> Option<usize> {
    let mut scan = ChunkScan::default();
    let taken = scan.advance(bytes).ok()?;
    scan.is_over().then_some(taken)
}

#[tokio::test]
async fn the_engine_ends_accepted_bodies_in_the_same_place() {
    let mut dice = Dice(0x6765_6e6b_616e_0004);
    for _ in 0..8_000 {
        let (mut bytes, data) = dice.body();
        let end = bytes.len();
        bytes.extend_from_slice(NEXT);
        assert_eq!(end_of(&bytes), Some(end), "{}", bytes.escape_ascii());
        // Large bodies in tiny pieces would only take long.
        let piece = if end > 60_000 {
            5_000 + dice.roll(80_000)
        } else {
            1 + dice.roll(80)
        };
        let with_head = if dice.roll(2) == 0 {
            0
        } else {
            dice.roll(bytes.len() + 1)
        };
        let seen = engine(&bytes, with_head, piece).await;
        let shown = || {
            format!(
                "{} by {piece} from {with_head}",
                bytes[..end.min(2_000)].escape_ascii()
            )
        };
        assert_eq!(seen.as_ref().map(|(_, left)| &**left), Ok(NEXT), "{}", shown());
        assert!(seen.unwrap().0 == data, "{}", shown());
    }
}

#[tokio::test]
async fn the_engine_reads_mutated_bodies_that_are_accepted_in_the_same_way() {
    let mut dice = Dice(0x6765_6e6b_616e_0005);
    let mut accepted = 0;
    for _ in 0..60_000 {
        let (mut bytes, _) = dice.body();
        if bytes.len() > 60_000 {
            continue;
        }
        for _ in 0..=dice.roll(2) {
            dice.mutate(&mut bytes);
            if bytes.is_empty() {
                break;
            }
        }
        bytes.extend_from_slice(NEXT);
        let Some(end) = end_of(&bytes) else { continue };
        accepted += 1;
        let piece = 1 + dice.roll(80);
        let seen = engine(&bytes, 0, piece).await;
        let left = seen.map(|(_, left)| left);
        assert_eq!(
            left.as_deref(),
            Ok(&bytes[end..]),
            "{} by {piece}",
            bytes.escape_ascii()
        );
    }
    assert!(
        accepted > 5_000,
        "only {accepted} bodies were accepted: the mutations are too wild"
    );
}
