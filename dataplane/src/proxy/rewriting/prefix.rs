use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use genkan_routing::Scheme;
use genkan_routing::is_served_path;
use genkan_routing::links::PublicPrefix;
use genkan_routing::links::scan::Edit;

/// A [`PublicPrefix`] that lives as long as the body.
#[derive(Debug)]
pub struct OwnPrefix {
    prefix: String,
    base: String,
    /// By which the backend knows itself.
    own: Origin,
    /// By which its clients know it, if it is told.
    public: Option<Origin>,
    /// The document has a base elsewhere: what begins with a slash leads there.
    is_moved_away: AtomicBool,
}

#[derive(Debug, Clone)]
pub struct Origin {
    pub scheme: Scheme,
    pub authority: String,
}

// === impl OwnPrefix ===

impl OwnPrefix {
    pub fn new(prefix: &PublicPrefix<'_>, public: Option<Origin>) -> Self {
        Self {
            prefix: prefix.prefix.clone().into_owned(),
            base: prefix.base.to_owned(),
            own: Origin {
                scheme: prefix.scheme,
                authority: prefix.authority.to_owned(),
            },
            public,
            is_moved_away: AtomicBool::new(false),
        }
    }

    /// The prefix, the base path of the backend, and its host.
    pub fn parts(&self) -> (&str, &str, &str) {
        (&self.prefix, &self.base, &self.own.authority)
    }

    /// What has to be changed of a link, as it is meant.
    pub fn edit(&self, link: &[u8]) -> Option<Edit> {
        if self.is_moved_away.load(Ordering::Relaxed) && is_rooted(link) {
            return None;
        }
        let moved = self.of(&self.own).edit(link);
        moved.or_else(|| self.edit_public(link))
    }

    /// Of the address of the document that its links are relative to.
    pub fn note_base(&self, link: &[u8]) {
        let is_elsewhere = |origin: &Origin| self.of(origin).leads_elsewhere(link);
        let is_moved_away = is_elsewhere(&self.own) && self.public.as_ref().is_none_or(is_elsewhere);
        self.is_moved_away.store(is_moved_away, Ordering::Relaxed);
    }

    /// Backends that are told of the public name make links of it, and some of those lack the prefix.
    fn edit_public(&self, link: &[u8]) -> Option<Edit> {
        let public = self.public.as_ref().filter(|_| !is_rooted(link))?;
        let (place, new) = self.of(public).edit(link)?;
        let path = &link[place.end..];
        let is_of_others = is_served_path(&String::from_utf8_lossy(path));
        (!is_of_others).then_some((place, new))
    }

    fn of<'p>(&'p self, origin: &'p Origin) -> PublicPrefix<'p> {
        PublicPrefix {
            prefix: Cow::Borrowed(&self.prefix),
            scheme: origin.scheme,
            authority: &origin.authority,
            base: &self.base,
        }
    }
}

/// Without the name of a server.
fn is_rooted(link: &[u8]) -> bool {
    let is_kept = |byte: &u8| !matches!(byte, b'\t' | b'\n' | b'\r');
    let link = link.trim_ascii_start();
    let mut letters = link.iter().copied().filter(is_kept);
    let is_slash = |letter: Option<u8>| matches!(letter, Some(b'/' | b'\\'));
    is_slash(letters.next()) && !is_slash(letters.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_the_public_name_and_bases_elsewhere_are_understood() {
        let prefix = PublicPrefix::new("", Some("/proxy/ui"), Scheme::Http, "b.example");
        let public = Origin {
            scheme: Scheme::Https,
            authority: "gw.example".to_owned(),
        };
        let own = OwnPrefix::new(&prefix, Some(public));
        let moves = |link: &str| own.edit(link.as_bytes()).is_some();
        assert!(moves("https://gw.example/x") && moves("/x") && moves("http://b.example/x"));
        assert!(!moves("https://gw.example/proxy/ui/x") && !moves("https://gw.example/proxy/other/x"));
        for (base, is_moved) in [
            ("https://cdn.example/", false),
            ("//cdn.example/", false),
            ("/", true),
            ("x/", true),
            ("https://gw.example/proxy/ui/", true),
            ("http://b.example/", true),
        ] {
            own.note_base(base.as_bytes());
            assert_eq!(moves("/x"), is_moved, "{base}");
            assert!(moves("http://b.example/x"), "{base}");
        }
    }
}
