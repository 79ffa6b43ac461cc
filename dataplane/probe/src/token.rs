//! The client credentials grant of OAuth 2.0 (RFC 6749, 4.4): what a server is asked, and what its answer is worth.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use genkan_routing::connectors::Client;
use genkan_routing::model::TokenSource;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::Answer;

/// What is sent by POST. It holds a credential, and is not printed.
pub struct Request {
    pub headers: Vec<(String, String)>,
    pub body: Zeroizing<Vec<u8>>,
}

/// What a server says, as much of it as is used.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    access_token: Option<String>,
    token_type: Option<String>,
    expires_in: serde_json::Value,
    error: Option<String>,
}

/// Of a token whose server does not say how long it is good.
const USUAL: Duration = Duration::from_secs(300);
const LONGEST: Duration = Duration::from_secs(24 * 3600);
const LONGEST_ERROR: usize = 40;

// === impl Request ===

impl Request {
    /// `in_body`: the client is named there, and not in `Authorization`.
    pub fn new(source: &TokenSource, client: Client<'_>, in_body: bool) -> Self {
        let mut body = Zeroizing::new(b"grant_type=client_credentials".to_vec());
        let mut field = |name: &[u8], value: &[u8]| {
            body.extend_from_slice(b"&");
            body.extend_from_slice(name);
            body.extend_from_slice(b"=");
            body.extend_from_slice(&escaped(value));
        };
        if !source.scopes.is_empty() {
            field(b"scope", source.scopes.join(" ").as_bytes());
        }
        let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut headers = vec![
            line("Accept", "application/json"),
            line("Content-Type", "application/x-www-form-urlencoded"),
        ];
        if in_body {
            field(b"client_id", client.id);
            field(b"client_secret", client.secret);
        } else {
            let pair = Zeroizing::new([&escaped(client.id)[..], b":", &escaped(client.secret)].concat());
            headers.push(line(
                "Authorization",
                &format!("Basic {}", STANDARD.encode(&*pair)),
            ));
        }
        Self { headers, body }
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Request(..)")
    }
}

/// RFC 6749, 2.3.1: the server may be one that reads the client in the body alone.
pub fn reads_body_alone(answer: &Answer) -> bool {
    matches!(answer.status, 400 | 401)
}

/// The token, and how long it is good.
///
/// # Errors
/// Why there is none; one sentence without a credential.
pub fn granted(source: &TokenSource, answer: Answer) -> Result<(Zeroizing<String>, Duration), String> {
    let body = Zeroizing::new(answer.body);
    let said: Said = serde_json::from_str(&body).unwrap_or_default();
    let problem = |what: &str| Err(refused(source, what));
    if answer.status != 200 {
        let error = said.error.filter(|error| is_word(error));
        let error = error.map_or_else(String::new, |error| format!(" ({error})"));
        return problem(&format!("it answers {}{error}", answer.status));
    }
    let is_bearer = said.token_type.as_deref();
    if !is_bearer.is_none_or(|kind| kind.eq_ignore_ascii_case("bearer")) {
        return problem("its token is of another type than Bearer");
    }
    match said.access_token.map(Zeroizing::new) {
        Some(token) if is_token(&token) => Ok((token, lifetime(&said.expires_in))),
        Some(_) => problem("its token is one that no header takes"),
        None => problem("its answer holds no access_token"),
    }
}

/// The sentence for a source that grants nothing, because of `what`.
pub fn refused(source: &TokenSource, what: &str) -> String {
    let shown = source.url.split(['?', '#']).next().unwrap_or_default();
    format!("{shown} grants no token: {what}")
}

/// Seconds, as a number or, as some write it, as text.
fn lifetime(said: &serde_json::Value) -> Duration {
    let seconds = said.as_f64();
    let seconds = seconds.or_else(|| said.as_str().and_then(|text| text.parse().ok()));
    seconds
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .map_or(USUAL, |time| time.min(LONGEST))
}

/// RFC 6750, 2.1.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A word of RFC 6749, 5.2, and nothing that a server would like people to read.
fn is_word(error: &str) -> bool {
    let is_of_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    error.len() <= LONGEST_ERROR && !error.is_empty() && error.bytes().all(is_of_word)
}

/// All but unreserved characters.
fn escaped(value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(3 * value.len()));
    for &byte in value {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_come_as_numbers_and_as_text() {
        for (said, expected) in [
            (serde_json::json!(3600), 3600),
            (serde_json::json!("3600"), 3600),
            (serde_json::json!(null), 300),
            (serde_json::json!(-5), 300),
            (serde_json::json!(1e300), 300),
            (serde_json::json!(1e9), 86400),
        ] {
            assert_eq!(lifetime(&said), Duration::from_secs(expected), "{said}");
        }
    }
}
