use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Deserialize;

use super::KeySet;
use crate::builtins::duration_of;
use crate::link::{Fault, Site};
use crate::outside::{Outside, Unreachable};

/// As it is written: one of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct KeySourceWith {
    secret: Option<String>,
    jwks: Option<serde_json::Value>,
    file: Option<String>,
    url: Option<String>,
    refresh: Option<String>,
    mapped: Option<String>,
}

/// Where keys come from.
pub(crate) enum KeySource {
    Known(Arc<KeySet>),
    Url {
        url: String,
        refresh: Duration,
        /// What was read last, with the text that it was read of.
        last: Mutex<Option<Read>>,
    },
}

type Read = (Arc<[u8]>, Arc<KeySet>);

const REFRESH: &str = "10m";
/// An unknown key is asked for so often at most.
const AGAIN: Duration = Duration::from_secs(60);

// === impl KeySource ===

impl KeySource {
    pub(crate) fn compile(field: &str, with: KeySourceWith, site: &Site<'_>) -> Result<Self, Fault> {
        let at = |member: &str| format!("{field}.{member}");
        let given = [
            with.secret.is_some(),
            with.jwks.is_some(),
            with.file.is_some(),
            with.url.is_some(),
            with.mapped.is_some(),
        ];
        if given.iter().filter(|given| **given).count() != 1 {
            return Err(Fault::new(
                field,
                "it needs one of secret, jwks, file, url and mapped",
            ));
        }
        if with.refresh.is_some() && with.url.is_none() {
            return Err(Fault::new(&at("refresh"), "it is for url alone"));
        }
        if let Some(name) = with.secret.or(with.mapped) {
            let alias = site.alias(&at("secret"), &name)?;
            let value = alias.value(&["jwks.json", "tls.crt", "key"]);
            let missing = || {
                let text =
                    "the Secret has none of the keys jwks.json, tls.crt and key; name one in the alias";
                Fault::new(&at("secret"), text)
            };
            let value = value.ok_or_else(missing)?;
            let is_text = value.trim_ascii_start().starts_with(b"{") || value.starts_with(b"-----BEGIN ");
            let set = if is_text {
                KeySet::read(value).map_err(|error| Fault::new(&at("secret"), error))?
            } else {
                KeySet::of_secret(value)
            };
            return known(&at("secret"), set);
        }
        if let Some(jwks) = with.jwks {
            let set = KeySet::read(jwks.to_string().as_bytes());
            return known(&at("jwks"), set.map_err(|error| Fault::new(&at("jwks"), error))?);
        }
        if let Some(path) = with.file {
            let set = KeySet::read(site.file(&at("file"), &path)?);
            return known(&at("file"), set.map_err(|error| Fault::new(&at("file"), error))?);
        }
        let url = with.url.unwrap_or_default();
        let field = at("url");
        let url = site.fixed(&field, &url)?;
        let host = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"));
        if !host.is_some_and(|host| !host.is_empty() && !host.starts_with('/')) {
            let text = "scheme, host and port must be written out";
            return Err(Fault::new(&field, text));
        }
        let refresh = with.refresh.as_deref().unwrap_or(REFRESH);
        Ok(Self::Url {
            url: url.to_owned(),
            refresh: duration_of(&at("refresh"), refresh)?,
            last: Mutex::new(None),
        })
    }

    /// Known ones are there at once. `is_again`: what there is does not do.
    ///
    /// # Errors
    /// When they cannot be fetched, or are none.
    pub(crate) async fn get(
        &self,
        outside: &dyn Outside,
        is_again: bool,
    ) -> Result<Arc<KeySet>, Unreachable> {
        let (url, refresh, last) = match self {
            Self::Known(set) => return Ok(Arc::clone(set)),
            Self::Url { url, refresh, last } => (url, *refresh, last),
        };
        let max_age = if is_again { AGAIN.min(refresh) } else { refresh };
        let text = outside.fetch_keys(url, Some(max_age)).await?;
        let mut last = last.lock();
        if let Some((known, set)) = &*last
            && Arc::ptr_eq(known, &text)
        {
            return Ok(Arc::clone(set));
        }
        let set = KeySet::read(&text).map_err(|error| Unreachable {
            is_timeout: false,
            detail: format!("{url}: {error}"),
        })?;
        let set = Arc::new(set);
        *last = Some((text, Arc::clone(&set)));
        Ok(set)
    }

    /// Others may be there when it is asked again.
    pub(crate) fn is_fetched(&self) -> bool {
        matches!(self, Self::Url { .. })
    }
}

fn known(field: &str, set: KeySet) -> Result<KeySource, Fault> {
    if set.is_empty() {
        return Err(Fault::new(
            field,
            "none of the keys is for signatures of a kind that is known here",
        ));
    }
    Ok(KeySource::Known(Arc::new(set)))
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySource(..)")
    }
}
