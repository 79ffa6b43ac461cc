//! Codes by which the front tells the host of a web UI who somebody is: a token, sealed under a key of all data planes.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use genkan_routing::credential::{LOGIN_COOKIE, SESSION_COOKIE};
use genkan_routing::model::{LOGIN_DATA, Secret};
use http::HeaderValue;
use parking_lot::Mutex;
use rand::Rng;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::identity::expiry;

/// The key of the fleet.
pub struct FleetKey(LessSafeKey);

/// For whom a code is.
#[derive(Debug, Clone, Copy)]
pub struct Bearer<'a> {
    /// The web UI whose host it is.
    pub app: &'a str,
    /// The hash of the cookie of the browser that began to log in.
    pub state: &'a str,
}

/// The codes that were taken here, for as long as they would be good.
#[derive(Debug, Default)]
pub struct Taken(Mutex<HashMap<[u8; NONCE_LEN], SystemTime>>);

/// A code is not good here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    #[error("it was not made by these data planes, or for another host or browser")]
    Foreign,
    #[error("it is too old")]
    Old,
    #[error("it was taken before")]
    Taken,
    #[error("too many codes were taken in the last seconds")]
    Many,
}

/// From sending a browser to log in to its coming back.
const WAIT: Duration = Duration::from_secs(60);
/// From making a code to bringing it.
const LIFE: Duration = Duration::from_secs(30);
/// By which the clocks of two data planes may differ.
const SKEW: Duration = Duration::from_secs(5);
const MOST_TAKEN: usize = 1 << 16;
/// Of the time at which it ends, in seconds since 1970.
const ENDS: usize = 8;

/// A random value for the cookie of a browser that begins to log in.
pub fn new_cookie() -> String {
    URL_SAFE_NO_PAD.encode(rand::rng().random::<[u8; 24]>())
}

/// What names that cookie to others.
pub fn state_of(cookie: &str) -> String {
    blake3::hash(cookie.as_bytes()).to_hex().to_string()
}

/// `Set-Cookie` of a browser that begins to log in.
pub fn begun(cookie: &str) -> Option<HeaderValue> {
    set(LOGIN_COOKIE, cookie, Some(WAIT))
}

/// And of one that has logged in: one cookie for the other. It ends with the token, if that says when.
pub fn done(token: &str, now: SystemTime) -> Option<[HeaderValue; 2]> {
    let session = set(SESSION_COOKIE, token, expiry::left(token, now));
    Some([session?, set(LOGIN_COOKIE, "", Some(Duration::ZERO))?])
}

fn set(name: &str, value: &str, left: Option<Duration>) -> Option<HeaderValue> {
    if value.contains(['"', ',', ';', '\\']) {
        return None;
    }
    let left = left.map(|left| format!("; Max-Age={}", left.as_secs()));
    let left = left.unwrap_or_default();
    HeaderValue::try_from(format!(
        "{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{left}"
    ))
    .ok()
}

// === impl FleetKey ===

impl FleetKey {
    /// `None` if it holds no key.
    pub fn read(secret: &Secret) -> Option<Self> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, secret.data.get(LOGIN_DATA)?).ok()?;
        Some(Self(LessSafeKey::new(key)))
    }

    /// A code for the token, and only for this bearer; `None` if it cannot be made.
    pub fn seal(&self, token: &str, bearer: Bearer<'_>, now: SystemTime) -> Option<String> {
        let nonce: [u8; NONCE_LEN] = rand::rng().random();
        let ends = (now + LIFE).duration_since(UNIX_EPOCH).ok()?.as_secs();
        let mut sealed = [&ends.to_be_bytes(), token.as_bytes()].concat();
        let aad = bearer.aad();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(aad.as_bytes()),
                &mut sealed,
            )
            .ok()?;
        Some(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    /// The token in a code, which is used up by it.
    ///
    /// # Errors
    /// Why it is not good.
    pub fn open(
        &self,
        code: &str,
        bearer: Bearer<'_>,
        taken: &Taken,
        now: SystemTime,
    ) -> Result<Zeroizing<String>, CodeError> {
        let sealed = URL_SAFE_NO_PAD.decode(code).map_err(|_| CodeError::Foreign)?;
        let (nonce, sealed) = sealed.split_first_chunk().ok_or(CodeError::Foreign)?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let aad = bearer.aad();
        let opened = self
            .0
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(aad.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| CodeError::Foreign)?;
        let (ends, token) = opened.split_first_chunk::<ENDS>().ok_or(CodeError::Foreign)?;
        let ends = UNIX_EPOCH + Duration::from_secs(u64::from_be_bytes(*ends));
        if now > ends + SKEW {
            return Err(CodeError::Old);
        }
        let token = std::str::from_utf8(token).map_err(|_| CodeError::Foreign)?;
        taken.take(*nonce, ends + SKEW, now)?;
        Ok(Zeroizing::new(token.to_owned()))
    }
}

