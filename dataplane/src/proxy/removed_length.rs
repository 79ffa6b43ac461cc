use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use pingora_http::ResponseHeader;

/// Nothing between the end of a value and the next name takes this much but a whole line: the shortest
/// Content-Length with its line end, besides the colon and the line end of the line before.
const HOLE: usize = b":\r\n".len() + b"Content-Length:0\r\n".len();
/// Heads are read into one buffer, and are smaller than this.
const BUFFER: usize = 1 << 20;

/// Has the engine taken a Content-Length out of this answer?
///
/// An answer with both Content-Length and Transfer-Encoding must be refused, but the engine (Pingora 0.9.1) removes the
/// length before any filter is asked. What it leaves shows: names are slices of the head as it was received, so a line
/// that is gone is a hole between its neighbours; and where the first line is taken out, the last one comes to its place.
/// It does not show when the length was the last line, or when there was only one other. That is no danger, because the
/// body is framed afresh; the answer is then passed on without its length.
pub fn shows(answer: &ResponseHeader) -> bool {
    let headers = &answer.headers;
    if !headers.contains_key(TRANSFER_ENCODING) || headers.contains_key(CONTENT_LENGTH) {
        return false;
    }
    // Where each line begins, and where at least it ends.
    let mut lines: Vec<(usize, usize)> = answer
        .case_header_iter()
        .map(|(name, value)| {
            let start = name.as_slice().as_ptr().addr();
            (start, start + name.as_slice().len() + value.len())
        })
        .collect();
    let Some(&first) = lines.first() else {
        return false;
    };
    lines.sort_unstable();
    let (lowest, highest) = (lines[0], lines[lines.len() - 1]);
    if highest.1 - lowest.0 > BUFFER {
        return false;
    }
    first != lowest
        || lines
            .windows(2)
            .any(|pair| pair[1].0.saturating_sub(pair[0].1) >= HOLE)
}

#[cfg(test)]
mod tests {
    use pingora_core::protocols::http::v1::client::HttpSession;
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// The head as the engine reads it.
    async fn read(lines: &[&str]) -> bool {
        let (engine, mut backend) = tokio::io::duplex(65_536);
        let head = format!("HTTP/1.1 200 OK\r\n{}\r\n\r\n0\r\n\r\n", lines.join("\r\n"));
        backend.write_all(head.as_bytes()).await.unwrap();
        let mut session = HttpSession::new(Box::new(engine));
        session.read_response().await.unwrap();
        shows(session.resp_header().unwrap())
    }

    #[tokio::test]
    async fn a_length_beside_chunked_shows_but_at_the_end() {
        let others = [
            "Server: x",
            "Transfer-Encoding: chunked",
            "Set-Cookie: a=1",
            "X-Empty:",
            "Set-Cookie: b=2",
        ];
        for length in [
            "Content-Length: 12",
            "content-length:0",
            "CONTENT-LENGTH: 1234567890",
        ] {
            for at in 0..others.len() {
                let mut lines = others.to_vec();
                lines.insert(at, length);
                assert!(read(&lines).await, "{lines:?}");
            }
        }
        assert!(
            read(&[
                "Content-Length: 12",
                "Transfer-Encoding: chunked",
                "Connection: close"
            ])
            .await
        );
        assert!(!read(&["Content-Length: 12", "Transfer-Encoding: chunked"]).await);
        assert!(!read(&["Transfer-Encoding: chunked", "Content-Length: 12"]).await);
    }

    #[tokio::test]
    async fn ordinary_answers_show_nothing() {
        for lines in [
            &["Transfer-Encoding: chunked"][..],
            &["Content-Length: 0"],
            &["Server: x", "Content-Length: 0", "Date: now"],
            &[
                "Server:    x    ",
                "X-Empty:",
                "X-Blank:   ",
                "Transfer-Encoding:chunked",
                "Date:\tnow\t",
            ],
            &[
                "Set-Cookie: a=1",
                "Transfer-Encoding: chunked",
                "X-A: 1",
                "Set-Cookie: b=2",
                "X-B: 2",
                "X-A: 2",
            ],
        ] {
            assert!(!read(lines).await, "{lines:?}");
        }
        let many: Vec<String> = (0..200)
            .map(|n| format!("X-{}: {}", n % 150, "v".repeat(n)))
            .collect();
        let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
        many.insert(77, "Transfer-Encoding: chunked");
        assert!(!read(&many).await);
    }
}
