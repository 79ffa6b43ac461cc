use std::sync::Arc;
use std::time::Duration;

use genkan_probe::{Answer, LARGEST_ANSWER, MOST_REDIRECTS, Plan, Verdict, join, origin};
use genkan_routing::endpoint::{Endpoint, Scheme};
use genkan_routing::model::{self, Authorities, Probed};
use http::header::{HOST, LOCATION, USER_AGENT};
use http::{HeaderName, HeaderValue};
use pingora_core::connectors::ConnectorOptions;
use pingora_core::connectors::http::Connector;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::{Error, ErrorType};
use pingora_http::RequestHeader;

use crate::names::Names;
use crate::upstream::{PeerOptions, Upstream};

/// Asks as a request would be sent: names are resolved and addresses checked in the same way, and certificates verified.
pub struct Asker {
    names: Arc<Names>,
    connector: Connector,
}

/// As whom genkan asks.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("genkan/", env!("CARGO_PKG_VERSION")));
/// Between two pieces of an answer.
const SILENCE: Duration = Duration::from_secs(10);

// === impl Asker ===

impl Asker {
    /// `options`: how requests connect, so that questions meet the same roots.
    pub fn new(names: Arc<Names>, options: ConnectorOptions) -> Self {
        Self {
            names,
            connector: Connector::new(Some(options)),
        }
    }

    /// Asks, follows redirects, and judges what comes.
    pub async fn ask(&self, plan: &Plan) -> Probed {
        let mut url = plan.url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let (answer, location) = match self.once(plan, &url).await {
                Ok(answered) => answered,
                Err(problem) => return failed(problem),
            };
            let next = location.filter(|_| plan.follows_redirects);
            match next.map(|location| join(&url, &location)) {
                None => return judged(plan, &answer),
                Some(None) => return failed("it redirects to nowhere that could be asked".to_owned()),
                Some(Some(next)) => url = next,
            }
        }
        failed(format!("it redirects more than {MOST_REDIRECTS} times"))
    }

    /// One question, and where it redirects to.
    async fn once(&self, plan: &Plan, url: &str) -> Result<(Answer, Option<String>), String> {
        let (base, target) = split(url);
        let endpoint = Endpoint::from_url(base).map_err(|error| error.to_string())?;
        let upstream =
            Upstream::of_host(&described(&endpoint, plan), &self.names).map_err(|error| error.to_string())?;
        let lease = upstream.choose(|_| true).await;
        let lease = lease.map_err(|_| format!("{} has no address that may be dialled", endpoint.host))?;
        let wanted = PeerOptions {
            silence: Some(SILENCE),
            ..PeerOptions::default()
        };
        let peer = upstream.peer(lease.address(), wanted);
        // Of a connection nothing is told but that it failed, and how.
        let told = |error: Box<Error>| format!("{}: {}", endpoint.authority, word(&error));
        let connecting = self.connector.get_http_session(&peer).await;
        let (mut session, _) = connecting.map_err(told)?;
        let head = head(plan, url, target, &upstream)?;
        session.write_request_header(Box::new(head)).await.map_err(told)?;
        session.finish_request_body().await.map_err(told)?;
        session.read_response_header().await.map_err(told)?;
        read(&mut session).await.map_err(told)
    }
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asker")
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

fn described(endpoint: &Endpoint, plan: &Plan) -> model::Upstream {
    let authorities = plan.authorities.as_ref();
    model::Upstream {
        authority: endpoint.authority.clone(),
        base_path: String::new(),
        target: model::Target::Host {
            name: endpoint.host.clone(),
            port: endpoint.port,
        },
        tls: (endpoint.scheme == Scheme::Https).then(|| model::Tls {
            server_name: endpoint.host.clone(),
            ca: authorities.map_or(Authorities::System, |pem| {
                Authorities::Inline(pem.as_bytes().into())
            }),
            insecure_skip_verify: plan.skips_verification,
        }),
        http2: false,
        https_by_default: false,
    }
}

fn head(plan: &Plan, url: &str, target: String, upstream: &Upstream) -> Result<RequestHeader, String> {
    let bad = |_| "the path or a header of the probe cannot be sent".to_owned();
    let mut head = RequestHeader::build(plan.method.as_str(), target.as_bytes(), None).map_err(bad)?;
    head.insert_header(HOST, upstream.host.clone()).map_err(bad)?;
    head.insert_header(USER_AGENT, AGENT).map_err(bad)?;
    // What was rendered for the tool is nobody else's.
    if origin(url) == origin(&plan.url) {
        for (name, value) in &plan.headers {
            let line = name
                .parse::<HeaderName>()
                .ok()
                .zip(HeaderValue::from_str(value).ok());
            let (name, value) =
                line.ok_or_else(|| format!("the header {name} of the probe cannot be sent"))?;
            head.append_header(name, value).map_err(bad)?;
        }
    }
    Ok(head)
}

/// The answer, as much of it as is looked at, and where it redirects to.
async fn read(session: &mut HttpSession) -> Result<(Answer, Option<String>), Box<Error>> {
    let mut answer = Answer::default();
    let mut location = None;
    if let Some(head) = session.response_header() {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        answer.status = head.status.as_u16();
        answer.headers = (head.headers.iter())
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect();
        let redirects = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
        location = head.headers.get(LOCATION).filter(|_| redirects).map(text);
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
    Ok((answer, location))
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

fn failed(message: String) -> Probed {
    Probed {
        is_good: false,
        has_answered: false,
        message,
    }
}

fn judged(plan: &Plan, answer: &Answer) -> Probed {
    let (is_good, message) = match plan.expected.judge(answer) {
        Verdict::Good => (true, String::new()),
        Verdict::Bad(message) => (false, message),
    };
    Probed {
        is_good,
        has_answered: true,
        message,
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
