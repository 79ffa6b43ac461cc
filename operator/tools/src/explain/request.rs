//! The request that is asked about.

/// A request as a client would send it, right or wrong.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// As it stands in the request line.
    pub target: Vec<u8>,
    /// It comes by an encrypted connection.
    pub is_tls: bool,
    /// In order, with `Host`.
    pub headers: Vec<(String, Vec<u8>)>,
    /// What policies see of the body; absent where nobody says what it is.
    pub body: Option<Vec<u8>>,
    /// What the backend says to it; absent where nobody knows.
    pub answer: Option<BackendAnswer>,
}

/// The head of an answer of a backend.
#[derive(Clone, Debug)]
pub struct BackendAnswer {
    pub status: u16,
    /// In order.
    pub headers: Vec<(String, String)>,
}

/// The host of a request that names none.
const NO_HOST: &str = "localhost";

// === impl Request ===

impl Request {
    /// Reads a method, a URL or a path, and headers in the form `Name: value`.
    ///
    /// # Errors
    /// In one sentence, when they make no request at all.
    pub fn new(method: &str, url: &str, headers: &[String]) -> Result<Self, String> {
        let (host, target) = split_url(method, url)?;
        let mut kept = Vec::new();
        for header in headers {
            let (name, value) = split(header, "-H")?;
            kept.push((name.to_owned(), value.as_bytes().to_vec()));
        }
        if !kept.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            let host = host.unwrap_or_else(|| NO_HOST.to_owned());
            kept.insert(0, ("Host".to_owned(), host.into_bytes()));
        }
        let request = Self {
            method: method.to_owned(),
            target: target.into_bytes(),
            is_tls: url
                .get(..8)
                .is_some_and(|start| start.eq_ignore_ascii_case("https://")),
            headers: kept,
            body: None,
            answer: None,
        };
        let lines = request.head().windows(2).filter(|pair| pair == b"\r\n").count();
        let feeds = request.head().iter().filter(|byte| **byte == b'\n').count();
        if lines != request.headers.len() + 2 || feeds != lines {
            return Err("a method, a URL and a header are one line each; take the line break out".to_owned());
        }
        Ok(request)
    }

    /// With a body, and its length in the head where that says nothing of it.
    #[must_use]
    pub fn with_body(mut self, body: Vec<u8>) -> Self {
        let is_framed = (self.headers.iter()).any(|(name, _)| {
            ["content-length", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str())
        });
        if !is_framed {
            let length = body.len().to_string().into_bytes();
            self.headers.push(("Content-Length".to_owned(), length));
        }
        self.body = Some(body);
        self
    }

    /// With what the backend says to it.
    #[must_use]
    pub fn with_answer(mut self, answer: BackendAnswer) -> Self {
        self.answer = Some(answer);
        self
    }

    /// The bytes in front of the body.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut head = [self.method.as_bytes(), b" ", &self.target, b" HTTP/1.1\r\n"].concat();
        for (name, value) in &self.headers {
            head.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}

// === impl BackendAnswer ===

impl BackendAnswer {
    /// Reads headers in the form `Name: value`.
    ///
    /// # Errors
    /// In one sentence, when one is not, or the status is none of an answer.
    pub fn new(status: u16, headers: &[String]) -> Result<Self, String> {
        if !(200..600).contains(&status) {
            return Err(format!(
                "{status} is no status of an answer; it is from 200 to 599"
            ));
        }
        let pairs = headers.iter().map(|header| {
            let (name, value) = split(header, "--answer-header")?;
            let is_header =
                name.parse::<http::HeaderName>().is_ok() && http::HeaderValue::from_str(value).is_ok();
            match is_header {
                true => Ok((name.to_owned(), value.to_owned())),
                false => Err(format!("--answer-header {header:?} is no header")),
            }
        });
        Ok(Self {
            status,
            headers: pairs.collect::<Result<_, String>>()?,
        })
    }
}

fn split<'h>(header: &'h str, flag: &str) -> Result<(&'h str, &'h str), String> {
    let (name, value) = header
        .split_once(':')
        .ok_or_else(|| format!("{flag} {header:?} has no colon; write 'Name: value'"))?;
    Ok((name, value.trim()))
}

/// Host, if there is one, and the target: origin form, or the asterisk that means the server itself.
fn split_url(method: &str, url: &str) -> Result<(Option<String>, String), String> {
    if url.starts_with('/') || (method == "OPTIONS" && url == "*") {
        return Ok((None, url.to_owned()));
    }
    let lower = url.to_ascii_lowercase();
    let after = ["http://", "https://"]
        .iter()
        .find(|scheme| lower.starts_with(**scheme))
        .map(|scheme| &url[scheme.len()..]);
    let Some(after) = after else {
        return Err(format!(
            "{url:?} is no URL and no path; begin with http://, https:// or /"
        ));
    };
    // What stands behind it never leaves the client.
    let sent = after.split('#').next().unwrap_or_default();
    let end = sent.find(['/', '?']).unwrap_or(sent.len());
    let (host, target) = sent.split_at(end);
    if host.contains('@') {
        return Err(
            "a URL with a user in it is sent as a header; write -H 'Authorization: Basic …' instead"
                .to_owned(),
        );
    }
    let slash = if target.starts_with('/') { "" } else { "/" };
    Ok((Some(host.to_owned()), format!("{slash}{target}")))
}

#[cfg(test)]
mod tests {
    use super::Request;

    #[test]
    fn host_and_target_are_taken_apart() {
        for (method, url, host, target) in [
            ("GET", "/proxy/x?a=b", "localhost", "/proxy/x?a=b"),
            ("GET", "https://Gw.example:8443/a/", "Gw.example:8443", "/a/"),
            ("GET", "HTTP://gw.example", "gw.example", "/"),
            ("GET", "http://gw.example?a", "gw.example", "/?a"),
            (
                "GET",
                "https://gw.example/proxy/x/#/d/1",
                "gw.example",
                "/proxy/x/",
            ),
            ("GET", "https://gw.example#x", "gw.example", "/"),
            ("GET", "/proxy/x#y", "localhost", "/proxy/x#y"),
            ("OPTIONS", "*", "localhost", "*"),
        ] {
            let request = Request::new(method, url, &[]).unwrap();
            let head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            assert_eq!(request.head(), head.as_bytes());
        }
        let request = Request::new("GET", "http://a.example/", &["host: b.example".to_owned()]).unwrap();
        assert_eq!(request.headers, [("host".to_owned(), b"b.example".to_vec())]);
    }

    #[test]
    fn what_is_no_request_is_told() {
        let header = |text: &str| Request::new("GET", "/", &[text.to_owned()]);
        for url in ["gw.example/", "*"] {
            assert!(Request::new("GET", url, &[]).unwrap_err().contains("http://"));
        }
        let with_user = Request::new("GET", "https://jane:secret@gw.example/", &[]);
        assert!(with_user.unwrap_err().contains("Authorization"));
        assert!(header("Foo").unwrap_err().contains("no colon"));
        for broken in ["Foo: a\r\nBar: b", "Foo: a\nBar", "Fo\r\no: a"] {
            assert!(header(broken).unwrap_err().contains("line break"));
        }
        assert!(Request::new("GET", "/a\r\nb: c", &[]).is_err());
        assert!(
            header("Fo o: a\u{1}b").is_ok(),
            "that is for the data plane to judge"
        );
    }
}
