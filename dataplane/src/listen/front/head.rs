use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use genkan_routing::strict::{HeadScan, Refused, Scanned};
use pingora_core::protocols::Stream;
use pingora_core::server::ShutdownWatch;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, timeout_at};

use super::FrontConfig;
use super::deadline::Deadline;
use super::http2::PREFACE;

/// One read; heads that are longer take several.
const CHUNK: usize = 4096;

/// What became of waiting for a head.
pub(super) enum Head {
    /// `bytes[..end]` is a head, the rest arrived behind it.
    Whole { bytes: BytesMut, end: usize },
    /// The client speaks HTTP/2 with prior knowledge.
    Http2Preface { bytes: BytesMut },
    /// There will be no head worth judging.
    Refused { bytes: BytesMut, refused: Refused },
    /// The connection is closed, or has to be, and nobody waits for an answer.
    Gone,
}

/// Which head of the connection is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    First,
    /// For so long.
    Next(Duration),
}

/// What a connection waits with for its requests, set up once for all of them.
pub(super) struct Patience {
    deadline: Deadline,
    watch: ShutdownWatch,
    /// Resolves once the connection is not to wait for long any more.
    ending: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Whom `ending` wakes.
    waker: Option<Waker>,
    is_ending: bool,
}

/// Reads until a head is whole. The deadline of the head begins with its first byte.
pub(super) async fn read(
    stream: &mut Stream,
    wait: Wait,
    patience: &mut Patience,
    config: &FrontConfig,
) -> Head {
    let (until, mut deadline) = match wait {
        Wait::First => {
            let deadline = Instant::now() + config.head_timeout;
            (deadline, Some(deadline))
        }
        Wait::Next(limit) => (Instant::now() + limit, None),
    };
    let Some(mut bytes) = patience.first_bytes(stream, until, config.drain_idle).await else {
        return Head::Gone;
    };
    let mut scan = HeadScan::default();
    loop {
        let preface = wait == Wait::First && PREFACE.starts_with(&bytes[..bytes.len().min(PREFACE.len())]);
        if preface && bytes.len() >= PREFACE.len() {
            return Head::Http2Preface { bytes };
        }
        if !preface {
            match scan.advance(&bytes, &config.limits) {
                Ok(Scanned::Complete(end)) => return Head::Whole { bytes, end },
                Ok(Scanned::Partial) => {}
                Err(refused) => return Head::Refused { bytes, refused },
            }
        }
        let end = *deadline.get_or_insert_with(|| Instant::now() + config.head_timeout);
        match timeout_at(end, chunk(stream)).await {
            Ok(Ok(more)) if !more.is_empty() => bytes.extend_from_slice(&more),
            Ok(_) => return Head::Gone,
            Err(_) => {
                let refused = Refused::timeout(config.head_timeout.as_secs());
                return Head::Refused { bytes, refused };
            }
        }
    }
}

// === impl Patience ===

impl Patience {
    /// New connections are served until the listeners have closed, which `shutdown` tells, because clients may still be
    /// sent here. Those that are kept end soon after draining has begun.
    pub(super) fn new(shutdown: &ShutdownWatch) -> Self {
        Self {
            deadline: Deadline::default(),
            watch: shutdown.clone(),
            ending: Box::pin(told(shutdown.clone())),
            waker: None,
            is_ending: false,
        }
    }

    /// The first request has come; from now on `draining` counts.
    pub(super) fn keep(&mut self, draining: &ShutdownWatch) {
        self.watch = draining.clone();
        self.ending = Box::pin(told(draining.clone()));
        self.waker = None;
        self.is_ending = false;
    }

    /// To look costs less than to wait: whoever is going to be woken waits already.
    fn poll_ending(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let is_waiting = self
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(context.waker()));
        if is_waiting && !*self.watch.borrow() {
            return Poll::Pending;
        }
        self.waker = Some(context.waker().clone());
        self.ending.as_mut().poll(context)
    }

    /// Waits for the first bytes without holding any memory for them.
    async fn first_bytes(
        &mut self,
        stream: &mut Stream,
        mut until: Instant,
        drain_idle: Duration,
    ) -> Option<BytesMut> {
        if self.is_ending {
            until = until.min(Instant::now() + drain_idle);
        }
        let mut lead = Lead::default();
        std::future::poll_fn(|context| {
            loop {
                if let Poll::Ready(bytes) = poll_chunk(stream, context) {
                    let Some(bytes) = bytes.ok().filter(|bytes| !bytes.is_empty()) else {
                        return Poll::Ready(None);
                    };
                    if let Some(bytes) = lead.pass(bytes) {
                        return Poll::Ready(Some(bytes));
                    }
                    continue;
                }
                if self.deadline.poll(until, context).is_ready() {
                    return Poll::Ready(None);
                }
                if self.is_ending || self.poll_ending(context).is_pending() {
                    return Poll::Pending;
                }
                self.is_ending = true;
                until = until.min(Instant::now() + drain_idle);
            }
        })
        .await
    }
}

/// Resolves when it is true; never, if nobody is left to say so.
async fn told(mut ending: ShutdownWatch) {
    if ending.wait_for(|ending| *ending).await.is_err() {
        std::future::pending().await
    }
}

/// One empty line in front of a request, which some clients send behind the body of the one before (RFC 9112, 2.2).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Lead {
    #[default]
    Nothing,
    /// Its first half.
    Return,
    Line,
}

// === impl Lead ===

impl Lead {
    /// What is left of the first bytes, once there is something left.
    fn pass(&mut self, mut bytes: BytesMut) -> Option<BytesMut> {
        if *self == Self::Nothing && bytes.first() == Some(&b'\r') {
            bytes.advance(1);
            *self = Self::Return;
        }
        if *self == Self::Return && !bytes.is_empty() {
            if bytes[0] != b'\n' {
                return Some([b"\r", &bytes[..]].concat().as_slice().into());
            }
            bytes.advance(1);
            *self = Self::Line;
        }
        (!bytes.is_empty()).then_some(bytes)
    }
}

/// One read into memory that exists only while bytes are there.
fn poll_chunk(stream: &mut Stream, context: &mut Context<'_>) -> Poll<io::Result<BytesMut>> {
    let mut space = [const { MaybeUninit::<u8>::uninit() }; CHUNK];
    let mut buffer = ReadBuf::uninit(&mut space);
    ready!(Pin::new(stream).poll_read(context, &mut buffer))?;
    Poll::Ready(Ok(BytesMut::from(buffer.filled())))
}

async fn chunk(stream: &mut Stream) -> io::Result<BytesMut> {
    std::future::poll_fn(|context| poll_chunk(stream, context)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_empty_line_is_passed_over_however_it_is_cut() {
        for (pieces, expected) in [
            (&["GET"][..], Some("GET")),
            (&["\r\n"], None),
            (&["\r\nGET"], Some("GET")),
            (&["\r", "\n", "GET"], Some("GET")),
            (&["\r", "\nGET"], Some("GET")),
            (&["\r\n", "\r\nGET"], Some("\r\nGET")),
            (&["\rGET"], Some("\rGET")),
            (&["\r", "\rGET"], Some("\r\rGET")),
            (&["\nGET"], Some("\nGET")),
        ] {
            let mut lead = Lead::default();
            let left = pieces.iter().find_map(|piece| lead.pass(piece.as_bytes().into()));
            assert_eq!(left.as_deref(), expected.map(str::as_bytes), "{pieces:?}");
        }
    }
}
