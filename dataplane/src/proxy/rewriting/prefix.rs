use std::borrow::Cow;
use std::ops::Range;

use lol_html::html_content::Attribute;
use lol_html::send::Element;

use genkan_routing::Scheme;
use genkan_routing::links::{LINK_ATTRIBUTES, PublicPrefix};

use super::splice::Edits;

/// A [`PublicPrefix`] that lives as long as the body.
pub struct OwnPrefix {
    prefix: String,
    scheme: Scheme,
    authority: String,
    base: String,
}

// === impl OwnPrefix ===

impl OwnPrefix {
    pub fn new(prefix: &PublicPrefix<'_>) -> Self {
        Self {
            prefix: prefix.prefix.clone().into_owned(),
            scheme: prefix.scheme,
            authority: prefix.authority.to_owned(),
            base: prefix.base.to_owned(),
        }
    }

    pub fn note_links(&self, element: &Element<'_, '_>, edits: &Edits) {
        let name = element.tag_name();
        for attribute in element.attributes() {
            let is_link = |&(of, link): &(&str, &str)| {
                (of.is_empty() || of == name) && attribute.name().eq_ignore_ascii_case(link)
            };
            if LINK_ATTRIBUTES.iter().any(is_link) {
                edits.lock().extend(self.edit(attribute));
            }
        }
    }

    fn edit(&self, attribute: &Attribute<'_>) -> Option<(Range<usize>, Vec<u8>)> {
        let place = attribute.value_source_location()?.bytes();
        let value = attribute.value();
        // Not in the encoding we read it in: better an unmoved link than a broken one.
        if value.len() != place.len() || value.contains(char::REPLACEMENT_CHARACTER) {
            return None;
        }
        let prefix = PublicPrefix {
            prefix: Cow::Borrowed(&self.prefix),
            scheme: self.scheme,
            authority: &self.authority,
            base: &self.base,
        };
        let moved = prefix.link(value.as_bytes())?;
        // The value is kept as it is written; only what is new must not end it.
        let is_new = moved.starts_with(self.prefix.as_bytes());
        let (new, rest) = moved.split_at(if is_new { self.prefix.len() } else { 0 });
        let escaped = String::from_utf8_lossy(new)
            .replace('&', "&amp;")
            .replace('\'', "&#39;");
        Some((place, [escaped.as_bytes(), rest].concat()))
    }
}
