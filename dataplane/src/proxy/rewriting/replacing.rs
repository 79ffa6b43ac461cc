use genkan_routing::directives::BodyRule;
use memchr::memmem::Finder;

/// Puts texts in the place of others while a body passes. What may be the beginning of one is held.
#[derive(Debug)]
pub struct Replacer {
    rules: Box<[(Finder<'static>, Box<[u8]>)]>,
    /// The longest text that is looked for.
    longest: usize,
    held: Vec<u8>,
}

/// So much may be new in one piece; beyond that it stays as it is.
const MOST_NEW: usize = 4 << 20;

// === impl Replacer ===

impl Replacer {
    /// `None`: nothing is meant for bodies of this type.
    pub fn for_type(rules: &[BodyRule], essence: &str) -> Option<Self> {
        let taken = rules.iter().filter(|rule| rule.takes(essence));
        let rules: Box<[_]> = taken
            .map(|rule| {
                let finder = Finder::new(rule.from.as_bytes()).into_owned();
                (finder, rule.to.as_bytes().into())
            })
            .collect();
        let longest = rules.iter().map(|(finder, _)| finder.needle().len()).max()?;
        Some(Self {
            rules,
            longest,
            held: Vec::new(),
        })
    }

    /// What can be sent of it: of several texts in one place, the first in the list is replaced.
    pub fn write(&mut self, piece: &[u8], is_end: bool) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        let text = std::mem::take(&mut self.held);
        // Whatever begins here can be seen whole.
        let sure = match is_end {
            true => text.len(),
            false => text.len().saturating_sub(self.longest - 1),
        };
        let mut next: Vec<Option<usize>> = self.rules.iter().map(|(finder, _)| finder.find(&text)).collect();
        let (mut out, mut copied, mut left) = (Vec::with_capacity(text.len()), 0, MOST_NEW);
        while let Some((at, rule)) = first(&next).filter(|(at, _)| *at < sure) {
            let (finder, new) = &self.rules[rule];
            let Some(rest) = left.checked_sub(new.len()) else {
                break;
            };
            left = rest;
            out.extend_from_slice(&text[copied..at]);
            out.extend_from_slice(new);
            copied = at + finder.needle().len();
            for (place, (finder, _)) in next.iter_mut().zip(&self.rules) {
                if place.is_some_and(|place| place < copied) {
                    *place = finder.find(&text[copied..]).map(|place| copied + place);
                }
            }
        }
        let sure = sure.max(copied);
        out.extend_from_slice(&text[copied..sure]);
        self.held.extend_from_slice(&text[sure..]);
        out
    }
}

fn first(next: &[Option<usize>]) -> Option<(usize, usize)> {
    let found = next.iter().enumerate();
    let found = found.filter_map(|(rule, at)| at.map(|at| (at, rule)));
    found.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_rules(rules: &[(&str, &str, &str)]) -> Vec<BodyRule> {
        let mk = |(content_type, from, to): &(&str, &str, &str)| BodyRule {
            content_type: (*content_type).to_owned(),
            from: (*from).to_owned(),
            to: (*to).to_owned(),
        };
        rules.iter().map(mk).collect()
    }

    #[test]
    fn texts_are_replaced_wherever_pieces_end() {
        let rules = mk_rules(&[
            ("text/*", "\"/api", "\"/p/api"),
            ("application/json", "abab", "x"),
            ("application/json", "ab", "y"),
            ("application/json", "c", ""),
        ]);
        assert!(Replacer::for_type(&rules, "image/png").is_none());
        for (essence, text, replaced) in [
            ("text/plain", "a\"/api\"/apia\"/ap", "a\"/p/api\"/p/apia\"/ap"),
            ("application/json", "ababab ab c aba", "xy y  ya"),
            ("application/json", "", ""),
        ] {
            for step in 1..=text.len().max(1) {
                let mut replacer = Replacer::for_type(&rules, essence).unwrap();
                let mut out = Vec::new();
                for piece in text.as_bytes().chunks(step) {
                    out.extend(replacer.write(piece, false));
                }
                out.extend(replacer.write(b"", true));
                assert_eq!(String::from_utf8(out).unwrap(), replaced, "{text} by {step}");
            }
        }
    }

    #[test]
    fn what_would_grow_without_end_stays() {
        let to = "b".repeat(1024);
        let rules = mk_rules(&[("text/html", "a", &to)]);
        let mut replacer = Replacer::for_type(&rules, "text/html").unwrap();
        let out = replacer.write(&vec![b'a'; 64 << 10], true);
        assert_eq!(out.len(), MOST_NEW + (64 << 10) - MOST_NEW / 1024);
    }
}
