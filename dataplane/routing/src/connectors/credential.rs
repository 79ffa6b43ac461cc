use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::plugin;
use super::refusal::unusable;
use crate::answer::Refused;
use crate::model::{AuthType, Injection, Secret, TokenSource};

/// What is put on a request. Its values are secrets: none is printed.
#[derive(Default)]
pub struct Injected {
    /// Each in place of all lines of its name.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Each in place of all parameters of its name.
    pub query: Vec<(String, Zeroizing<String>)>,
    pub body: Option<Body>,
    /// Which token it is, where a server granted one.
    pub token: Option<TokenId>,
}

/// Names a token by whom it was granted to, and says nothing of it.
pub type TokenId = [u8; 32];

/// What is put into the body of a request.
#[derive(Clone)]
pub struct Body {
    pub is_form: bool,
    pub fields: Vec<(String, serde_json::Value)>,
}

/// Where a policy puts a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    Header,
    Query,
    Body,
}

/// What a policy made of a Secret.
pub struct Generated {
    pub position: Position,
    /// Of a body; empty for the others.
    pub content_type: String,
    pub auth: Vec<(String, serde_json::Value)>,
}

/// What has to be done for a request to carry its credential.
pub(crate) enum Wanted<'a> {
    Ready(Injected),
    Generate {
        policy: &'a str,
    },
    Token {
        source: &'a TokenSource,
        client: Client<'a>,
    },
}

/// Whom a server grants tokens to. It holds a credential, which is not printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Client<'a> {
    pub id: &'a [u8],
    pub secret: &'a [u8],
}

/// Keys of a Secret that names a client, as RFC 6749 calls them; and as a Secret of type basic-auth does.
pub const CLIENT_KEYS: [(&str, &str); 2] = [("client_id", "client_secret"), ("username", "password")];

const META: HeaderName = HeaderName::from_static("x-plugin-meta");
const AUTH: HeaderName = HeaderName::from_static("x-plugin-auth");
const SECRET: HeaderName = HeaderName::from_static("x-plugin-secret");
/// Servers take no more in one head.
const LONGEST_PLUGIN: usize = 32 << 10;

/// What an auth type of a class makes of a Secret, named `title`.
///
/// # Errors
/// What the Secret lacks; never a value.
pub(crate) fn wanted<'a>(auth: &'a AuthType, secret: &'a Secret, title: &str) -> Result<Wanted<'a>, Refused> {
    check(auth, secret, title)?;
    let value = |key: &str| value(secret, key, title);
    Ok(match &auth.injection {
        Injection::Rego(policy) => Wanted::Generate { policy },
        Injection::OAuth2(source) => Wanted::Token {
            source,
            client: Client::of(secret, title)?,
        },
        Injection::Basic => {
            let (name, password) = (value("username")?, value("password")?);
            let joined = Zeroizing::new([name, b":", password].concat());
            let encoded = Zeroizing::new(format!("Basic {}", STANDARD.encode(&*joined)));
            Wanted::Ready(Injected::header(AUTHORIZATION, encoded.as_bytes(), title)?)
        }
        Injection::Bearer => {
            let line = Zeroizing::new([b"Bearer ", value("token")?].concat());
            Wanted::Ready(Injected::header(AUTHORIZATION, &line, title)?)
        }
        Injection::Undefined => {
            return Err(unusable(format!(
                "nothing says how a Secret of type '{}' is put on a request; give the auth type of the class a generator",
                auth.secret_type
            )));
        }
    })
}

/// What the API of a class is told.
///
/// # Errors
/// When it is longer than servers take.
pub(crate) fn plugin_headers(
    address: &str,
    secret: Option<(&Arc<Secret>, &str)>,
) -> Result<Injected, Refused> {
    let mut injected = Injected::header(META, plugin::meta(address).as_bytes(), "")?;
    let Some((secret, title)) = secret else {
        return Ok(injected);
    };
    let encoded = plugin::secret(secret);
    if encoded.len() > LONGEST_PLUGIN {
        return Err(unusable(format!(
            "{title} has {} bytes as X-Plugin-Secret, and {LONGEST_PLUGIN} are the most; make it smaller",
            encoded.len()
        )));
    }
    let auth = plugin::auth(&secret.kind);
    for (name, value) in [(AUTH, auth.as_bytes()), (SECRET, encoded.as_bytes())] {
        injected
            .headers
            .extend(Injected::header(name, value, title)?.headers);
    }
    Ok(injected)
}

/// Type and keys are those that the class asks for.
pub(crate) fn check(auth: &AuthType, secret: &Secret, title: &str) -> Result<(), Refused> {
    if !is_same_type(&auth.secret_type, &secret.kind) {
        return Err(unusable(format!(
            "{title} is of type '{}', and the auth type of the class wants '{}'",
            secret.kind, auth.secret_type
        )));
    }
    match auth.keys.iter().find(|key| !secret.data.contains_key(*key)) {
        Some(key) => Err(unusable(format!(
            "{title} has no key '{key}', which the class asks for"
        ))),
        None => Ok(()),
    }
}

