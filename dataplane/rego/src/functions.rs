//! What policies may call beside what the engine brings.

use std::time::{SystemTime, UNIX_EPOCH};

use regorus::{Engine, Value};
use ring::hmac;

pub(crate) fn add(engine: &mut Engine) -> anyhow::Result<()> {
    for (name, algorithm) in [
        ("crypto.hmac.sha1", hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        ("crypto.hmac.sha256", hmac::HMAC_SHA256),
        ("crypto.hmac.sha512", hmac::HMAC_SHA512),
    ] {
        engine.add_extension(
            name.to_owned(),
            2,
            Box::new(move |values: Vec<Value>| sign(algorithm, &values)),
        )?;
    }
    engine.add_extension("time.now_ns".to_owned(), 0, Box::new(|_: Vec<Value>| Ok(now())))
}

/// In hexadecimal digits, as OPA writes it.
fn sign(algorithm: hmac::Algorithm, values: &[Value]) -> anyhow::Result<Value> {
    let [message, key] = values else {
        anyhow::bail!("a message and a key are wanted");
    };
    let key = hmac::Key::new(algorithm, key.as_string()?.as_bytes());
    let tag = hmac::sign(&key, message.as_string()?.as_bytes());
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(digits.into())
}

fn now() -> Value {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).into()
}
