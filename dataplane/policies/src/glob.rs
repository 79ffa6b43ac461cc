/// A pattern of `*` (any run) and `?` (any one character).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob(Box<[u8]>);

// === impl Glob ===

impl Glob {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.as_bytes().into())
    }

    /// Linear but for the run behind the last star, which is tried again from each position.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.walk(text.as_bytes(), None)
    }

    /// A star stops at this byte: `*.example` is one label.
    pub(crate) fn matches_within(&self, text: &str, border: u8) -> bool {
        self.walk(text.as_bytes(), Some(border))
    }

    fn walk(&self, text: &[u8], border: Option<u8>) -> bool {
        let pattern = &*self.0;
        let (mut at, mut read) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        while read < text.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    retry = Some((at + 1, read));
                    at += 1;
                    continue;
                }
                Some(b'?') if Some(text[read]) != border => {
                    at += 1;
                    read += char_len(text, read);
                    continue;
                }
                Some(&wanted) if wanted == text[read] && wanted != b'?' => {
                    at += 1;
                    read += 1;
                    continue;
                }
                Some(_) | None => {}
            }
            match retry {
                Some((behind, from)) if Some(text[from]) != border => {
                    retry = Some((behind, from + 1));
                    (at, read) = (behind, from + 1);
                }
                Some(_) | None => return false,
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

fn char_len(text: &[u8], at: usize) -> usize {
    let rest = text[at + 1..].iter();
    1 + rest.take_while(|byte| **byte & 0xC0 == 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text, is_match) in [
            ("*", "", true),
            ("sho?", "shop", true),
            ("sho?", "sho", false),
            ("pay-*", "pay-eu", true),
            ("*op", "shop", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "é", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), is_match, "{pattern} {text}");
        }
    }

    #[test]
    fn a_star_can_be_one_label() {
        let glob = Glob::new("*.partner.example");
        assert!(glob.matches_within("a.partner.example", b'.'));
        assert!(!glob.matches_within("a.b.partner.example", b'.'));
        assert!(!glob.matches_within("partner.example", b'.'));
    }
}