/// `Opaque` had another spelling once, and is what a Secret without a type is.
fn is_same_type(wanted: &str, held: &str) -> bool {
    let plain = |kind: &str| kind.is_empty() || kind == "Opaque" || kind == "kubernetes.io/opaque";
    wanted == held || plain(wanted) && plain(held)
}

/// One line end behind it is of the editor that wrote it.
fn value<'s>(secret: &'s Secret, key: &str, title: &str) -> Result<&'s [u8], Refused> {
    let Some(value) = secret.data.get(key) else {
        return Err(unusable(format!("{title} has no key '{key}'")));
    };
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    if value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Err(unusable(format!(
            "key '{key}' of {title} holds a line end or NUL, which no header takes"
        )));
    }
    Ok(value)
}

// === impl Client ===

impl<'a> Client<'a> {
    /// # Errors
    /// What the Secret, named `title`, lacks; never a value.
    pub fn of(secret: &'a Secret, title: &str) -> Result<Self, Refused> {
        let [usual, other] = CLIENT_KEYS;
        let keys = match secret.data.contains_key(usual.0) || !secret.data.contains_key(other.0) {
            true => usual,
            false => other,
        };
        Ok(Self {
            id: value(secret, keys.0, title)?,
            secret: value(secret, keys.1, title)?,
        })
    }
}

impl std::fmt::Debug for Client<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client(..)")
    }
}

// === impl Injected ===

impl Injected {
    /// A token that a server granted.
    ///
    /// # Errors
    /// When no header takes it; one sentence without a value.
    pub fn bearer(token: &str, id: TokenId) -> Result<Self, &'static str> {
        let line = Zeroizing::new(format!("Bearer {token}"));
        let mut value = HeaderValue::from_str(&line).map_err(|_| "the token is one that no header takes")?;
        value.set_sensitive(true);
        Ok(Self {
            headers: vec![(AUTHORIZATION, value)],
            token: Some(id),
            ..Self::default()
        })
    }

    fn header(name: HeaderName, value: &[u8], title: &str) -> Result<Self, Refused> {
        let mut value = HeaderValue::from_bytes(value)
            .map_err(|_| unusable(format!("{title} holds bytes that no header takes")))?;
        value.set_sensitive(true);
        Ok(Self {
            headers: vec![(name, value)],
            ..Self::default()
        })
    }

    /// Nothing is put on the request.
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.query.is_empty() && self.body.is_none()
    }

    /// The query of the request, with what is put there.
    pub(crate) fn query<'q>(&self, query: Option<&'q [u8]>) -> Option<std::borrow::Cow<'q, [u8]>> {
        if self.query.is_empty() {
            return query.map(Into::into);
        }
        let set: Vec<(String, String)> = self
            .query
            .iter()
            .map(|(name, value)| (name.clone(), value.to_string()))
            .collect();
        Some(super::query::with_parameters(query, &set).into())
    }
}

/// What a policy made, put where it says.
impl TryFrom<Generated> for Injected {
    /// One sentence without a value.
    type Error = &'static str;

    fn try_from(generated: Generated) -> Result<Self, &'static str> {
        let text = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => Ok(Zeroizing::new(text)),
            number @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => {
                Ok(Zeroizing::new(number.to_string()))
            }
            _ => Err("the generator gave a value that is no text"),
        };
        let mut injected = Self::default();
        match generated.position {
            Position::Header => {
                for (name, value) in generated.auth {
                    let name = HeaderName::from_bytes(name.as_bytes())
                        .map_err(|_| "the generator gave a name that no header has")?;
                    let text = text(value)?;
                    let mut value = HeaderValue::from_bytes(text.as_bytes())
                        .map_err(|_| "the generator gave a value that no header takes")?;
                    value.set_sensitive(true);
                    injected.headers.push((name, value));
                }
            }
            Position::Query => {
                for (name, value) in generated.auth {
                    injected.query.push((name, text(value)?));
                }
            }
            Position::Body => {
                let media = generated
                    .content_type
                    .split(';')
                    .next()
                    .unwrap_or_default()
                    .trim();
                let is_form = match media {
                    "application/json" => false,
                    "application/x-www-form-urlencoded" => true,
                    _ => return Err("the generator puts it into a body that is neither JSON nor a form"),
                };
                injected.body = Some(Body {
                    is_form,
                    fields: generated.auth,
                });
            }
        }
        Ok(injected)
    }
}

// === impl Body ===

impl Body {
    /// Of the body that it goes into.
    pub fn media_type(&self) -> &'static str {
        if self.is_form {
            "application/x-www-form-urlencoded"
        } else {
            "application/json"
        }
    }

    /// The body with its fields in place of those of the same names.
    ///
    /// # Errors
    /// Why there is none; one sentence.
    pub fn merge(&self, sent: &[u8]) -> Result<Vec<u8>, &'static str> {
        if self.is_form {
            let text = |value: &serde_json::Value| match value {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let set: Vec<(String, String)> = self
                .fields
                .iter()
                .map(|(name, value)| (name.clone(), text(value)))
                .collect();
            return Ok(super::query::with_parameters(Some(sent), &set));
        }
        let mut object = match sent.trim_ascii() {
            [] => serde_json::Map::new(),
            sent => serde_json::from_slice(sent)
                .map_err(|_| "the body is no JSON object, and the credential goes into one")?,
        };
        object.extend(self.fields.iter().cloned());
        serde_json::to_vec(&object).map_err(|_| "the body cannot be written")
    }
}

