use std::hint::black_box;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::decisions::Key;

/// The token that a connection showed last, and the key of what is known about it: most connections show one token, and
/// to compare it costs a small part of what it costs to hash it again.
///
/// It lives as long as its connection, and nothing is left of it in memory then.
#[derive(Clone)]
pub struct Recent(Arc<Pair>);

struct Pair {
    token: Zeroizing<Vec<u8>>,
    key: Key,
}

/// Longer tokens are not kept: there may be very many connections.
const LONGEST: usize = 4 * 1024;

// === impl Recent ===

impl Recent {
    /// `None` for a token that is not kept.
    pub(super) fn of(token: &str, key: Key) -> Option<Self> {
        let is_short = token.len() <= LONGEST;
        is_short.then(|| {
            let token = Zeroizing::new(token.as_bytes().to_vec());
            Self(Arc::new(Pair { token, key }))
        })
    }

    /// The key of this token, if it is the same. How long that takes tells nothing about where they differ: behind a load
    /// balancer a connection is that of many.
    pub(super) fn key(&self, token: &str) -> Option<Key> {
        let (kept, shown) = (self.0.token.as_slice(), token.as_bytes());
        if kept.len() != shown.len() {
            return None;
        }
        let difference = kept.iter().zip(shown).fold(0, |all, (a, b)| all | (a ^ b));
        (black_box(difference) == 0).then_some(self.0.key)
    }
}

impl std::fmt::Debug for Recent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recent").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_token_has_the_key() {
        let token = "t".repeat(1_000);
        let recent = Recent::of(&token, [7; 32]).unwrap();
        assert_eq!(recent.key(&token), Some([7; 32]));
        for at in [0, 500, 999] {
            let mut other = token.clone();
            other.replace_range(at..=at, "u");
            assert_eq!(recent.key(&other), None, "{at}");
        }
        for other in ["", "t", &token[1..], &(token.clone() + "t")] {
            assert_eq!(recent.key(other), None);
        }
        assert!(Recent::of(&"t".repeat(LONGEST), [0; 32]).is_some());
        assert!(Recent::of(&"t".repeat(LONGEST + 1), [0; 32]).is_none());
        assert_eq!(format!("{recent:?}"), "Recent { .. }");
    }
}
