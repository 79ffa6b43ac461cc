use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::ready;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use genkan_routing::strict::{HeadScan, Progress, Refused};
use pingora_core::protocols::Stream;
use pingora_core::server::ShutdownWatch;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::FrontConfig;
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

/// Reads until a head is whole. The deadline of the head begins with its first byte.
pub(super) async fn read(
    stream: &mut Stream,
    wait: Wait,
    config: &FrontConfig,
    shutdown: &ShutdownWatch,
) -> Head {
    let began = Instant::now();
    let Some(mut bytes) = first_bytes(stream, wait, config, shutdown).await else {
        return Head::Gone;
    };
    let from = if wait == Wait::First {
        began
    } else {
        Instant::now()
    };
    let deadline = from + config.head_timeout;
    let mut scan = HeadScan::default();
    loop {
        let preface = wait == Wait::First && PREFACE.starts_with(&bytes[..bytes.len().min(PREFACE.len())]);
        if preface && bytes.len() >= PREFACE.len() {
            return Head::Http2Preface { bytes };
        }
        if !preface {
            match scan.advance(&bytes, &config.limits) {
                Ok(Progress::Complete(end)) => return Head::Whole { bytes, end },
                Ok(Progress::Partial) => {}
                Err(refused) => return Head::Refused { bytes, refused },
            }
        }
        match timeout_at(deadline, chunk(stream)).await {
            Ok(Ok(more)) if !more.is_empty() => bytes.extend_from_slice(&more),
            Ok(_) => return Head::Gone,
            Err(_) => {
                let refused = Refused::timeout(config.head_timeout.as_secs());
                return Head::Refused { bytes, refused };
            }
        }
    }
}

/// Waits for the first bytes without holding any memory for them.
///
/// Connections that are kept end soon after draining has begun; new ones are served until the listeners
/// have closed, because clients may still be sent here.
async fn first_bytes(
    stream: &mut Stream,
    wait: Wait,
    config: &FrontConfig,
    shutdown: &ShutdownWatch,
) -> Option<BytesMut> {
    let (patience, mut ending) = match wait {
        Wait::First => (config.head_timeout, shutdown.clone()),
        Wait::Next(patience) => (patience, config.draining.clone()),
    };
    let mut deadline = Instant::now() + patience;
    let mut told = false;
    let mut lead = Lead::default();
    loop {
        tokio::select! {
            biased;
            bytes = chunk(stream) => {
                let bytes = bytes.ok().filter(|bytes| !bytes.is_empty())?;
                if let Some(bytes) = lead.pass(bytes) {
                    return Some(bytes);
                }
            }
            () = sleep_until(deadline) => return None,
            Ok(_) = ending.wait_for(|ending| *ending), if !told => {
                told = true;
                deadline = deadline.min(Instant::now() + config.drain_idle);
            }
        }
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
async fn chunk(stream: &mut Stream) -> io::Result<BytesMut> {
    std::future::poll_fn(|context| {
        let mut space = [const { MaybeUninit::<u8>::uninit() }; CHUNK];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer))?;
        std::task::Poll::Ready(Ok(BytesMut::from(buffer.filled())))
    })
    .await
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