impl std::fmt::Debug for Injected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Injected(..)")
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Body(..)")
    }
}

impl std::fmt::Debug for Generated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Generated(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_secret(kind: &str, data: &[(&str, &[u8])]) -> Secret {
        Secret {
            kind: kind.into(),
            data: data
                .iter()
                .map(|(key, value)| ((*key).to_owned(), Zeroizing::new(value.to_vec())))
                .collect(),
        }
    }

    fn mk_auth(secret_type: &str, keys: &[&str], injection: Injection) -> AuthType {
        AuthType {
            secret_type: secret_type.into(),
            is_optional: false,
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            injection,
        }
    }

    #[track_caller]
    fn line(auth: &AuthType, secret: &Secret) -> Result<String, String> {
        match wanted(auth, secret, "Secret a/b") {
            Ok(Wanted::Ready(injected)) => {
                let (name, value) = &injected.headers[0];
                assert!(value.is_sensitive());
                Ok(format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
            }
            Ok(Wanted::Generate { .. } | Wanted::Token { .. }) => panic!("nobody else makes it"),
            Err(refused) => Err(refused.message),
        }
    }

    #[test]
    fn basic_and_bearer_are_put_into_authorization() {
        let basic = mk_auth("kubernetes.io/basic-auth", &[], Injection::Basic);
        for (name, password, expected) in [
            (&b"u"[..], &b"p"[..], "authorization: Basic dTpw"),
            (b"", b"pw", "authorization: Basic OnB3"),
            (b"bot", "p:\u{e4}".as_bytes(), "authorization: Basic Ym90OnA6w6Q="),
            (b"u\n", b"p\r\n", "authorization: Basic dTpw"),
        ] {
            let secret = mk_secret(
                "kubernetes.io/basic-auth",
                &[("username", name), ("password", password)],
            );
            assert_eq!(line(&basic, &secret).unwrap(), expected);
        }
        let bearer = mk_auth("connectors.cpaas.io/bearer-token", &["token"], Injection::Bearer);
        let secret = mk_secret(
            "connectors.cpaas.io/bearer-token",
            &[("token", b"remote-token\n")],
        );
        assert_eq!(
            line(&bearer, &secret).unwrap(),
            "authorization: Bearer remote-token"
        );
    }

    #[test]
    fn what_cannot_be_used_is_named_and_its_value_is_not() {
        let bearer = mk_auth("connectors.cpaas.io/bearer-token", &["token"], Injection::Bearer);
        let none = mk_auth("kubernetes.io/ssh-auth", &[], Injection::Undefined);
        for (auth, secret, part) in [
            (
                &bearer,
                mk_secret("Opaque", &[("token", b"hunter2")]),
                "is of type 'Opaque'",
            ),
            (
                &bearer,
                mk_secret(&bearer.secret_type, &[("password", b"hunter2")]),
                "has no key 'token'",
            ),
            (
                &bearer,
                mk_secret(&bearer.secret_type, &[("token", b"hunter2\r\nX-Evil: 1")]),
                "holds a line end",
            ),
            (
                &bearer,
                mk_secret(&bearer.secret_type, &[("token", b"hunter2\x01")]),
                "no header takes",
            ),
            (
                &none,
                mk_secret(&none.secret_type, &[("ssh-privatekey", b"hunter2")]),
                "generator",
            ),
        ] {
            let said = line(auth, &secret).unwrap_err();
            assert!(said.contains(part) && !said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn a_client_has_two_spellings() {
        for (data, expected) in [
            (
                &[("client_id", &b"i"[..]), ("client_secret", b"s\n")][..],
                Ok(("i", "s")),
            ),
            (&[("username", b"i"), ("password", b"s")], Ok(("i", "s"))),
            (
                &[("client_id", b"i"), ("password", b"s")],
                Err("Secret a/b has no key 'client_secret'"),
            ),
            (&[("token", b"s")], Err("Secret a/b has no key 'client_id'")),
        ] {
            let secret = mk_secret("Opaque", data);
            let found = Client::of(&secret, "Secret a/b").map_err(|refused| refused.message);
            let expected = expected.map(|(id, secret)| Client {
                id: id.as_bytes(),
                secret: secret.as_bytes(),
            });
            assert_eq!(found, expected.map_err(ToOwned::to_owned));
        }
    }

    #[test]
    fn opaque_has_three_spellings() {
        let auth = mk_auth("Opaque", &[], Injection::Bearer);
        for kind in ["", "Opaque", "kubernetes.io/opaque"] {
            let secret = mk_secret(kind, &[("token", b"t")]);
            assert!(line(&auth, &secret).is_ok(), "{kind}");
        }
    }
}
