//! Texts as their languages mean them: what is written with references or escapes, and where each byte of it stands.

use std::borrow::Cow;
use std::ops::Range;

/// A text, decoded. What is no reference to ASCII stays as it is written: it is nothing that a link begins with.
#[derive(Debug)]
pub struct Text<'r> {
    pub decoded: Cow<'r, [u8]>,
    /// Where each byte begins in what was written; absent where nothing was decoded.
    places: Vec<u32>,
    length: usize,
}

/// The language that a text stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Html,
    Css,
    Script,
    Json,
}

/// References to ASCII in HTML, of those that end in a semicolon.
const NAMED: &[(&str, u8)] = &[
    ("AMP", b'&'),
    ("DiacriticalGrave", b'`'),
    ("GT", b'>'),
    ("Hat", b'^'),
    ("LT", b'<'),
    ("NewLine", b'\n'),
    ("QUOT", b'"'),
    ("Tab", b'\t'),
    ("UnderBar", b'_'),
    ("VerticalLine", b'|'),
    ("amp", b'&'),
    ("apos", b'\''),
    ("ast", b'*'),
    ("bsol", b'\\'),
    ("colon", b':'),
    ("comma", b','),
    ("commat", b'@'),
    ("dollar", b'$'),
    ("equals", b'='),
    ("excl", b'!'),
    ("grave", b'`'),
    ("gt", b'>'),
    ("lbrace", b'{'),
    ("lbrack", b'['),
    ("lcub", b'{'),
    ("lowbar", b'_'),
    ("lpar", b'('),
    ("lsqb", b'['),
    ("lt", b'<'),
    ("midast", b'*'),
    ("num", b'#'),
    ("percnt", b'%'),
    ("period", b'.'),
    ("plus", b'+'),
    ("quest", b'?'),
    ("quot", b'"'),
    ("rbrace", b'}'),
    ("rbrack", b']'),
    ("rcub", b'}'),
    ("rpar", b')'),
    ("rsqb", b']'),
    ("semi", b';'),
    ("sol", b'/'),
    ("verbar", b'|'),
    ("vert", b'|'),
];
/// Those that count without one.
const BARE: [&str; 8] = ["AMP", "GT", "LT", "QUOT", "amp", "gt", "lt", "quot"];
const LONGEST_NAME: usize = 16;

// === impl Text ===

impl<'r> Text<'r> {
    pub fn decode(written: &'r [u8], language: Language) -> Self {
        let mark = match language {
            Language::Html => b'&',
            Language::Css | Language::Script | Language::Json => b'\\',
        };
        let mut text = Self {
            decoded: Cow::Borrowed(written),
            places: Vec::new(),
            length: written.len(),
        };
        if memchr::memchr(mark, written).is_none() {
            return text;
        }
        let (mut decoded, mut at) = (Vec::with_capacity(written.len()), 0);
        while let Some(&byte) = written.get(at) {
            let rest = &written[at..];
            let found = if byte == mark { language.read(rest) } else { None };
            let before = decoded.len();
            let length = match found {
                Some((Some(letter), length)) => {
                    decoded.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                    length
                }
                Some((None, length)) => length,
                None => {
                    decoded.push(byte);
                    1
                }
            };
            let place = u32::try_from(at).unwrap_or(u32::MAX);
            text.places
                .resize(text.places.len() + decoded.len() - before, place);
            at += length;
        }
        text.decoded = Cow::Owned(decoded);
        text
    }

    /// Where something of the decoded text was written.
    pub fn place(&self, decoded: &Range<usize>) -> Range<usize> {
        let of = |at: usize| match &self.decoded {
            Cow::Borrowed(_) => at,
            Cow::Owned(_) => match self.places.get(at) {
                Some(place) => usize::try_from(*place).unwrap_or(self.length),
                None => self.length,
            },
        };
        of(decoded.start)..of(decoded.end)
    }
}

// === impl Language ===

