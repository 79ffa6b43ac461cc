use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// What a step may have to wait for.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Work that is too long for the threads that serve requests.
pub type Job = Box<dyn FnOnce() -> bool + Send>;

/// What plans need and do not have themselves.
pub trait Outside: Send + Sync {
    /// Since 1970.
    fn now(&self) -> Duration;

    /// Since any moment; it never goes back.
    fn elapsed(&self) -> Duration;

    /// The text of a set of keys. `max_age`: how old it may be; `None` takes what was fetched last.
    fn fetch_keys<'a>(
        &'a self,
        url: &'a str,
        max_age: Option<Duration>,
    ) -> Waiting<'a, Result<Arc<[u8]>, Unreachable>>;

    /// Ends after this time.
    fn pause(&self, length: Duration) -> Waiting<'_, ()>;

    /// Runs it elsewhere. `None`: there is no room for it.
    fn blocking(&self, job: Job) -> Waiting<'_, Option<bool>>;
}

/// Why something outside gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// It was silent for too long.
    pub is_timeout: bool,
    /// For the log only.
    pub detail: String,
}
