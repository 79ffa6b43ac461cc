//! Codes by which the front tells the host of a web UI who somebody is, and the sessions that they become: a token, sealed
//! under a key of all data planes.
//!
//! Scripts of a UI can read every address of its host, and its backend can bring a code that they have read. So what a code
//! becomes is good at that host alone, where the UI acts for whoever opens it anyway; the token itself is never given away.

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

/// What is sealed is told apart by the first bytes of what is not written in it.
const CODE: &str = "code";
const SESSION: &str = "session";

/// The codes that were taken here, for as long as they would be good.
#[derive(Debug, Default)]
pub struct Taken(Mutex<HashMap<[u8; NONCE_LEN], SystemTime>>);

/// What the cookie of a host holds.
#[derive(Debug)]
pub struct Session {
    sealed: String,
    /// Until its token ends, if that says when.
    left: Option<Duration>,
}

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
/// The end of what has none: some thousand years.
const FAR: Duration = Duration::from_secs(1 << 37);
/// By which the clocks of two data planes may differ.
const SKEW: Duration = Duration::from_secs(5);
const MOST_TAKEN: usize = 1 << 16;
/// Of the time at which it ends, in seconds since 1970.
const ENDS: usize = 8;
/// Of a hash, in digits.
const STATE: usize = 64;
/// Browsers keep no cookie whose name and value are longer.
const LONGEST_COOKIE: usize = 4_096;

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

/// And of one that has logged in: one cookie for the other. `None` if browsers would not keep it.
pub fn done(session: &Session) -> Option<[HeaderValue; 2]> {
    let is_short = SESSION_COOKIE.len() + session.sealed.len() <= LONGEST_COOKIE;
    let is_over = session.left.is_some_and(|left| left < Duration::from_secs(1));
    let kept = (is_short && !is_over).then(|| set(SESSION_COOKIE, &session.sealed, session.left));
    Some([kept??, set(LOGIN_COOKIE, "", Some(Duration::ZERO))?])
}

