use http::{HeaderMap, HeaderName, HeaderValue};

use super::{HeaderStore, HeaderView};

impl HeaderView for HeaderMap {
    fn values(&self, name: HeaderName) -> impl Iterator<Item = &HeaderValue> {
        self.get_all(name).into_iter()
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.keys().map(HeaderName::as_str)
    }

    fn first(&self, name: HeaderName) -> Option<&HeaderValue> {
        self.get(name)
    }
}

/// What is no name or no value is left out.
impl HeaderStore for HeaderMap {
    fn set(&mut self, name: &str, value: &[u8]) {
        if let Some((name, value)) = field(name, value) {
            self.insert(name, value);
        }
    }

    fn append(&mut self, name: &str, value: &[u8]) {
        if let Some((name, value)) = field(name, value) {
            HeaderMap::append(self, name, value);
        }
    }

    fn remove(&mut self, name: &str) {
        HeaderMap::remove(self, name);
    }

    fn remove_name(&mut self, name: &HeaderName) {
        HeaderMap::remove(self, name);
    }

    fn retain(&mut self, keep: &dyn Fn(&str) -> bool) {
        let unwanted = self.keys().filter(|name| !keep(name.as_str()));
        let unwanted: Vec<HeaderName> = unwanted.cloned().collect();
        for name in unwanted {
            HeaderMap::remove(self, name);
        }
    }
}

fn field(name: &str, value: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    Some((name, HeaderValue::from_bytes(value).ok()?))
}
