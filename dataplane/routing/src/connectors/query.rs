use zeroize::Zeroizing;

use crate::target::parameters;

/// A query without the pairs that hold the token of the caller; the rest of it byte for byte.
pub fn without_token<'q>(query: &'q [u8], token: &str) -> std::borrow::Cow<'q, [u8]> {
    let is_token = |pair: &[u8]| {
        let mut both = parameters(pair);
        let holds = |text: &[u8]| memchr::memmem::find(text, token.as_bytes()).is_some();
        both.any(|(name, value)| holds(&name) || holds(&value))
    };
    if token.is_empty() || !query.split(|byte| *byte == b'&').any(is_token) {
        return query.into();
    }
    let kept: Vec<&[u8]> = query
        .split(|byte| *byte == b'&')
        .filter(|pair| !is_token(pair))
        .collect();
    kept.join(&b"&"[..]).into()
}

/// The query with these parameters instead of any of the same name, at its end.
pub(super) fn with_parameters(query: Option<&[u8]>, parameters_set: &[(String, String)]) -> Vec<u8> {
    let is_replaced = |pair: &[u8]| {
        parameters(pair).any(|(key, _)| parameters_set.iter().any(|(name, _)| *key == *name.as_bytes()))
    };
    let kept = query
        .into_iter()
        .flat_map(|query| query.split(|byte| *byte == b'&'));
    let mut pairs: Vec<Vec<u8>> = kept
        .filter(|pair| !pair.is_empty() && !is_replaced(pair))
        .map(<[u8]>::to_vec)
        .collect();
    for (name, value) in parameters_set {
        let mut pair = Vec::new();
        escape(name, &mut pair);
        pair.push(b'=');
        escape(value, &mut pair);
        pairs.push(pair);
    }
    pairs.join(&b"&"[..])
}

/// As it stands in a query that a credential was put into.
pub fn escaped(text: &str) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(3 * text.len()));
    escape(text, &mut out);
    out
}

/// All but unreserved characters, so that no reader takes them for anything else.
fn escape(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_that_hold_the_token_go_and_the_rest_stays_as_it_was() {
        for (query, left) in [
            ("b=2&a=1&a=%20&empty=", "b=2&a=1&a=%20&empty="),
            ("a=1&token=tok&b=2", "a=1&b=2"),
            ("private_token=t%6Fk", ""),
            ("a=1&b=Bearer%20tok", "a=1"),
            ("tok=1&x=to", "x=to"),
        ] {
            assert_eq!(
                &*without_token(query.as_bytes(), "tok"),
                left.as_bytes(),
                "{query}"
            );
        }
        assert_eq!(&*without_token(b"a=", ""), b"a=");
    }

    #[test]
    fn parameters_replace_those_of_their_name() {
        let set = [("api_key".to_owned(), "k&1".to_owned())];
        for (query, made) in [
            (None, "api_key=k%261"),
            (Some("limit=5"), "limit=5&api_key=k%261"),
            (Some("api_key=mine&limit=5&api%5Fkey=x"), "limit=5&api_key=k%261"),
        ] {
            let made_here = with_parameters(query.map(str::as_bytes), &set);
            assert_eq!(String::from_utf8(made_here).unwrap(), made);
        }
    }
}
