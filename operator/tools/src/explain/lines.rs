//! Header lines in order, spelled as they are written.

use genkan_routing::{HeaderStore, HeaderView};
use http::{HeaderName, HeaderValue};

/// Header lines in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lines(Vec<(String, HeaderValue)>);

// === impl Lines ===

impl Lines {
    /// Names, and values that are text.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        self.clone().into_text()
    }

    pub(super) fn into_text(self) -> Vec<(String, String)> {
        let text = |value: HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let lines = self.0.into_iter();
        lines.map(|(name, value)| (name, text(value))).collect()
    }
}

impl HeaderView for Lines {
    fn values(&self, name: HeaderName) -> impl Iterator<Item = &HeaderValue> {
        let lines = self.0.iter();
        let same = lines.filter(move |(of, _)| of.eq_ignore_ascii_case(name.as_str()));
        same.map(|(_, value)| value)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl HeaderStore for Lines {
    /// In the place of the first line of this name, if there is one.
    fn set(&mut self, name: &str, value: &[u8]) {
        let at = self.0.iter().position(|(of, _)| of.eq_ignore_ascii_case(name));
        let Ok(value) = HeaderValue::from_bytes(value) else {
            return;
        };
        self.remove(name);
        self.0
            .insert(at.unwrap_or(self.0.len()), (name.to_owned(), value));
    }

    fn append(&mut self, name: &str, value: &[u8]) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            self.0.push((name.to_owned(), value));
        }
    }

    fn remove(&mut self, name: &str) {
        self.0.retain(|(of, _)| !of.eq_ignore_ascii_case(name));
    }

    fn retain(&mut self, keep: &dyn Fn(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }
}
