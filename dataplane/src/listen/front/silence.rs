use std::future::poll_fn;
use std::io;
use std::os::fd::RawFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use nix::sys::socket::{Shutdown, shutdown};
use tokio::time::Instant;

use super::deadline::Deadline;

/// How long the backend of a request may say nothing. The engine fixes its own limit before the backend has said whether its
/// answer is one that may be silent.
#[derive(Debug)]
pub(super) struct Silence {
    /// Milliseconds; 0: for ever.
    limit: AtomicU64,
    /// Rises whenever the time starts anew.
    moves: AtomicU64,
    /// The connection to the backend, where that is ended when it is silent.
    backend: AtomicI32,
    /// It was.
    has_ended: AtomicBool,
}

const NO_BACKEND: RawFd = -1;

/// Where a request waits. With HTTP/1 that is a read of the connection of the client: it is quiet while the backend's turn has
/// come. With HTTP/2 it is the request itself, and what is ended is the connection to the backend, if no other request uses it.
#[derive(Debug, Default)]
pub struct Vigil {
    deadline: Deadline,
    /// The moves that were seen last, and when.
    seen: Option<(u64, Instant)>,
}

/// The backend said nothing for too long.
#[derive(Debug, thiserror::Error)]
#[error("the backend sent nothing for too long")]
struct Silent;

tokio::task_local! {
    /// Of the request that this task serves.
    static CURRENT: Arc<Silence>;
}

/// Whether the limit is kept here for the request that this task serves.
pub fn is_watched() -> bool {
    CURRENT.try_with(|_| ()).is_ok()
}

/// From now on the backend may be silent for so long, or for ever.
pub fn allow_silence(limit: Option<Duration>) {
    let millis = limit.map_or(0, |limit| {
        u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1)
    });
    let _ = CURRENT.try_with(|silence| {
        silence.limit.store(millis, Ordering::Relaxed);
        silence.moves.fetch_add(1, Ordering::Relaxed);
    });
}

/// A piece of the request or of its answer has passed.
pub(super) fn moved() {
    let _ = CURRENT.try_with(|silence| silence.moves.fetch_add(1, Ordering::Relaxed));
}

/// The backend is at the other end of this connection, which this request alone uses until it is answered: it is ended when
/// the backend is silent for too long.
pub fn watch_backend(connection: RawFd) {
    let _ = CURRENT.try_with(|silence| {
        silence.backend.store(connection, Ordering::Relaxed);
        silence.moves.fetch_add(1, Ordering::Relaxed);
    });
}

/// What was said by [`watch_backend`] holds no longer.
pub fn leave_backend() {
    let _ = CURRENT.try_with(|silence| silence.backend.store(NO_BACKEND, Ordering::Relaxed));
}

/// Whether a request failed because the backend is silent.
pub fn is_backend_silent(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    inner.is_some_and(|inner| inner.is::<Silent>())
        || CURRENT
            .try_with(|silence| silence.has_ended.load(Ordering::Relaxed))
            .unwrap_or(false)
}

impl Default for Silence {
    fn default() -> Self {
        Self {
            limit: AtomicU64::new(0),
            moves: AtomicU64::new(0),
            backend: AtomicI32::new(NO_BACKEND),
            has_ended: AtomicBool::new(false),
        }
    }
}

// === impl Silence ===

impl Silence {
    /// Drives what serves one request.
    pub(super) async fn watch<T>(self: &Arc<Self>, serving: impl Future<Output = T>) -> T {
        self.limit.store(0, Ordering::Relaxed);
        CURRENT.scope(Arc::clone(self), serving).await
    }

    /// The same, and ends the connection to a backend that is silent for too long: what reads from it fails then.
    pub(super) async fn watch_and_end<T>(self: &Arc<Self>, serving: impl Future<Output = T>) -> T {
        let mut serving = pin!(self.watch(serving));
        let mut vigil = Vigil::default();
        poll_fn(|context| {
            let served = serving.as_mut().poll(context);
            let backend = self.backend.load(Ordering::Relaxed);
            if served.is_pending() && backend != NO_BACKEND && vigil.poll_for(self, context).is_ready() {
                self.has_ended.store(true, Ordering::Relaxed);
                // It may have ended by itself.
                let _ = shutdown(backend, Shutdown::Both);
            }
            served
        })
        .await
    }
}

// === impl Vigil ===

impl Vigil {
    /// The error of a read that would have to wait, once the backend has been silent for too long.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        match CURRENT.try_with(Arc::clone) {
            Ok(silence) => self.poll_for(&silence, context),
            Err(_) => {
                self.seen = None;
                Poll::Pending
            }
        }
    }

    fn poll_for(&mut self, silence: &Silence, context: &mut Context<'_>) -> Poll<io::Error> {
        let limit = silence.limit.load(Ordering::Relaxed);
        let moves = silence.moves.load(Ordering::Relaxed);
        if limit == 0 {
            self.seen = None;
            return Poll::Pending;
        }
        let since = match self.seen {
            Some((seen, since)) if seen == moves => since,
            _ => Instant::now(),
        };
        self.seen = Some((moves, since));
        ready!(self.deadline.poll(since + Duration::from_millis(limit), context));
        // Once: the answer to it may have to read on.
        silence.limit.store(0, Ordering::Relaxed);
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, Silent))
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    async fn waited(vigil: &mut Vigil, most: Duration) -> Option<io::Error> {
        let read = poll_fn(|context| vigil.poll(context));
        tokio::time::timeout(most, read).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_silence_starts_anew_with_every_piece_and_is_lifted_at_will() {
        let mut vigil = Vigil::default();
        assert!(waited(&mut vigil, 10 * LIMIT).await.is_none(), "no request");
        let silence = Arc::<Silence>::default();
        let serving = async {
            assert!(
                waited(&mut vigil, 10 * LIMIT).await.is_none(),
                "nobody was asked yet"
            );
            allow_silence(Some(LIMIT));
            for _ in 0..3 {
                assert!(waited(&mut vigil, LIMIT - Duration::from_secs(1)).await.is_none());
                moved();
            }
            let start = Instant::now();
            let error = waited(&mut vigil, 10 * LIMIT).await.unwrap();
            assert_eq!(start.elapsed(), LIMIT);
            assert!(is_backend_silent(&error));
            assert!(waited(&mut vigil, 10 * LIMIT).await.is_none(), "told once");
            allow_silence(Some(LIMIT));
            assert!(waited(&mut vigil, LIMIT / 2).await.is_none());
            allow_silence(None);
            assert!(
                waited(&mut vigil, 10 * LIMIT).await.is_none(),
                "an answer that may be silent"
            );
        };
        silence.watch(serving).await;
        assert!(!is_watched());
        assert!(!is_backend_silent(&io::Error::from(io::ErrorKind::TimedOut)));
    }

    #[tokio::test]
    async fn the_connection_to_a_silent_backend_is_ended() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let _backend = listener.accept().await.unwrap();
        let serving = async {
            allow_silence(Some(Duration::from_millis(50)));
            let early = tokio::time::timeout(Duration::from_millis(100), stream.read_u8()).await;
            assert!(early.is_err(), "there was none yet");
            watch_backend(stream.as_raw_fd());
            let ended = stream.read_u8().await.unwrap_err();
            assert!(is_backend_silent(&ended));
        };
        Arc::<Silence>::default().watch_and_end(serving).await;
    }
}
