//! `jwt`: a token that somebody else signed says who calls.

mod claims;
mod token;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use genkan_routing::answer::reason;
use genkan_routing::identity::folded;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderName, HeaderValue};
use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{duration_of, settable};
use crate::answer::PolicyAnswer;
use crate::exchange::{Exchange, Identity};
use crate::expr::Expr;
use crate::failure::Event;
use crate::keys::{Algorithm, KeySource, KeySourceWith};
use crate::limiters::{CREDENTIALS, Table};
use crate::link::{Fault, Site};
use crate::outside::{Outside, Unreachable};
use crate::places::{PlaceWith, Places, Usual};
use crate::step::{Moment, Stop};
use claims::Asked;
use token::{LONGEST, Token};

pub(crate) struct Jwt {
    algorithms: Box<[Algorithm]>,
    keys: KeySource,
    from: Places,
    asked: Asked,
    headers: Box<[(String, HeaderName)]>,
    forward: bool,
    optional: bool,
    identity: Option<IdentityRule>,
    /// Tokens that were found good, by their hash.
    good: Mutex<Table<[u8; 32], Good>>,
}

/// A token that was found good.
#[derive(Clone)]
struct Good {
    claims: Arc<Map<String, Value>>,
    /// It is looked at again then.
    until: Duration,
}

