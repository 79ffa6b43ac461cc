use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora_http::{RequestHeader, ResponseHeader};

use genkan_routing::HeaderStore;
use genkan_routing::identity::{is_hop_by_hop, tokens};

/// The header fields of a message of the engine, for the rules of the library.
pub struct Fields<'h, H>(pub &'h mut H);

/// What requests and responses of the engine have in common.
pub trait Head {
    fn headers(&self) -> &HeaderMap;
    fn insert(&mut self, name: String, value: HeaderValue);
    fn append(&mut self, name: String, value: HeaderValue);
    fn remove(&mut self, name: &str);
}

macro_rules! head {
    ($of:ty) => {
        impl Head for $of {
            fn headers(&self) -> &HeaderMap {
                &self.headers
            }
            fn insert(&mut self, name: String, value: HeaderValue) {
                // Names were checked when the rules were compiled; one that slipped through is left out.
                let _ = self.insert_header(name, value);
            }
            fn append(&mut self, name: String, value: HeaderValue) {
                let _ = self.append_header(name, value);
            }
            fn remove(&mut self, name: &str) {
                let _ = self.remove_header(name);
            }
        }
    };
}

head!(RequestHeader);
head!(ResponseHeader);

// === impl Fields ===

impl<H: Head> HeaderStore for Fields<'_, H> {
    fn set(&mut self, name: &str, value: &[u8]) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            self.0.insert(name.to_owned(), value);
        }
    }

    fn append(&mut self, name: &str, value: &[u8]) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            self.0.append(name.to_owned(), value);
        }
    }

    fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    fn retain(&mut self, keep: &dyn Fn(&str) -> bool) {
        remove_where(self.0, |name| !keep(name));
    }
}

/// Removes every field whose name is one of those; allocates only when there is one.
pub fn remove_where(head: &mut impl Head, is_unwanted: impl Fn(&str) -> bool) {
    let unwanted: Vec<HeaderName> = head
        .headers()
        .keys()
        .filter(|name| is_unwanted(name.as_str()))
        .cloned()
        .collect();
    unwanted.iter().for_each(|name| head.remove(name.as_str()));
}

/// Removes the fields that `Connection` names, except those that the engine still reads.
pub fn remove_nominated(head: &mut impl Head) {
    let lines = head.headers().get_all(CONNECTION);
    let named = lines.iter().flat_map(|line| tokens(line.as_bytes()));
    // What most clients say names no field that would still be there.
    let named = named
        .filter(|token| !token.eq_ignore_ascii_case(b"close") && !token.eq_ignore_ascii_case(b"keep-alive"));
    let names = named.filter_map(|token| HeaderName::from_bytes(token).ok());
    let still_read = [CONNECTION, UPGRADE, CONTENT_LENGTH, TRANSFER_ENCODING];
    let nominated: Vec<_> = names.filter(|name| !still_read.contains(name)).collect();
    nominated.iter().for_each(|name| head.remove(name.as_str()));
}

/// Removes what concerns one connection only; the framing is left to the engine.
pub fn remove_hop_by_hop(head: &mut impl Head) {
    remove_where(head, |name| {
        is_hop_by_hop(name) && name != TRANSFER_ENCODING.as_str()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_request(headers: &[(&'static str, &str)]) -> RequestHeader {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        for (name, value) in headers {
            request.append_header(*name, *value).unwrap();
        }
        request
    }

    fn names(request: &RequestHeader) -> Vec<&str> {
        let mut names: Vec<_> = request.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn nominated_fields_go_but_framing_stays() {
        let mut request = mk_request(&[
            ("connection", "X-Secret, content-length"),
            ("connection", "transfer-encoding,upgrade, te"),
            ("x-secret", "1"),
            ("X-Secret", "2"),
            ("content-length", "3"),
            ("upgrade", "websocket"),
            ("te", "trailers"),
            ("x-open", "1"),
        ]);
        remove_nominated(&mut request);
        assert_eq!(
            names(&request),
            ["connection", "content-length", "upgrade", "x-open"]
        );
    }

    #[test]
    fn fields_of_one_connection_go() {
        let mut request = mk_request(&[
            ("keep-alive", "1"),
            ("proxy-authorization", "x"),
            ("trailer", "x"),
            ("a", "b"),
        ]);
        remove_hop_by_hop(&mut request);
        assert_eq!(names(&request), ["a"]);
    }
}
