use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use argon2::{Argon2, PasswordHash, PasswordVerifier};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use genkan_routing::answer::reason;
use http::HeaderValue;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use parking_lot::Mutex;
use ring::hmac;
use ring::rand::SystemRandom;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::api_key::SecretRef;
use crate::answer::PolicyAnswer;
use crate::exchange::Exchange;
use crate::limiters::{CREDENTIALS, Table};
use crate::link::{Fault, Site};
use crate::outside::Outside;
use crate::step::{Moment, Stop};

/// Name and password, by a file of hashes.
pub(crate) struct Basic {
    users: BTreeMap<String, Arc<str>>,
    /// For names that there are not: they cost as much.
    decoy: Arc<str>,
    challenge: HeaderValue,
    forward: bool,
    /// Of what was found good a hash under a key that this step alone has, and until when it is believed.
    good: Mutex<Table<[u8; 32], Duration>>,
    key: hmac::Key,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct With {
    users: SecretRef,
    realm: Option<String>,
    #[serde(default)]
    forward: bool,
}

const MOST_GOOD: usize = 4096;
const KEPT: Duration = Duration::from_secs(60);
const LONGEST_PASSWORD: usize = 1024;
/// What one verification may cost: bcrypt's exponent, and argon2's memory in KiB and its passes.
const MOST_COST: u32 = 15;
const MOST_MEMORY: u32 = 256 << 10;
const MOST_PASSES: u32 = 16;

// === impl Basic ===

impl Basic {
    pub(crate) fn compile(with: With, site: &Site<'_>) -> Result<Self, Fault> {
        let field = "with.users.secret";
        let alias = site.alias(field, &with.users.secret)?;
        let missing = || Fault::new(field, "the Secret has no key htpasswd");
        let file = alias.value(&["htpasswd"]).ok_or_else(missing)?;
        let file = std::str::from_utf8(file).map_err(|_| Fault::new(field, "htpasswd is no text"))?;
        let mut users = BTreeMap::new();
        for (index, line) in file.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |text: &str| Fault::new(field, format!("htpasswd, line {}: {text}", index + 1));
            let (user, hash) = line.split_once(':').ok_or_else(|| wrong("there is no colon"))?;
            check(hash).map_err(wrong)?;
            users.insert(user.to_owned(), Arc::from(hash));
        }
        let Some(decoy) = users.values().next().cloned() else {
            return Err(Fault::new(field, "htpasswd has no users"));
        };
        let realm = with.realm.as_deref().unwrap_or("genkan");
        if realm.contains(['"', '\\']) {
            return Err(Fault::new("with.realm", "it cannot hold quotes"));
        }
        let challenge = HeaderValue::from_str(&format!("Basic realm=\"{realm}\", charset=\"UTF-8\""));
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Ok(Self {
            users,
            decoy,
            challenge: challenge.map_err(|_| Fault::new("with.realm", "it cannot be written as a header"))?,
            forward: with.forward,
            good: Mutex::new(Table::within(MOST_GOOD, &CREDENTIALS)),
            key: key.map_err(|_| Fault::new("with", "there is no randomness"))?,
        })
    }

    /// It waits for a verification only.
    pub(crate) async fn run(
        &self,
        exchange: &mut Exchange<'_>,
        moment: Moment,
        outside: &dyn Outside,
    ) -> Result<(), Stop> {
        let Some(given) = given(exchange) else {
            let text = "name and password are needed";
            return Err(self.refused(reason::PASSWORD_MISSING, text));
        };
        let invalid = || self.refused(reason::PASSWORD_INVALID, "name or password are wrong");
        let credentials = read(&given).ok_or_else(invalid)?;
        let (user, password) = credentials.split_once(':').ok_or_else(invalid)?;
        if password.len() > LONGEST_PASSWORD {
            return Err(invalid());
        }
        let tag: [u8; 32] = hmac::sign(&self.key, credentials.as_bytes())
            .as_ref()
            .try_into()
            .unwrap_or_default();
        let until = self.good.lock().get(&tag).copied();
        if until.is_none_or(|until| moment.elapsed >= until) {
            let hash = self.users.get(user);
            let is_known = hash.is_some();
            let hash = Arc::clone(hash.unwrap_or(&self.decoy));
            let password = Zeroizing::new(password.to_owned());
            let job = Box::new(move || verifies(&hash, &password));
            match outside.blocking(job).await {
                Some(true) if is_known => {}
                Some(_) => return Err(invalid()),
                None => {
                    let text = "there is no room to verify a password";
                    return Err(Stop::error_of(503, reason::TOO_MANY_AT_ONCE, text));
                }
            }
            let is_of_use = |until: &Duration| *until > moment.elapsed;
            let until = moment.elapsed + KEPT;
            self.good.lock().insert_among(tag, until, is_of_use);
        }
        let auth = exchange.auth_mut();
        user.clone_into(&mut auth.user);
        auth.groups.clear();
        auth.claims = Arc::default();
        "basic".clone_into(&mut auth.method);
        if !self.forward {
            exchange.headers_mut().remove(&AUTHORIZATION);
        }
        Ok(())
    }

