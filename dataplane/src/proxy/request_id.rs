//! What ties an answer, an access line and the log of a backend together.

/// Longer ones of clients are not taken over.
const LONGEST: usize = 64;

/// The client's own, if it is harmless in a log and a header; else a new one, which costs no system call.
pub fn choose(sent: Option<&[u8]>) -> String {
    let is_fit = |id: &&str| {
        (1..=LONGEST).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    sent.and_then(|id| std::str::from_utf8(id).ok())
        .filter(is_fit)
        .map_or_else(new, ToOwned::to_owned)
}

fn new() -> String {
    let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    (*id.hyphenated().encode_lower(&mut text)).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_kept_only_when_harmless() {
        let long = "a".repeat(LONGEST + 1);
        for (sent, is_kept) in [
            ("Ab-9", true),
            (&long[1..], true),
            (&long, false),
            ("a b", false),
            ("", false),
            ("ä", false),
        ] {
            let id = choose(Some(sent.as_bytes()));
            assert_eq!(id == sent, is_kept, "{sent}");
            assert!((1..=LONGEST).contains(&id.len()));
        }
        assert_ne!(choose(None), choose(Some(b"\xff")));
    }
}
