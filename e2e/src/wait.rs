//! Waiting for a condition, never for a time.

use std::future::Future;
use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::time::{Instant, sleep};

/// An error that waiting longer would not mend.
#[derive(Debug)]
pub struct Final(pub String);

impl std::fmt::Display for Final {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Final {}

/// Polls `check` until it gives a value. The error names what did not happen and the last error of the check;
/// a [`Final`] one ends the waiting at once.
pub async fn until<T, F, Fut>(what: &str, limit: Duration, mut check: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let end = Instant::now() + limit;
    let mut pause = Duration::from_millis(5);
    let mut last = None;
    loop {
        match tokio::time::timeout_at(end + Duration::from_secs(1), check()).await {
            Ok(Ok(Some(value))) => return Ok(value),
            Ok(Ok(None)) => last = None,
            Ok(Err(error)) if error.is::<Final>() => return Err(error.context(what.to_owned())),
            Ok(Err(error)) => last = Some(error),
            Err(_) => {}
        }
        if Instant::now() >= end {
            let why = last.map(|error| format!(": {error:#}")).unwrap_or_default();
            return Err(anyhow!("not within {limit:?}: {what}{why}"));
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// As [`until`], for a check that is only true or false.
pub async fn until_true<F, Fut>(what: &str, limit: Duration, mut check: F) -> Result<()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<bool>>,
{
    until(what, limit, || {
        let check = check();
        async move { Ok(check.await?.then_some(())) }
    })
    .await
}
