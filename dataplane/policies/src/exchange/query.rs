use std::borrow::Cow;

/// The pairs of a query, each as it is written and as it reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pairs<'q>(pub(crate) &'q str);

// === impl Pairs ===

impl<'q> Pairs<'q> {
    /// As written, name and value; a pair without `=` has an empty value.
    pub(crate) fn written(self) -> impl Iterator<Item = (&'q str, &'q str, &'q str)> {
        let pairs = self.0.split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (pair, name, value)
        })
    }

    /// Decoded once.
    pub(crate) fn decoded(self) -> impl Iterator<Item = (Cow<'q, str>, Cow<'q, str>)> {
        self.written()
            .map(|(_, name, value)| (decoded(name), decoded(value)))
    }

    /// Without the pairs whose name is unwanted; the others stay byte for byte.
    pub(crate) fn without(self, is_unwanted: impl Fn(&str) -> bool) -> String {
        let kept = self.written().filter(|(_, name, _)| !is_unwanted(&decoded(name)));
        let kept: Vec<_> = kept.map(|(pair, _, _)| pair).collect();
        kept.join("&")
    }
}

/// Of a form: a plus is a blank.
pub(crate) fn decoded(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let digit = |at: usize| {
        let byte = bytes.get(at).copied()?;
        char::from(byte).to_digit(16)
    };
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 3;
            }
            (b'+', _, _) => {
                out.push(b' ');
                at += 1;
            }
            (other, _, _) => {
                out.push(other);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// For one name or value of a query, or a segment of a path.
pub(crate) fn encoded(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_pairs_stay_as_they_are() {
        let pairs = Pairs("a=1&b=%2F+x&&a=2&c");
        assert_eq!(pairs.without(|name| name == "a"), "b=%2F+x&c");
        let mut values = pairs.decoded().filter(|(name, _)| name == "b");
        assert_eq!(values.next().unwrap().1, "/ x");
        assert_eq!(Pairs("%69d=1").decoded().next().unwrap().0, "id");
        assert_eq!(decoded("%zz%4"), "%zz%4");
        assert_eq!(encoded("a/b c"), "a%2Fb%20c");
    }
}