fn set(name: &str, value: &str, left: Option<Duration>) -> Option<HeaderValue> {
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
        let state = bearer.state.as_bytes();
        let content = [state, token.as_bytes()].concat();
        (state.len() == STATE).then(|| self.seal_until(now + LIFE, &content, CODE, bearer.app))?
    }

    /// The token in a code, which is used up by that, whoever brings it.
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
        let Opened { nonce, ends, content } = self.open_sealed(code, CODE, bearer.app)?;
        if now > ends + SKEW {
            return Err(CodeError::Old);
        }
        taken.take(nonce, ends + SKEW, now)?;
        let (state, token) = content.split_at_checked(STATE).ok_or(CodeError::Foreign)?;
        match state == bearer.state {
            true => Ok(Zeroizing::new(token.to_owned())),
            false => Err(CodeError::Foreign),
        }
    }

    /// What keeps somebody logged in at the host of this UI, until the token ends.
    pub fn begin_session(&self, token: &str, app: &str, now: SystemTime) -> Option<Session> {
        let left = expiry::left(token, now);
        // Whether a token without an end is still good is asked wherever it counts.
        let ends = left.map_or(UNIX_EPOCH + FAR, |left| now + left);
        let sealed = self.seal_until(ends, token.as_bytes(), SESSION, app)?;
        Some(Session { sealed, left })
    }

    /// The token of somebody who is logged in there.
    ///
    /// # Errors
    /// When it is not of this host, or over.
    pub fn token_of_session(
        &self,
        sealed: &str,
        app: &str,
        now: SystemTime,
    ) -> Result<Zeroizing<String>, CodeError> {
        let Opened { ends, content, .. } = self.open_sealed(sealed, SESSION, app)?;
        match now > ends {
            true => Err(CodeError::Old),
            false => Ok(content),
        }
    }

    fn seal_until(&self, ends: SystemTime, content: &[u8], what: &str, app: &str) -> Option<String> {
        let nonce: [u8; NONCE_LEN] = rand::rng().random();
        let ends = ends.duration_since(UNIX_EPOCH).ok()?.as_secs();
        let mut sealed = [&ends.to_be_bytes(), content].concat();
        let aad = aad(what, app);
        let unique = Nonce::assume_unique_for_key(nonce);
        self.0
            .seal_in_place_append_tag(unique, Aad::from(aad.as_bytes()), &mut sealed)
            .ok()?;
        Some(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    fn open_sealed(&self, text: &str, what: &str, app: &str) -> Result<Opened, CodeError> {
        let sealed = URL_SAFE_NO_PAD.decode(text).map_err(|_| CodeError::Foreign)?;
        let (nonce, sealed) = sealed.split_first_chunk().ok_or(CodeError::Foreign)?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let aad = aad(what, app);
        let opened = self
            .0
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(aad.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| CodeError::Foreign)?;
        let (ends, content) = opened.split_first_chunk::<ENDS>().ok_or(CodeError::Foreign)?;
        let content = std::str::from_utf8(content).map_err(|_| CodeError::Foreign)?;
        Ok(Opened {
            nonce: *nonce,
            ends: UNIX_EPOCH + Duration::from_secs(u64::from_be_bytes(*ends)),
            content: Zeroizing::new(content.to_owned()),
        })
    }
}

/// What was sealed.
struct Opened {
    nonce: [u8; NONCE_LEN],
    ends: SystemTime,
    content: Zeroizing<String>,
}

/// Neither of them holds the separator.
fn aad(what: &str, app: &str) -> String {
    format!("{what}\0{app}")
}

impl std::fmt::Debug for FleetKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FleetKey(..)")
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

    const STATE_OF_ANY: &str = "af00000000000000000000000000000000000000000000000000000000000000";
    const BEARER: Bearer<'_> = Bearer {
        app: "ui",
        state: STATE_OF_ANY,
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
        let other = |app| Bearer { app, ..BEARER };
        for app in ["u", "ui2", ""] {
            assert_eq!(open(&key, &code, other(app), at(1)), Err(CodeError::Foreign));
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
    fn a_code_is_used_up_by_whoever_brings_it() {
        let (key, taken) = (mk_key(1), Taken::default());
        let code = key.seal("token", BEARER, at(0)).unwrap();
        let state = STATE_OF_ANY.replace('a', "b");
        let thief = Bearer {
            state: &state,
            ..BEARER
        };
        assert_eq!(
            key.open(&code, thief, &taken, at(1)).unwrap_err(),
            CodeError::Foreign
        );
        assert_eq!(
            key.open(&code, BEARER, &taken, at(1)).unwrap_err(),
            CodeError::Taken
        );
        let short = Bearer {
            state: "af",
            ..BEARER
        };
        assert_eq!(key.seal("token", short, at(0)), None);
    }

    #[test]
    fn a_session_is_of_one_host_and_no_code() {
        let key = mk_key(1);
        let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"exp":1000060}"#));
        let session = key.begin_session(&token, "ui", at(0)).unwrap();
        assert_eq!(session.left, Some(Duration::from_secs(60)));
        let open = |app, now| key.token_of_session(&session.sealed, app, now);
        assert_eq!(open("ui", at(60)).unwrap().as_str(), token);
        assert_eq!(open("ui", at(61)).unwrap_err(), CodeError::Old);
        assert_eq!(open("other", at(0)).unwrap_err(), CodeError::Foreign);
        let as_code = key.open(&session.sealed, BEARER, &Taken::default(), at(0));
        assert_eq!(as_code.unwrap_err(), CodeError::Foreign);
        let code = key.seal("token", BEARER, at(0)).unwrap();
        assert_eq!(
            key.token_of_session(&code, "ui", at(0)).unwrap_err(),
            CodeError::Foreign
        );
        let endless = key.begin_session("opaque", "ui", at(0)).unwrap();
        assert_eq!(endless.left, None);
        let later = key.token_of_session(&endless.sealed, "ui", at(1 << 30));
        assert_eq!(later.unwrap().as_str(), "opaque");
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
    fn a_cookie_ends_with_its_token_and_is_one_that_browsers_keep() {
        let of = |left: Option<u64>, sealed: &str| {
            done(&Session {
                sealed: sealed.to_owned(),
                left: left.map(Duration::from_secs),
            })
        };
        let [session, login] = of(Some(30), "x").unwrap();
        let base = "__Host-genkan=x; Path=/; Secure; HttpOnly; SameSite=Lax";
        assert_eq!(session, format!("{base}; Max-Age=30"));
        assert_eq!(
            login,
            "__Host-genkan-login=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"
        );
        assert_eq!(of(None, "x").unwrap()[0], base);
        let longest = LONGEST_COOKIE - SESSION_COOKIE.len();
        assert!(of(None, &"x".repeat(longest)).is_some() && of(None, &"x".repeat(longest + 1)).is_none());
        assert!(of(Some(0), "x").is_none());
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
