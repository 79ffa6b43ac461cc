use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use pingora_http::ResponseHeader;

/// Heads are read into one buffer, and are smaller than this.
const BUFFER: usize = 1 << 20;

/// Has the engine taken a Content-Length out of this answer?
///
/// An answer with both Content-Length and Transfer-Encoding must be refused, but the engine (Pingora 0.9.1) removes the
/// length before any filter is asked. What it leaves shows: names are slices of the head as it was received, in their
/// order; where a name is taken out, the last one comes to its place, and stands before others that it came after. Holes
/// between the lines would show more, but blanks around a value make them, too, and are allowed.
///
/// It does not show when the length was the last name or the last but one. That is no danger, because the body is framed
/// afresh; the answer is then passed on without its length.
pub fn shows(answer: &ResponseHeader) -> bool {
    let headers = &answer.headers;
    if !headers.contains_key(TRANSFER_ENCODING) || headers.contains_key(CONTENT_LENGTH) {
        return false;
    }
    let mut before: Option<(&[u8], usize)> = None;
    let (mut lowest, mut highest, mut is_out_of_order) = (usize::MAX, 0, false);
    for (name, _) in answer.case_header_iter() {
        let name = name.as_slice();
        let start = name.as_ptr().addr();
        lowest = lowest.min(start);
        highest = highest.max(start);
        // The lines of one name stand together, wherever they came.
        if before.is_some_and(|(other, _)| other.eq_ignore_ascii_case(name)) {
            continue;
        }
        is_out_of_order |= before.is_some_and(|(_, other)| other > start);
        before = Some((name, start));
    }
    is_out_of_order && highest - lowest < BUFFER
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
    async fn a_length_beside_chunked_shows_but_near_the_end() {
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
                // Behind it there are two other names.
                assert_eq!(read(&lines).await, at < 3, "{lines:?}");
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
        let blanks = " ".repeat(400);
        for value in [
            format!("{blanks}1"),
            format!("1{blanks}"),
            format!("{blanks}1{blanks}"),
            blanks.clone(),
        ] {
            let padded = format!("X-Padded:{value}");
            for lines in [
                &[padded.as_str(), "Transfer-Encoding: chunked", "Date: now"][..],
                &["Server: x", &padded, "Transfer-Encoding: chunked"],
                &["Transfer-Encoding: chunked", &padded, &padded, "Date: now"],
            ] {
                assert!(!read(lines).await, "{lines:?}");
            }
        }
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