impl std::fmt::Debug for FleetKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FleetKey(..)")
    }
}

// === impl Bearer ===

impl Bearer<'_> {
    /// Neither of them holds the separator.
    fn aad(self) -> String {
        format!("{}\0{}", self.app, self.state)
    }
}

// === impl Taken ===

impl Taken {
    fn take(&self, nonce: [u8; NONCE_LEN], until: SystemTime, now: SystemTime) -> Result<(), CodeError> {
        let mut taken = self.0.lock();
        if taken.len() >= MOST_TAKEN {
            taken.retain(|_, until| *until >= now);
        }
        if taken.len() >= MOST_TAKEN {
            return Err(CodeError::Many);
        }
        match taken.insert(nonce, until) {
            Some(_) => Err(CodeError::Taken),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_key(byte: u8) -> FleetKey {
        let data = [(LOGIN_DATA.to_owned(), vec![byte; 32].into())].into();
        FleetKey::read(&Secret {
            kind: "Opaque".into(),
            data,
        })
        .unwrap()
    }

    const BEARER: Bearer<'_> = Bearer {
        app: "ui",
        state: "af",
    };

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    #[test]
    fn a_code_is_good_once_for_its_bearer_and_for_a_while() {
        let (key, taken) = (mk_key(1), Taken::default());
        let code = key.seal("token", BEARER, at(0)).unwrap();
        assert!(!code.contains("token"));
        let open = |key: &FleetKey, code: &str, bearer, now| {
            key.open(code, bearer, &taken, now).map(|token| token.to_string())
        };
        let other = |app, state| Bearer { app, state };
        for bearer in [other("u", "iaf"), other("ui2", "af"), other("ui", "ae")] {
            assert_eq!(open(&key, &code, bearer, at(1)), Err(CodeError::Foreign));
        }
        assert_eq!(open(&mk_key(2), &code, BEARER, at(1)), Err(CodeError::Foreign));
        for junk in ["", "a", "!", &code[1..], &code[..code.len() - 1]] {
            assert_eq!(open(&key, junk, BEARER, at(1)), Err(CodeError::Foreign), "{junk}");
        }
        assert_eq!(open(&key, &code, BEARER, at(36)), Err(CodeError::Old));
        assert_eq!(open(&key, &code, BEARER, at(29)).as_deref(), Ok("token"));
        assert_eq!(open(&key, &code, BEARER, at(30)), Err(CodeError::Taken));
        // Another data plane has not seen it: it is good there for those seconds, to whoever has the cookie as well.
        let elsewhere = key.open(&code, BEARER, &Taken::default(), at(30));
        assert_eq!(elsewhere.unwrap().as_str(), "token");
    }

    #[test]
    fn what_is_remembered_of_codes_is_bounded() {
        let taken = Taken::default();
        for n in 0..MOST_TAKEN {
            let mut nonce = [0; NONCE_LEN];
            nonce[..8].copy_from_slice(&n.to_be_bytes());
            taken.take(nonce, at(10), at(0)).unwrap();
        }
        assert_eq!(taken.take([255; NONCE_LEN], at(10), at(1)), Err(CodeError::Many));
        assert_eq!(taken.take([255; NONCE_LEN], at(30), at(11)), Ok(()));
    }

    #[test]
    fn cookies_are_random_and_their_names_say_nothing_of_them() {
        let [one, other] = [(); 2].map(|()| new_cookie());
        assert!(one != other && one.len() == 32);
        assert_eq!(state_of(&one).len(), 64);
        assert_ne!(state_of(&one), state_of(&other));
    }

    #[test]
    fn a_session_ends_with_its_token() {
        let of = |claims: &str| {
            let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
            let [session, login] = done(&token, UNIX_EPOCH + Duration::from_secs(100)).unwrap();
            assert_eq!(
                login,
                "__Host-genkan-login=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"
            );
            session.to_str().unwrap().replace(&token, "T")
        };
        let session = "__Host-genkan=T; Path=/; Secure; HttpOnly; SameSite=Lax";
        assert_eq!(of(r#"{"exp":130}"#), format!("{session}; Max-Age=30"));
        assert_eq!(of("{}"), session);
        assert_eq!(
            begun("x").unwrap(),
            "__Host-genkan-login=x; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60"
        );
    }

    #[test]
    fn a_secret_without_a_key_is_none() {
        for data in [vec![], vec![1; 31]] {
            let data = [(LOGIN_DATA.to_owned(), data.into())].into();
            let secret = Secret {
                kind: "Opaque".into(),
                data,
            };
            assert!(FleetKey::read(&secret).is_none());
        }
    }
}
