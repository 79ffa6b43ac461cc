//! Sets of bytes as tables: every byte of a head is looked up in one of these, and a look takes the same two instructions
//! whatever the set.

/// Which bytes belong to a set.
pub(crate) struct Alphabet([bool; 256]);

/// RFC 9110 `tchar`: what methods and header names are made of.
pub(crate) static TOKEN: Alphabet = Alphabet::alphanumeric_and(b"!#$%&'*+-.^_`|~");
/// RFC 3986 `unreserved`.
pub(crate) static UNRESERVED: Alphabet = Alphabet::alphanumeric_and(b"-._~");
/// RFC 3986 `pchar` without escapes, and the slash.
pub(crate) static PATH: Alphabet = Alphabet::alphanumeric_and(b"-._~!$&'()*+,;=:@/");
/// What stands in the name of a host; whether it makes sense there is for others to say.
pub(crate) static HOST: Alphabet = Alphabet::alphanumeric_and(b"-._~!$&'()*+;=%");

// === impl Alphabet ===

impl Alphabet {
    const fn alphanumeric_and(others: &[u8]) -> Self {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            table[byte as usize] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        let mut at = 0;
        while at < others.len() {
            table[others[at] as usize] = true;
            at += 1;
        }
        Self(table)
    }

    pub(crate) const fn has(&self, byte: u8) -> bool {
        self.0[byte as usize]
    }

    /// How many bytes in front belong to it.
    pub(crate) fn span(&self, bytes: &[u8]) -> usize {
        let foreign = bytes.iter().position(|byte| !self.has(*byte));
        foreign.unwrap_or(bytes.len())
    }

    /// Whether all do.
    pub(crate) fn covers(&self, bytes: &[u8]) -> bool {
        self.span(bytes) == bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_they_say_and_nothing_else() {
        for (set, others) in [
            (&TOKEN, &b"!#$%&'*+-.^_`|~"[..]),
            (&UNRESERVED, b"-._~"),
            (&PATH, b"-._~!$&'()*+,;=:@/"),
            (&HOST, b"-._~!$&'()*+;=%"),
        ] {
            for byte in 0..=u8::MAX {
                let belongs = byte.is_ascii_alphanumeric() || others.contains(&byte);
                assert_eq!(set.has(byte), belongs, "{byte}");
            }
        }
        assert_eq!(
            (TOKEN.span(b"Host: x"), TOKEN.span(b"Host"), TOKEN.span(b"")),
            (4, 4, 0)
        );
        assert!(TOKEN.covers(b"GET") && !TOKEN.covers(b"G T"));
    }
}
