use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// More than any ServiceAccount token; a longer one is not sent to the API server.
const LONGEST: usize = 16 << 10;

/// A ServiceAccount token as it was sent. It is printed nowhere.
#[derive(Clone)]
pub struct Token(String);

#[derive(Deserialize)]
struct Claims {
    exp: Option<i64>,
}

// === impl Token ===

impl Token {
    /// From the value of an `authorization` header: the scheme is case-insensitive, the token has the shape of a JWT.
    pub fn read(header: &str) -> Option<Self> {
        let (scheme, token) = header.split_once(' ')?;
        let token = token.trim();
        let is_part = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        let has_shape =
            token.len() <= LONGEST && token.split('.').count() == 3 && token.split('.').all(is_part);
        (scheme.eq_ignore_ascii_case("bearer") && has_shape).then(|| Self(token.to_owned()))
    }

    pub fn text(&self) -> &str {
        &self.0
    }

    /// When it expires, in seconds since 1970. Only of use after the API server has accepted the token.
    pub fn expires(&self) -> Option<i64> {
        let payload = URL_SAFE_NO_PAD.decode(self.0.split('.').nth(1)?).ok()?;
        serde_json::from_slice::<Claims>(&payload).ok()?.exp
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_a_token_is_asked_about() {
        for good in ["Bearer a.b.c", "bearer a-_.b.c", "BEARER  a.b.c "] {
            assert!(Token::read(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer a.b",
            "Bearer a.b.c.d",
            "Bearer a..c",
            "Basic a.b.c",
            "Bearer a.b.c d",
        ] {
            assert!(Token::read(bad).is_none(), "{bad}");
        }
        let long = format!("Bearer {}.b.c", "a".repeat(LONGEST));
        assert!(Token::read(&long).is_none());
    }

    #[test]
    fn its_end_is_read_and_itself_not_printed() {
        let of = |claims: &str| Token(format!("a.{}.c", URL_SAFE_NO_PAD.encode(claims)));
        assert_eq!(of(r#"{"exp":7,"aud":["x"]}"#).expires(), Some(7));
        assert_eq!(of("{}").expires(), None);
        assert_eq!(Token("a.b.c".into()).expires(), None);
        assert_eq!(format!("{:?}", of("{}")), "Token(..)");
    }
}
