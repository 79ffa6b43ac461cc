/// Finds the end of a tag that is too large to be held, byte by byte as browsers read it.
#[derive(Debug)]
pub struct Tag {
    at: At,
    is_end: bool,
    /// In lower case; cut where no element that matters has so long a name.
    name: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Open,
    Name,
    BeforeAttribute,
    Attribute,
    AfterAttribute,
    BeforeValue,
    Unquoted,
    Quoted(u8),
}

/// What stands in these is no markup, or markup with rules of its own.
pub const APART: [&str; 13] = [
    "iframe",
    "math",
    "noembed",
    "noframes",
    "noscript",
    "plaintext",
    "script",
    "style",
    "svg",
    "textarea",
    "title",
    "xmp",
    "annotation-xml",
];
const LONGEST_NAME: usize = 16;

// === impl Tag ===

impl Tag {
    /// `None`: this is no beginning of a tag.
    pub fn begins(text: &[u8]) -> Option<Self> {
        let name = text.strip_prefix(b"<")?;
        let (is_end, name) = match name.strip_prefix(b"/") {
            Some(name) => (true, name),
            None => (false, name),
        };
        name.first()?.is_ascii_alphabetic().then_some(Self {
            at: At::Open,
            is_end,
            name: Vec::new(),
        })
    }

    /// How much of the text belongs to the tag, and whether it ends there.
    pub fn take(&mut self, text: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            if let At::Quoted(quote) = self.at {
                match memchr::memchr(quote, &text[at..]) {
                    None => return (text.len(), false),
                    Some(length) => at += length + 1,
                }
                self.at = At::BeforeAttribute;
                continue;
            }
            at += 1;
            if byte == b'>' {
                return (at, true);
            }
            self.at = self.next(byte);
        }
        (at, false)
    }

    /// What has to stand before the text behind the tag for it to be read as it is read there.
    pub fn context(&self) -> Vec<u8> {
        let is_apart = |name: &&str| name.as_bytes() == self.name;
        match APART.iter().find(|name| !self.is_end && is_apart(name)) {
            Some(name) => format!("<{name}>").into_bytes(),
            None => Vec::new(),
        }
    }

    fn next(&mut self, byte: u8) -> At {
        let is_blank = matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c');
        match (self.at, byte) {
            (At::Open, b'<') | (At::Open, b'/') => At::Open,
            (At::Open | At::Name, byte) if !is_blank && byte != b'/' => {
                if self.name.len() < LONGEST_NAME {
                    self.name.push(byte.to_ascii_lowercase());
                }
                At::Name
            }
            (At::BeforeValue, quote @ (b'"' | b'\'')) => At::Quoted(quote),
            (At::BeforeValue, _) if is_blank => At::BeforeValue,
            (At::BeforeValue | At::Unquoted, _) if !is_blank => At::Unquoted,
            (At::Attribute | At::AfterAttribute, b'=') => At::BeforeValue,
            (At::Attribute | At::AfterAttribute, _) if is_blank => At::AfterAttribute,
            (_, b'/') => At::BeforeAttribute,
            (At::Open | At::Name | At::BeforeAttribute | At::Unquoted, _) if is_blank => At::BeforeAttribute,
            _ => At::Attribute,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_end_where_browsers_end_them() {
        for (text, tag) in [
            ("<a>b", "<a>"),
            ("<a href='>'>b>", "<a href='>'>"),
            ("<a href=\">\" b='>'c=>d>", "<a href=\">\" b='>'c=>"),
            ("<a href = '>' >b", "<a href = '>' >"),
            ("<a '>'>", "<a '>"),
            ("<a b'=c>'>", "<a b'=c>"),
            ("<a/b=\">\"/>c", "<a/b=\">\"/>"),
            ("<a b=c/d='>x", "<a b=c/d='>"),
            ("<a b='c'd='>'>x", "<a b='c'd='>'>"),
            ("<a = '>'>", "<a = '>"),
            ("</script x='>' >y", "</script x='>' >"),
            ("<a b=\n\"x\ny>\">z", "<a b=\n\"x\ny>\">"),
        ] {
            for step in [1, 3, text.len()] {
                let mut seen = Tag::begins(text.as_bytes()).unwrap();
                let mut length = 0;
                for piece in text.as_bytes().chunks(step) {
                    let (taken, is_over) = seen.take(piece);
                    length += taken;
                    if is_over {
                        break;
                    }
                }
                assert_eq!(&text[..length], tag, "{step}");
            }
        }
    }

    #[test]
    fn what_follows_is_read_as_its_element_demands() {
        for (text, context) in [
            ("<SCRIPT src=x>", "<script>"),
            ("<textarea>", "<textarea>"),
            ("</script>", ""),
            ("<img>", ""),
            ("<scripts>", ""),
        ] {
            let mut tag = Tag::begins(text.as_bytes()).unwrap();
            tag.take(text.as_bytes());
            assert_eq!(tag.context(), context.as_bytes(), "{text}");
        }
        for text in ["<!doctype html>", "< a>", "<1>", "a<b>", "", "<", "</", "<!-- x"] {
            assert!(Tag::begins(text.as_bytes()).is_none(), "{text}");
        }
    }
}