impl Language {
    /// A text as it can stand in a value of this language, however that is quoted.
    pub fn escape(self, text: &str) -> String {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/-._~%:@!$*+,;=".contains(letter);
        if text.chars().all(is_plain) {
            return text.to_owned();
        }
        let mut escaped = String::with_capacity(text.len() + 8);
        for letter in text.chars() {
            match (self, letter) {
                (Self::Html, '&') => escaped.push_str("&amp;"),
                (Self::Html, '\'' | '"' | '<' | '>' | '`') => {
                    escaped.push_str(&format!("&#{};", u32::from(letter)));
                }
                (Self::Css, '\'' | '"' | '(' | ')' | '\\') => escaped.extend(['\\', letter]),
                (Self::Css, '<' | '>' | ' ') => escaped.push_str(&format!("\\{:x} ", u32::from(letter))),
                (Self::Script, '\'' | '"' | '`' | '\\') | (Self::Json, '"' | '\\') => {
                    escaped.extend(['\\', letter]);
                }
                (Self::Script | Self::Json, '<' | '>') => {
                    escaped.push_str(&format!("\\u{:04x}", u32::from(letter)));
                }
                (_, letter) => escaped.push(letter),
            }
        }
        escaped
    }

    /// What a text that begins with the mark says first, and in how many bytes; `None`: it is itself.
    fn read(self, text: &[u8]) -> Option<(Option<char>, usize)> {
        match self {
            Self::Html => reference(text),
            Self::Css => css_escape(text),
            Self::Script | Self::Json => script_escape(text),
        }
    }
}

fn reference(text: &[u8]) -> Option<(Option<char>, usize)> {
    let ascii = |code: u32| char::from_u32(code).filter(char::is_ascii);
    if let [b'&', b'#', rest @ ..] = text {
        let (radix, digits, front) = match rest {
            [b'x' | b'X', digits @ ..] => (16, digits, 3),
            digits => (10, digits, 2),
        };
        let is_digit = |byte: &u8| char::from(*byte).is_digit(radix);
        let count = digits.iter().take_while(|byte| is_digit(byte)).count();
        let number = std::str::from_utf8(&digits[..count])
            .ok()?
            .trim_start_matches('0');
        let letter = ascii(u32::from_str_radix(number, radix).ok()?)?;
        let semicolon = usize::from(digits.get(count) == Some(&b';'));
        return Some((Some(letter), front + count + semicolon));
    }
    let rest = &text[1..];
    let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric());
    let length = length.take(LONGEST_NAME + 1).count();
    let name = std::str::from_utf8(&rest[..length]).ok()?;
    if rest.get(length) == Some(&b';') {
        let at = NAMED.binary_search_by_key(&name, |(name, _)| name).ok()?;
        return Some((Some(NAMED[at].1.into()), length + 2));
    }
    // In attributes, letters and digits behind it make it no reference, and so does `=`.
    let is_bare = BARE.contains(&name) && rest.get(length) != Some(&b'=');
    let at = NAMED.binary_search_by_key(&name, |(name, _)| name).ok()?;
    is_bare.then(|| (Some(NAMED[at].1.into()), length + 1))
}

fn css_escape(text: &[u8]) -> Option<(Option<char>, usize)> {
    let rest = text.get(1..)?;
    let digits = rest.iter().take(6).take_while(|byte| byte.is_ascii_hexdigit());
    let digits = digits.count();
    if digits == 0 {
        return match rest {
            [] => None,
            [b'\r', b'\n', ..] => Some((None, 3)),
            [b'\n' | b'\r' | b'\x0c', ..] => Some((None, 2)),
            [byte, ..] if byte.is_ascii() => Some((Some((*byte).into()), 2)),
            // The letter that follows is read by itself.
            [_, ..] => Some((None, 1)),
        };
    }
    let code = u32::from_str_radix(std::str::from_utf8(&rest[..digits]).ok()?, 16).ok()?;
    let blank = match &rest[digits..] {
        [b'\r', b'\n', ..] => 2,
        [b' ' | b'\t' | b'\n' | b'\r' | b'\x0c', ..] => 1,
        _ => 0,
    };
    let letter = char::from_u32(code).filter(|letter| *letter != '\0');
    Some((
        Some(letter.unwrap_or(char::REPLACEMENT_CHARACTER)),
        1 + digits + blank,
    ))
}

