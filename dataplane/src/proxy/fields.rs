use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora_http::{IntoCaseHeaderName, RequestHeader, ResponseHeader};

use genkan_routing::{HeaderStore, HeaderView};

/// The header fields of a message of the engine, for the rules of the library.
#[derive(Debug)]
pub struct Fields<'h, H>(pub &'h mut H);

/// What requests and responses of the engine have in common.
pub trait Head {
    fn headers(&self) -> &HeaderMap;
    fn insert(&mut self, name: impl IntoCaseHeaderName, value: HeaderValue);
    fn append(&mut self, name: impl IntoCaseHeaderName, value: HeaderValue);
    fn remove(&mut self, name: &str);
    fn remove_name(&mut self, name: &HeaderName);
}

macro_rules! head {
    ($of:ty) => {
        impl Head for $of {
            fn headers(&self) -> &HeaderMap {
                &self.headers
            }
            fn insert(&mut self, name: impl IntoCaseHeaderName, value: HeaderValue) {
                // Names were checked when the rules were compiled; one that slipped through is left out.
                let _ = self.insert_header(name, value);
            }
            fn append(&mut self, name: impl IntoCaseHeaderName, value: HeaderValue) {
                let _ = self.append_header(name, value);
            }
            fn remove(&mut self, name: &str) {
                let _ = self.remove_header(name);
            }
            fn remove_name(&mut self, name: &HeaderName) {
                let _ = self.remove_header(name);
            }
        }
    };
}

head!(RequestHeader);
head!(ResponseHeader);

// === impl Fields ===

impl<H: Head> HeaderView for Fields<'_, H> {
    fn values(&self, name: HeaderName) -> impl Iterator<Item = &HeaderValue> {
        HeaderView::values(self.0.headers(), name)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.headers().names()
    }

    fn first(&self, name: HeaderName) -> Option<&HeaderValue> {
        self.0.headers().get(name)
    }
}

impl<H: Head> HeaderStore for Fields<'_, H> {
    fn set(&mut self, name: &str, value: &[u8]) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            self.0.insert(name.to_owned(), value);
        }
    }

    fn append(&mut self, name: &str, value: &[u8]) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            self.0.append(name.to_owned(), value);
        }
    }

    fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    fn remove_name(&mut self, name: &HeaderName) {
        self.0.remove_name(name);
    }

    /// Allocates only when there is something to remove.
    fn retain(&mut self, keep: &dyn Fn(&str) -> bool) {
        let names = self.0.headers().keys();
        let unwanted: Vec<HeaderName> = names.filter(|name| !keep(name.as_str())).cloned().collect();
        unwanted.iter().for_each(|name| self.0.remove_name(name));
    }

    fn put(&mut self, name: &'static str, value: HeaderValue) {
        self.0.insert(name, value);
    }

    fn push(&mut self, name: &Bytes, value: &HeaderValue) {
        self.0.append(name.clone(), value.clone());
    }
}
