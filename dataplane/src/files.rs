//! Files that are replaced while the process runs: certificates, keys, and the credential for the API server.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::metrics::Metrics;

/// Something that is made of files, and remade when they change.
pub trait FromFiles: Send + Sync + 'static {
    type Error: Display + Send;

    /// For the log and the label `files` of the metric.
    const NAME: &'static str;

    /// Takes up what changed; true if anything did.
    ///
    /// # Errors
    /// When a file cannot be used; then everything stays as it is.
    fn reload(&self) -> Result<bool, Self::Error>;
}

/// How soon a change is seen. The kubelet takes a minute to bring it.
pub const PERIOD: Duration = Duration::from_secs(5);

/// Looks after the files for ever. Their content is compared, not their times: a mounted Secret is a link that turns.
pub async fn watch<F: FromFiles>(made: Arc<F>, metrics: Arc<Metrics>) {
    let failures = metrics.reload_failures(F::NAME);
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut complaint = None;
    loop {
        ticks.tick().await;
        let reading = Arc::clone(&made);
        let error = match tokio::task::spawn_blocking(move || reading.reload()).await {
            Ok(Ok(is_changed)) => {
                // Also where what was in use all along has been put back.
                if is_changed || complaint.take().is_some() {
                    tracing::info!(files = F::NAME, "changed files are in use");
                }
                continue;
            }
            Ok(Err(error)) => error.to_string(),
            // Whatever it said is in the log, from its own thread.
            Err(_) => "reading them panicked".to_owned(),
        };
        failures.inc();
        // Once for each thing that is wrong, not every few seconds.
        if complaint.as_ref() != Some(&error) {
            tracing::error!(
                files = F::NAME,
                error,
                "changed files cannot be used; what was read before stays in use"
            );
            complaint = Some(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    /// What the next attempts find.
    struct Script(Mutex<Vec<Result<bool, &'static str>>>);

    impl FromFiles for Script {
        type Error = &'static str;
        const NAME: &'static str = "script";

        fn reload(&self) -> Result<bool, &'static str> {
            self.0.lock().pop().unwrap_or(Ok(false))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn files_are_read_again_after_a_failure() {
        let metrics = Arc::new(Metrics::default());
        let script = Arc::new(Script(Mutex::new(vec![Ok(true), Err("half"), Err("half")])));
        let watching = tokio::spawn(watch(Arc::clone(&script), Arc::clone(&metrics)));
        tokio::time::sleep(PERIOD * 4).await;
        assert!(script.0.lock().is_empty());
        assert_eq!(metrics.reload_failures("script").get(), 2);
        watching.abort();
    }
}
