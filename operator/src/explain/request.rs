//! The request that is asked about.

use http::header::{HeaderName, HeaderValue};

/// A request as a client would send it.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Origin form.
    pub target: Vec<u8>,
    pub host: String,
    /// In order, without `Host`.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// The host of a request that names none.
const NO_HOST: &str = "localhost";

// === impl Request ===

impl Request {
    /// Reads a method, a URL or a path, and headers in the form `Name: value`.
    ///
    /// # Errors
    /// In one sentence, when one of them cannot be sent.
    pub fn new(method: &str, url: &str, headers: &[String]) -> Result<Self, String> {
        if http::Method::from_bytes(method.as_bytes()).is_err() {
            return Err(format!("{method:?} is not an HTTP method"));
        }
        let (mut host, target) = split_url(url)?;
        let mut kept = Vec::new();
        for header in headers {
            let (name, value) = header
                .split_once(':')
                .ok_or_else(|| format!("-H {header:?} has no colon; write 'Name: value'"))?;
            let (name, value) = (name.trim(), value.trim());
            if HeaderName::from_bytes(name.as_bytes()).is_err() {
                return Err(format!("-H {header:?}: {name:?} is not a header name"));
            }
            if HeaderValue::from_bytes(value.as_bytes()).is_err() {
                return Err(format!("-H {header:?}: the value holds a control character"));
            }
            if name.eq_ignore_ascii_case("host") {
                host = Some(value.to_owned());
            } else {
                kept.push((name.to_owned(), value.as_bytes().to_vec()));
            }
        }
        Ok(Self {
            method: method.to_owned(),
            target: target.into_bytes(),
            host: host.unwrap_or_else(|| NO_HOST.to_owned()),
            headers: kept,
        })
    }

    /// The values of all lines of a header.
    pub fn values<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
        let same = move |(of, _): &&(String, Vec<u8>)| of.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .filter(same)
            .map(|(_, value)| value.as_slice())
    }
}

/// Host, if there is one, and origin form.
fn split_url(url: &str) -> Result<(Option<String>, String), String> {
    if url.starts_with('/') {
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
    let end = after.find(['/', '?']).unwrap_or(after.len());
    let (host, target) = after.split_at(end);
    let slash = if target.starts_with('/') { "" } else { "/" };
    Ok((Some(host.to_owned()), format!("{slash}{target}")))
}

#[cfg(test)]
mod tests {
    use super::Request;

    #[test]
    fn host_and_target_are_taken_apart() {
        for (url, host, target) in [
            ("/proxy/x?a=b", "localhost", "/proxy/x?a=b"),
            ("https://Gw.example:8443/a/", "Gw.example:8443", "/a/"),
            ("HTTP://gw.example", "gw.example", "/"),
            ("http://gw.example?a", "gw.example", "/?a"),
        ] {
            let request = Request::new("GET", url, &[]).unwrap();
            assert_eq!(
                (request.host.as_str(), request.target.as_slice()),
                (host, target.as_bytes())
            );
        }
        let request = Request::new("GET", "http://a.example/", &["Host: b.example".to_owned()]).unwrap();
        assert_eq!((request.host.as_str(), request.headers.len()), ("b.example", 0));
    }

    #[test]
    fn what_cannot_be_sent_is_told() {
        let header = |text: &str| Request::new("GET", "/", &[text.to_owned()]).unwrap_err();
        assert!(Request::new("G T", "/", &[]).unwrap_err().contains("HTTP method"));
        assert!(
            Request::new("GET", "gw.example/", &[])
                .unwrap_err()
                .contains("http://")
        );
        assert!(header("Foo").contains("no colon"));
        assert!(header("Fo o: a").contains("not a header name"));
        assert!(header("Foo: a\u{1}b").contains("control character"));
    }
}