fn script_escape(text: &[u8]) -> Option<(Option<char>, usize)> {
    let hex = |digits: &[u8]| {
        let digits = std::str::from_utf8(digits).ok()?;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let code = is_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()?;
        // Half of a pair is nothing that a link begins with.
        Some(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    };
    match text.get(1..)? {
        [] => None,
        [b'n', ..] => Some((Some('\n'), 2)),
        [b't', ..] => Some((Some('\t'), 2)),
        [b'r', ..] => Some((Some('\r'), 2)),
        [b'b' | b'f' | b'v' | b'0', ..] => Some((Some('\u{1}'), 2)),
        [b'x', digits @ ..] => Some((Some(hex(digits.get(..2)?)?), 4)),
        [b'u', b'{', digits @ ..] => {
            let end = digits.iter().take(8).position(|byte| *byte == b'}')?;
            Some((Some(hex(&digits[..end])?), end + 4))
        }
        [b'u', digits @ ..] => Some((Some(hex(digits.get(..4)?)?), 6)),
        [b'\r', b'\n', ..] => Some((None, 3)),
        [b'\n' | b'\r', ..] => Some((None, 2)),
        [byte, ..] if byte.is_ascii() => Some((Some((*byte).into()), 2)),
        [_, ..] => Some((None, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_their_languages_mean_them() {
        for (language, written, decoded) in [
            (Language::Html, "a/b", "a/b"),
            (Language::Html, "&#47;x&amp;y", "/x&y"),
            (Language::Html, "&#x2F;&#X2f;&sol;", "///"),
            (Language::Html, "&#47/x", "//x"),
            (Language::Html, "&#00000047;", "/"),
            (Language::Html, "?a&amp=1&ampx=1&amp", "?a&amp=1&ampx=1&"),
            (
                Language::Html,
                "&nbsp;&#160;&#99999999999;&;&#;&#x;",
                "&nbsp;&#160;&#99999999999;&;&#;&#x;",
            ),
            (Language::Css, "\\2f x\\2Fy\\/z", "/x/y/z"),
            (Language::Css, "\\00002fa\\\nb", "/ab"),
            (Language::Script, "\\x2fa\\u002f\\u{2f}\\/", "/a///"),
            (Language::Json, "\\/a\\u002fb\\\"", "/a/b\""),
        ] {
            let text = Text::decode(written.as_bytes(), language);
            assert_eq!(
                String::from_utf8_lossy(&text.decoded),
                decoded,
                "{language:?} {written}"
            );
            assert_eq!(text.place(&(0..text.decoded.len())), 0..written.len());
        }
        let text = Text::decode(b"a&#47;b", Language::Html);
        assert_eq!((text.place(&(1..2)), text.place(&(2..3))), (1..6, 6..7));
    }

    #[test]
    fn names_are_sorted() {
        assert!(NAMED.is_sorted());
        assert!(NAMED.iter().all(|(name, _)| name.len() <= LONGEST_NAME));
    }

    #[test]
    fn what_is_new_ends_no_value() {
        let new = "/o'x(1)\"<>&\\";
        for language in [Language::Html, Language::Css, Language::Script, Language::Json] {
            let escaped = language.escape(new);
            let text = Text::decode(escaped.as_bytes(), language);
            assert_eq!(String::from_utf8_lossy(&text.decoded), new, "{language:?}");
            assert!(!escaped.contains('<'), "{escaped}");
        }
        assert_eq!(Language::Html.escape("/proxy/ui%20x"), "/proxy/ui%20x");
    }
}
