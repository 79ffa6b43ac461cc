use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
}

/// How long a token still lives, if it says so. Nothing of it is verified: this may only shorten what the API server allows.
pub fn left(token: &str, now: SystemTime) -> Option<Duration> {
    let mut parts = token.split('.');
    let (_, payload, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else {
        return None;
    };
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    let exp = Duration::try_from_secs_f64(claims.exp?.max(0.0)).ok()?;
    let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(exp.saturating_sub(since_epoch))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn mk_token(payload: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn tokens_say_when_they_end() {
        for (payload, left_at_100) in [
            (r#"{"exp":130,"sub":"x"}"#, Some(30)),
            (r#"{"exp":130.0}"#, Some(30)),
            (r#"{"exp":99}"#, Some(0)),
            (r#"{"exp":-1}"#, Some(0)),
            (r#"{"sub":"x"}"#, None),
            (r#"{"exp":"130"}"#, None),
            (r#"{"exp":1e300}"#, None),
            ("[]", None),
            ("junk", None),
        ] {
            let left = left(&mk_token(payload), at(100));
            assert_eq!(left, left_at_100.map(Duration::from_secs), "{payload}");
        }
    }

    #[test]
    fn other_tokens_say_nothing() {
        let four = format!("{}.x", mk_token(r#"{"exp":130}"#));
        for token in ["", "opaque", "a.b", "a.!.c", &four] {
            assert_eq!(left(token, at(100)), None, "{token}");
        }
    }
}