    fn refused(&self, reason: &'static str, text: &str) -> Stop {
        let answer = PolicyAnswer::refused(401, reason, text);
        answer
            .with_header(WWW_AUTHENTICATE, self.challenge.clone())
            .into()
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Basic(..)")
    }
}

/// What stands behind `Basic`; nothing that could be meant if there are two.
fn given(exchange: &Exchange<'_>) -> Option<Zeroizing<String>> {
    let mut lines = exchange.headers().get_all(AUTHORIZATION).iter();
    let text = lines.next()?.to_str().unwrap_or_default();
    let (scheme, rest) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let is_only = lines.next().is_none();
    Some(Zeroizing::new(if is_only {
        rest.trim().to_owned()
    } else {
        String::new()
    }))
}

fn read(given: &str) -> Option<Zeroizing<String>> {
    let bytes = STANDARD.decode(given).ok()?;
    String::from_utf8(bytes).ok().map(Zeroizing::new)
}

fn is_bcrypt(hash: &str) -> bool {
    ["$2a$", "$2b$", "$2y$"]
        .iter()
        .any(|start| hash.starts_with(start))
}

fn check(hash: &str) -> Result<(), &'static str> {
    if is_bcrypt(hash) {
        let cost: Option<u32> = hash.get(4..6).and_then(|cost| cost.parse().ok());
        return match cost {
            Some(cost) if hash.len() == 60 && cost <= MOST_COST => Ok(()),
            Some(cost) if cost > MOST_COST => Err("the hash costs too much"),
            Some(_) | None => Err("the hash cannot be read"),
        };
    }
    if !hash.starts_with("$argon2id$") {
        return Err("the hash is neither of bcrypt nor of argon2id");
    }
    let parsed = PasswordHash::new(hash).map_err(|_| "the hash cannot be read")?;
    let params = argon2::Params::try_from(&parsed).map_err(|_| "the hash cannot be read")?;
    if params.m_cost() > MOST_MEMORY || params.t_cost() > MOST_PASSES {
        return Err("the hash costs too much");
    }
    Ok(())
}

fn verifies(hash: &str, password: &str) -> bool {
    if is_bcrypt(hash) {
        return bcrypt::non_truncating_verify(password, hash).unwrap_or(false);
    }
    let Ok(parsed) = PasswordHash::new(hash) else {
        return false;
    };
    Argon2::default()
        .verify_password(password.as_bytes(), &parsed)
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_two_kinds_are_taken() {
        let argon2 = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$\
                      QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE";
        let bcrypt = "$2b$04$B20z/HEmMhrit4qnsvop4uvw9oVmVESSL6JtHcfG2q5Wq7/QJTmt.";
        assert_eq!(check(argon2), Ok(()));
        assert_eq!(check(bcrypt), Ok(()));
        assert!(verifies(bcrypt, "opensesame") && !verifies(bcrypt, "other") && !verifies(argon2, "x"));
        for bad in [
            "$apr1$x$y",
            "{SHA}x",
            "plain",
            "$2b$31$B20z/HEmMhrit4qnsvop4uvw9oVmVESSL6JtHcfG2q5Wq7/QJTmt.",
            "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE",
            "$argon2id$",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
