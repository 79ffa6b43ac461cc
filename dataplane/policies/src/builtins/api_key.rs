use genkan_routing::answer::reason;
use ring::digest::{SHA256, digest};
use serde::Deserialize;

use crate::answer::PolicyAnswer;
use crate::exchange::Exchange;
use crate::link::{Fault, Site};
use crate::places::{PlaceWith, Places, Usual};
use crate::step::{Act, Moment, Stop};

/// A key that belongs to a name.
pub(crate) struct ApiKey {
    /// The hash of each key: so none of them is here, and all are compared in the same way.
    keys: Box<[(String, [u8; 32])]>,
    from: Places,
    forward: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct With {
    keys: SecretRef,
    #[serde(default)]
    from: Vec<PlaceWith>,
    #[serde(default)]
    forward: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SecretRef {
    pub(crate) secret: String,
}

// === impl ApiKey ===

impl ApiKey {
    pub(crate) fn compile(with: With, site: &Site<'_>) -> Result<Self, Fault> {
        let field = "with.keys.secret";
        let alias = site.alias(field, &with.keys.secret)?;
        let mut keys = Vec::with_capacity(alias.secret.data.len());
        for (name, value) in &alias.secret.data {
            if alias.key.as_ref().is_some_and(|key| key != name) {
                continue;
            }
            let value = value.trim_ascii();
            let hash = match value.strip_prefix(b"sha256:") {
                Some(hex) => from_hex(hex).ok_or_else(|| {
                    let text =
                        format!("the key {name} of the Secret is no sha256: with 64 hexadecimal digits");
                    Fault::new(field, text)
                })?,
                None if value.is_empty() => continue,
                None => hashed(value),
            };
            keys.push((name.clone(), hash));
        }
        let from = Places::compile(&with.from, Usual::ApiKey, site)?;
        if from.are_in_query() && !with.forward {
            site.refuse_behind_line("with.from", "the query, where the key stands,")?;
        }
        Ok(Self {
            keys: keys.into(),
            from,
            forward: with.forward,
        })
    }

    /// All of them are looked at, whichever it is.
    fn owner(&self, key: &str) -> Option<&str> {
        let hash = hashed(key.as_bytes());
        let mut found = None;
        for (name, known) in &self.keys {
            if is_same(known, &hash) {
                found = Some(name.as_str());
            }
        }
        found.filter(|_| !key.is_empty())
    }
}

impl Act for ApiKey {
    fn act(&self, exchange: &mut Exchange<'_>, _: Moment) -> Result<(), Stop> {
        let Some(key) = self.from.find(exchange) else {
            let text = "an API key is needed";
            return Err(PolicyAnswer::refused(401, reason::KEY_MISSING, text).into());
        };
        let Some(owner) = self.owner(&key).map(ToOwned::to_owned) else {
            let text = "the API key is not known";
            return Err(PolicyAnswer::refused(401, reason::KEY_INVALID, text).into());
        };
        let auth = exchange.auth_mut();
        auth.key = Some(owner);
        auth.method = "apiKey".to_owned();
        if self.forward {
            exchange.state.forwards_authorization |= self.from.is_in_authorization(exchange);
        } else {
            self.from.remove(exchange);
        }
        Ok(())
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

fn hashed(value: &[u8]) -> [u8; 32] {
    let hash = digest(&SHA256, value);
    hash.as_ref().try_into().unwrap_or_default()
}

fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let differ = one
        .iter()
        .zip(other)
        .fold(0, |all, (one, other)| all | (one ^ other));
    std::hint::black_box(differ) == 0
}

fn from_hex(text: &[u8]) -> Option<[u8; 32]> {
    let text = text.trim_ascii();
    if text.len() != 64 {
        return None;
    }
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(text.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}
