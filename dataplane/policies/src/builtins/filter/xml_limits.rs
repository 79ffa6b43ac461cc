use genkan_routing::answer::reason;
use serde::Deserialize;

use super::refused;
use crate::answer::PolicyAnswer;
use crate::step::Stop;

/// How deep and wide XML may be. It is measured by its tags; a document type is refused.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct XmlLimits {
    max_depth: usize,
    max_attributes: usize,
    max_name_length: usize,
}

// === impl XmlLimits ===

impl Default for XmlLimits {
    fn default() -> Self {
        Self {
            max_depth: 64,
            max_attributes: 256,
            max_name_length: 1024,
        }
    }
}

impl XmlLimits {
    pub(super) fn check(&self, body: &[u8]) -> Result<(), Stop> {
        let broken = || {
            let text = "the body cannot be read: not well-formed XML";
            PolicyAnswer::refused(400, reason::BAD_INPUT, text)
        };
        let mut open: Vec<&[u8]> = Vec::new();
        let mut at = 0;
        let mut has_root = false;
        while let Some(start) = find(body, at, b"<") {
            let rest = &body[start..];
            let skip = |opening: &[u8], closing: &[u8]| {
                let inside = start + opening.len();
                rest.starts_with(opening)
                    .then(|| find(body, inside, closing).map(|end| end + closing.len()))
            };
            let skipped = skip(b"<!--", b"-->")
                .or_else(|| skip(b"<![CDATA[", b"]]>"))
                .or_else(|| skip(b"<?", b"?>"));
            if let Some(end) = skipped {
                at = end.ok_or_else(broken)?;
                continue;
            }
            if rest.starts_with(b"<!") {
                return Err(refused(400, "the body has a document type"));
            }
            let end = end_of_tag(body, start + 1).ok_or_else(broken)?;
            let tag = &body[start + 1..end];
            at = end + 1;
            if let Some(name) = tag.strip_prefix(b"/") {
                let closed = open.pop().ok_or_else(broken)?;
                if closed != name.trim_ascii_end() {
                    return Err(broken().into());
                }
                continue;
            }
            let (is_empty, tag) = match tag.strip_suffix(b"/") {
                Some(tag) => (true, tag),
                None => (false, tag),
            };
            let (name, attributes) = self.parts(tag).map_err(|text| refused(400, text))?;
            if name.is_empty() || open.is_empty() && has_root {
                return Err(broken().into());
            }
            has_root = true;
            if attributes > self.max_attributes {
                let text = format!("an element has more than {} attributes", self.max_attributes);
                return Err(refused(400, text));
            }
            if open.len() + 1 > self.max_depth {
                return Err(refused(
                    400,
                    format!("the body is deeper than {} levels", self.max_depth),
                ));
            }
            if !is_empty {
                open.push(name);
            }
        }
        if has_root && open.is_empty() {
            Ok(())
        } else {
            Err(broken().into())
        }
    }

    /// The name of a tag, and how many attributes it has.
    fn parts<'t>(&self, tag: &'t [u8]) -> Result<(&'t [u8], usize), String> {
        let end = tag.iter().position(u8::is_ascii_whitespace).unwrap_or(tag.len());
        let (name, rest) = tag.split_at(end);
        let too_long = || format!("a name is longer than {} bytes", self.max_name_length);
        if name.len() > self.max_name_length {
            return Err(too_long());
        }
        let (mut quote, mut attributes, mut length) = (None, 0, 0_usize);
        for &byte in rest {
            match (quote, byte) {
                (Some(open), byte) if open == byte => quote = None,
                (Some(_), _) => {}
                (None, b'"' | b'\'') => quote = Some(byte),
                (None, b'=') => {
                    attributes += 1;
                    length = 0;
                }
                (None, byte) if byte.is_ascii_whitespace() => length = 0,
                (None, _) => {
                    length += 1;
                    if length > self.max_name_length {
                        return Err(too_long());
                    }
                }
            }
        }
        Ok((name, attributes))
    }
}

fn find(body: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    let rest = body.get(from..)?;
    let at = rest.windows(what.len()).position(|window| window == what)?;
    Some(from + at)
}

/// Where `>` ends a tag: not inside of its values.
fn end_of_tag(body: &[u8], from: usize) -> Option<usize> {
    let mut quote = None;
    for (at, &byte) in body.iter().enumerate().skip(from) {
        match (quote, byte) {
            (Some(open), byte) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return Some(at),
            (None, b'<') => return None,
            (None, _) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_counted_and_document_types_refused() {
        let limits = XmlLimits {
            max_depth: 2,
            max_attributes: 1,
            max_name_length: 5,
        };
        for (text, is_good) in [
            ("<?xml version='1.0'?><a><b/><b x='1>'/></a>", true),
            ("<a><!-- <b> --><![CDATA[<c>]]></a>", true),
            ("<a><b><c/></b></a>", false),
            ("<a x='1' y='2'/>", false),
            ("<!DOCTYPE a><a/>", false),
            ("<abcdef/>", false),
            ("<a abcdef='1'/>", false),
            ("<a>", false),
            ("<a></b>", false),
            ("<a/><b/>", false),
            ("text", false),
        ] {
            assert_eq!(limits.check(text.as_bytes()).is_ok(), is_good, "{text}");
        }
    }
}
