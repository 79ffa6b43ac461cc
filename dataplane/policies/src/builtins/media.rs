use std::fmt;

use http::HeaderMap;

use crate::json;

/// Media types that are taken: `application/json`, `*+json`.
#[derive(Debug)]
pub(crate) struct MediaTypes(Box<[String]>);

// === impl MediaTypes ===

impl MediaTypes {
    pub(crate) fn new(types: &[String]) -> Self {
        Self(types.iter().map(|kind| kind.to_ascii_lowercase()).collect())
    }

    pub(crate) fn or_json(types: &[String]) -> Self {
        if types.is_empty() {
            return Self(["application/json", "*+json"].map(ToOwned::to_owned).into());
        }
        Self::new(types)
    }

    /// A body without a type is of none.
    pub(crate) fn take(&self, headers: &HeaderMap) -> bool {
        let Some(kind) = json::media_type(headers) else {
            return false;
        };
        let kind = kind.to_ascii_lowercase();
        self.0.iter().any(|known| match known.strip_prefix('*') {
            Some(end) => kind.ends_with(end),
            None => match known.strip_suffix('*') {
                Some(start) => kind.starts_with(start),
                None => kind == *known,
            },
        })
    }
}

impl fmt::Display for MediaTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" or "))
    }
}
