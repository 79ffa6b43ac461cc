//! Requests of genkan's own: questions to tools, and for tokens.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use genkan_probe::{Answer, LARGEST_ANSWER, origin};
use genkan_routing::endpoint::{Endpoint, Scheme};
use genkan_routing::model::{self, Authorities};
use http::header::{CONTENT_LENGTH, HOST, USER_AGENT};
use http::{HeaderName, HeaderValue};
use pingora_core::connectors::ConnectorOptions;
use pingora_core::connectors::http::Connector;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::{Error, ErrorType};
use pingora_http::RequestHeader;

use super::{PeerOptions, Upstream};
use crate::names::Names;

/// Asks as a request would be sent: names are resolved and addresses checked in the same way, and certificates verified.
pub struct Client {
    names: Arc<Names>,
    connector: Connector,
}

/// One request. It may hold credentials, and is not printed.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub method: &'a str,
    /// Absolute.
    pub url: &'a str,
    /// Beside `Host`, `User-Agent` and `Content-Length`; a name may come several times.
    pub headers: &'a [(String, String)],
    pub body: &'a [u8],
    /// PEM; absent: the roots of the proxy.
    pub authorities: Option<&'a str>,
    /// The roots of the proxy count beside these.
    pub beside_roots: bool,
    pub skips_verification: bool,
}

/// As whom genkan asks.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("genkan/", env!("CARGO_PKG_VERSION")));
/// Between two pieces of an answer.
const SILENCE: Duration = Duration::from_secs(10);

// === impl Client ===

impl Client {
    /// `options`: how requests connect, so that questions meet the same roots.
    pub fn new(names: Arc<Names>, options: ConnectorOptions) -> Self {
        Self {
            names,
            connector: Connector::new(Some(options)),
        }
    }

    /// Makes a connection, and no more.
    ///
    /// # Errors
    /// Why there is none, in one sentence.
    pub async fn connect(&self, asked: &Asked<'_>) -> Result<(), String> {
        self.session(asked).await.map(|_| ())
    }

    /// The answer, and of its body as much as is looked at. No redirect is followed.
    ///
    /// # Errors
    /// Why there is none: one sentence that holds nothing of the request but its host.
    pub async fn ask(&self, asked: &Asked<'_>) -> Result<Answer, String> {
        let (mut session, upstream) = self.session(asked).await?;
        // Of a connection nothing is told but that it failed, and how.
        let told = |error: Box<Error>| format!("{}: {}", upstream.authority, word(&error));
        let (_, target) = split(asked.url);
        let head = head(asked, target, &upstream)?;
        session.write_request_header(Box::new(head)).await.map_err(told)?;
        if !asked.body.is_empty() {
            let body = Bytes::copy_from_slice(asked.body);
            session.write_request_body(body, true).await.map_err(told)?;
        }
        session.finish_request_body().await.map_err(told)?;
        session.read_response_header().await.map_err(told)?;
        read(&mut session).await.map_err(told)
    }

    async fn session(&self, asked: &Asked<'_>) -> Result<(HttpSession, Upstream), String> {
        let (base, _) = split(asked.url);
        let endpoint = Endpoint::from_url(base).map_err(|error| error.to_string())?;
        let upstream = Upstream::of_host(&described(&endpoint, asked), &self.names)
            .map_err(|error| error.to_string())?;
        let lease = upstream.choose(|_| true).await;
        let lease = lease.map_err(|_| format!("{} has no address that may be dialled", endpoint.host))?;
        let wanted = PeerOptions {
            silence: Some(SILENCE),
            ..PeerOptions::default()
        };
        let peer = upstream.peer(lease.address(), wanted);
        let connecting = self.connector.get_http_session(&peer).await;
        let told = |error: Box<Error>| format!("{}: {}", endpoint.authority, word(&error));
        let (session, _) = connecting.map_err(told)?;
        drop(lease);
        Ok((session, upstream))
    }
}

impl std::fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asked(..)")
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

/// Whom to ask, and for what: an empty path is the root.
fn split(url: &str) -> (&str, String) {
    let authority = origin(url).map_or(url.len(), |(scheme, authority)| {
        scheme.len() + 3 + authority.len()
    });
    let (base, target) = url.split_at(authority.min(url.len()));
    let slash = if target.starts_with('/') { "" } else { "/" };
    (base, format!("{slash}{target}"))
}

fn described(endpoint: &Endpoint, asked: &Asked<'_>) -> model::Upstream {
    model::Upstream {
        authority: endpoint.authority.clone(),
        base_path: String::new(),
        target: model::Target::Host {
            name: endpoint.host.clone(),
            port: endpoint.port,
        },
        tls: (endpoint.scheme == Scheme::Https).then(|| model::Tls {
            server_name: endpoint.host.clone(),
            ca: asked.authorities.map_or(Authorities::System, |pem| {
                Authorities::Inline(pem.as_bytes().into())
            }),
            beside_roots: asked.beside_roots,
            insecure_skip_verify: asked.skips_verification,
        }),
        http2: false,
        fronting: Default::default(),
        https_by_default: false,
    }
}

fn head(asked: &Asked<'_>, target: String, upstream: &Upstream) -> Result<RequestHeader, String> {
    let bad = |_| "the path or a header of the request cannot be sent".to_owned();
    let mut head = RequestHeader::build(asked.method, target.as_bytes(), None).map_err(bad)?;
    head.insert_header(HOST, upstream.host.clone()).map_err(bad)?;
    head.insert_header(USER_AGENT, AGENT).map_err(bad)?;
    if !asked.body.is_empty() {
        head.insert_header(CONTENT_LENGTH, asked.body.len())
            .map_err(bad)?;
    }
    for (name, value) in asked.headers {
        let line = name
            .parse::<HeaderName>()
            .ok()
            .zip(HeaderValue::from_str(value).ok());
        let (name, value) = line.ok_or_else(|| format!("the header {name} of the request cannot be sent"))?;
        head.append_header(name, value).map_err(bad)?;
    }
    Ok(head)
}

async fn read(session: &mut HttpSession) -> Result<Answer, Box<Error>> {
    let mut answer = Answer::default();
    if let Some(head) = session.response_header() {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        answer.status = head.status.as_u16();
        answer.headers = (head.headers.iter())
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect();
    }
    let mut body = Vec::new();
    while let Some(piece) = session.read_response_body().await? {
        body.extend_from_slice(&piece);
        if body.len() >= LARGEST_ANSWER {
            body.truncate(LARGEST_ANSWER);
            break;
        }
    }
    answer.body = String::from_utf8_lossy(&body).into_owned();
    Ok(answer)
}

fn word(error: &Error) -> &'static str {
    use ErrorType::*;
    match error.etype() {
        TLSHandshakeFailure | TLSHandshakeTimedout | InvalidCert | TLSWantX509Lookup => "TLS fails",
        ConnectTimedout | ReadTimedout | WriteTimedout => "it does not answer in time",
        ConnectRefused => "the connection is refused",
        ConnectNoRoute | ConnectError | SocketError | BindError => "it cannot be connected to",
        _ => "the connection is broken",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_at_the_path() {
        for (url, base, target) in [
            ("https://tool.example/a?b", "https://tool.example", "/a?b"),
            ("https://tool.example", "https://tool.example", "/"),
            ("http://tool.example:81?x", "http://tool.example:81", "/?x"),
        ] {
            assert_eq!(split(url), (base, target.to_owned()), "{url}");
        }
    }
}