struct IdentityRule {
    user: Option<Expr>,
    groups: Option<Expr>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct With {
    issuer: Option<String>,
    #[serde(default)]
    audiences: Vec<String>,
    #[serde(default)]
    algorithms: Vec<String>,
    keys: KeySourceWith,
    #[serde(default)]
    from: Vec<PlaceWith>,
    required: Option<Vec<String>>,
    leeway: Option<String>,
    #[serde(default)]
    claims: BTreeMap<String, Value>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    forward: bool,
    #[serde(default)]
    optional: bool,
    identity: Option<IdentityWith>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IdentityWith {
    user: Option<String>,
    groups: Option<String>,
}

/// Why a token is not taken.
enum Wrong {
    /// For the log only.
    Token(&'static str),
    Claims(&'static str),
    Keys(Unreachable),
}

const LEEWAY: &str = "30s";
const MOST_TOKENS: usize = 4096;
/// A token is looked at again after so long, because keys go.
const KEPT: Duration = Duration::from_secs(60);

// === impl Jwt ===

impl Jwt {
    pub(crate) fn compile(with: With, site: &Site<'_>) -> Result<Self, Fault> {
        let algorithms = with.algorithms.iter().enumerate().map(|(index, name)| {
            let unknown = || format!("{name} is not offered; {} are", Algorithm::names());
            Algorithm::parse(name).ok_or_else(|| Fault::new(&format!("with.algorithms[{index}]"), unknown()))
        });
        let algorithms: Box<[_]> = algorithms.collect::<Result<_, _>>()?;
        let headers = with.headers.iter().map(|(claim, name)| {
            let name = settable(&format!("with.headers.{claim}"), name)?;
            Ok((claim.clone(), name))
        });
        let leeway = with.leeway.as_deref().unwrap_or(LEEWAY);
        let from = Places::compile(&with.from, Usual::Bearer, site)?;
        if from.are_in_query() && !with.forward {
            site.refuse_behind_line("with.from", "the query, where the token stands,")?;
        }
        if with.identity.is_some() {
            site.refuse_behind_line("with.identity", "who the backend is told that calls")?;
        }
        let issuer = with.issuer.as_deref();
        let issuer = issuer.map(|issuer| site.fixed("with.issuer", issuer));
        Ok(Self {
            algorithms: if algorithms.is_empty() {
                Algorithm::USUAL.into()
            } else {
                algorithms
            },
            keys: KeySource::compile("with.keys", with.keys, site)?,
            from,
            asked: Asked {
                issuer: issuer.transpose()?.map(ToOwned::to_owned),
                audiences: with.audiences.into(),
                required: with.required.unwrap_or_else(|| vec!["exp".to_owned()]).into(),
                leeway: duration_of("with.leeway", leeway)?,
                claims: with.claims.into_iter().collect(),
            },
            headers: headers.collect::<Result<_, Fault>>()?,
            forward: with.forward,
            optional: with.optional,
            identity: with
                .identity
                .map(|identity| IdentityRule::compile(&identity, site))
                .transpose()?,
            good: Mutex::new(Table::within(MOST_TOKENS, &CREDENTIALS)),
        })
    }

    /// It waits for nothing but keys that have to be fetched.
    pub(crate) async fn run(
        &self,
        exchange: &mut Exchange<'_>,
        moment: Moment,
        outside: &dyn Outside,
    ) -> Result<(), Stop> {
        // A client cannot bring what the token is to say.
        for (_, name) in &self.headers {
            remove_spellings(exchange, name);
        }
        let Some(token) = self.from.find(exchange) else {
            if self.optional {
                return Ok(());
            }
            let answer = PolicyAnswer::refused(401, reason::TOKEN_MISSING, "a token is needed");
            return Err(challenged(answer, "Bearer").into());
        };
        let hash: [u8; 32] = digest(&SHA256, token.as_bytes())
            .as_ref()
            .try_into()
            .unwrap_or_default();
        let known = self.good.lock().get(&hash).cloned();
        let claims = match known.filter(|good| moment.now < good.until) {
            Some(good) => good.claims,
            None => {
                let token = token.into_owned();
                let claims = self.verify(&token, moment, outside).await.map_err(Stop::from)?;
                self.keep(hash, &claims, moment);
                claims
            }
        };
        self.apply(exchange, claims, moment)
    }

    async fn verify(
        &self,
        text: &str,
        moment: Moment,
        outside: &dyn Outside,
    ) -> Result<Arc<Map<String, Value>>, Wrong> {
        if text.len() > LONGEST {
            return Err(Wrong::Token("it is too long"));
        }
        let token = Token::parse(text).map_err(Wrong::Token)?;
        if !self.algorithms.contains(&token.algorithm) {
            return Err(Wrong::Token("its algorithm is not taken"));
        }
        let kid = token.kid.as_deref();
        let mut keys = self.keys.get(outside, false).await.map_err(Wrong::Keys)?;
        if keys.fitting(token.algorithm, kid).next().is_none() && self.keys.is_fetched() {
            keys = self.keys.get(outside, true).await.map_err(Wrong::Keys)?;
        }
        let mut fitting = keys.fitting(token.algorithm, kid).peekable();
        if fitting.peek().is_none() {
            return Err(Wrong::Token("no key fits it"));
        }
        if !fitting.any(|key| key.verifies(token.algorithm, token.signed, &token.signature)) {
            return Err(Wrong::Token("its signature is wrong"));
        }
        let claims = token.claims().map_err(Wrong::Token)?;
        self.asked.judge(&claims, moment.now)?;
        Ok(Arc::new(claims))
    }

    fn keep(&self, hash: [u8; 32], claims: &Arc<Map<String, Value>>, moment: Moment) {
        let until = (moment.now + KEPT).min(self.asked.end_of(claims));
        let good = Good {
            claims: Arc::clone(claims),
            until,
        };
        let is_of_use = |good: &Good| good.until > moment.now;
        self.good.lock().insert_among(hash, good, is_of_use);
    }

    fn apply(
        &self,
        exchange: &mut Exchange<'_>,
        claims: Arc<Map<String, Value>>,
        moment: Moment,
    ) -> Result<(), Stop> {
        for (claim, name) in &self.headers {
            let text = match claims.get(claim) {
                None | Some(Value::Null) => continue,
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            let value = HeaderValue::from_bytes(text.as_bytes());
            let value =
                value.map_err(|_| Stop::error(format!("the claim {claim} cannot be written as a header")))?;
            exchange.headers_mut().set(name.clone(), value);
        }
        let text = |name: &str| {
            claims
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        // Those of Kubernetes itself are nobody else's to say.
        let groups = claims
            .get("groups")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let groups = groups.filter_map(Value::as_str).filter(|group| !is_system(group));
        let groups = groups.map(ToOwned::to_owned).collect();
        let auth = exchange.auth_mut();
        auth.user = text("sub");
        auth.groups = groups;
        auth.claims = claims;
        "jwt".clone_into(&mut auth.method);
        if self.forward {
            exchange.state.forwards_authorization |= self.from.is_in_authorization(exchange);
        } else {
            self.from.remove(exchange);
        }
        if let Some(rule) = &self.identity {
            let identity = rule.identity(exchange, moment)?;
            exchange.state.identity = Some(identity);
        }
        Ok(())
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jwt(..)")
    }
}

// === impl IdentityRule ===

impl IdentityRule {
    fn compile(with: &IdentityWith, site: &Site<'_>) -> Result<Self, Fault> {
        let expr = |field: &str, text: &Option<String>| {
            let text = text.as_deref();
            text.map(|text| site.expr(field, text)).transpose()
        };
        Ok(Self {
            user: expr("with.identity.user", &with.user)?,
            groups: expr("with.identity.groups", &with.groups)?,
        })
    }

    fn identity(&self, exchange: &Exchange<'_>, moment: Moment) -> Result<Identity, Stop> {
        let user = match &self.user {
            Some(user) => {
                let user = user.json(exchange, moment.now)?;
                let user = user.as_str().filter(|user| !user.is_empty());
                let user = user.ok_or_else(|| Stop::error("identity.user is no text"))?;
                user.to_owned()
            }
            None => exchange.auth().user.to_owned(),
        };
        let groups: Vec<String> = match &self.groups {
            Some(groups) => serde_json::from_value(groups.json(exchange, moment.now)?)
                .map_err(|_| Stop::error("identity.groups is no list of texts"))?,
            None => exchange.auth().groups.to_vec(),
        };
        if is_system(&user) || groups.iter().any(|group| is_system(group)) {
            let text = "the token makes a user or a group of Kubernetes itself, which no policy can";
            return Err(PolicyAnswer::refused(403, reason::POLICY_DENIED, text).into());
        }
        Ok(Identity { user, groups })
    }
}

// === impl Wrong ===

impl From<Wrong> for Stop {
    fn from(wrong: Wrong) -> Self {
        let (answer, challenge, detail) = match wrong {
            Wrong::Token(detail) => (
                PolicyAnswer::refused(401, reason::TOKEN_INVALID, "the token is not good"),
                r#"Bearer error="invalid_token""#,
                detail,
            ),
            Wrong::Claims(detail) => (
                PolicyAnswer::refused(403, reason::POLICY_DENIED, "the token does not allow it"),
                r#"Bearer error="insufficient_scope""#,
                detail,
            ),
            Wrong::Keys(unreachable) => {
                let event = if unreachable.is_timeout {
                    Event::Timeout
                } else {
                    Event::Unreachable
                };
                return Self::failed(event, unreachable.detail);
            }
        };
        let mut answer = challenged(answer, challenge);
        detail.clone_into(&mut answer.detail);
        answer.into()
    }
}

fn challenged(answer: PolicyAnswer, challenge: &'static str) -> PolicyAnswer {
    answer.with_header(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}

/// Every name that a backend could take for this one.
fn remove_spellings(exchange: &mut Exchange<'_>, name: &HeaderName) {
    let is_same = |other: &&HeaderName| {
        let (one, other) = (name.as_str().bytes(), other.as_str().bytes());
        one.len() == other.len() && one.map(folded).eq(other.map(folded))
    };
    while let Some(other) = exchange.headers().keys().find(is_same).cloned() {
        exchange.headers_mut().remove(&other);
    }
}

fn is_system(name: &str) -> bool {
    name.starts_with("system:")
}
