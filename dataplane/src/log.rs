use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Takes log lines from those who must not wait; a thread writes them one after another.
#[derive(Clone, Debug)]
pub struct Lines {
    lines: SyncSender<Message>,
    /// For `/metrics`.
    dropped: Counter,
}

enum Message {
    Line(Vec<u8>),
    End,
}

/// Writes what is still waiting when it is dropped.
#[derive(Debug)]
pub struct Guard {
    queue: Lines,
    is_over: Arc<AtomicBool>,
    /// Hears of the end of the writer.
    ended: Receiver<()>,
}

/// One line on its way into the queue.
#[derive(Debug)]
pub struct Pending {
    queue: Lines,
    line: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("--log {filter} cannot be used: {source}")]
    Filter {
        filter: String,
        source: tracing_subscriber::filter::ParseError,
    },
    #[error("the log cannot be started: {0}")]
    Start(String),
}

/// The thread that writes.
struct Writer {
    received: Receiver<Message>,
    dropped: Counter,
    is_over: Arc<AtomicBool>,
    /// Nothing is ever sent: its end is the news.
    _ended: SyncSender<()>,
}

/// A line waits so long at most before it is written.
const GATHER: Duration = Duration::from_millis(5);
/// Lines in memory; beyond that they are dropped and counted.
const ROOM: usize = 16 * 1024;
/// At the end nobody waits longer for a standard output that takes nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// The engine reports every broken client as an error; the access lines say it better.
const ENGINE: &str = "pingora_core=off,pingora_proxy=off,pingora_core::services=error";

/// Sends everything that is logged to standard output, as JSON lines.
///
/// # Errors
/// When the filter makes no sense, or there is a log already.
pub fn start(filter: &str) -> Result<Guard, LogError> {
    let wanted = EnvFilter::try_new(format!("{ENGINE},{filter}")).map_err(|source| LogError::Filter {
        filter: filter.to_owned(),
        source,
    })?;
    let (lines, received) = sync_channel(ROOM);
    let queue = Lines {
        lines,
        dropped: Counter::default(),
    };
    let is_over = Arc::<AtomicBool>::default();
    let (end, ended) = sync_channel(0);
    let writer = Writer {
        received,
        dropped: queue.dropped.clone(),
        is_over: Arc::clone(&is_over),
        _ended: end,
    };
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || writer.run(&mut io::BufWriter::with_capacity(64 * 1024, io::stdout())))
        .map_err(|error| LogError::Start(error.to_string()))?;
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(wanted);
    let subscriber = subscriber
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(queue.clone());
    subscriber
        .try_init()
        .map_err(|error| LogError::Start(error.to_string()))?;
    Ok(Guard {
        queue,
        is_over,
        ended,
    })
}

// === impl Writer ===

impl Writer {
    #[allow(
        clippy::disallowed_methods,
        reason = "a thread of its own, which waits for nothing but company"
    )]
    fn run(&self, output: &mut impl Write) {
        let mut told = 0;
        while let Ok(message) = self.received.recv() {
            self.write(Some(message), output, &mut told);
            // What is logged meanwhile is written together, and wakes nobody.
            std::thread::sleep(GATHER);
            if self.is_over.load(Ordering::Acquire) {
                self.write(None, output, &mut told);
                return;
            }
        }
    }

    /// Everything that is there.
    fn write(&self, first: Option<Message>, output: &mut impl Write, told: &mut u64) {
        let mut next = first.or_else(|| self.received.try_recv().ok());
        while let Some(message) = next {
            // A standard output that is closed is nobody's fault here.
            if let Message::Line(line) = message {
                let _ = output.write_all(&line);
            }
            next = self.received.try_recv().ok();
        }
        let dropped = self.dropped.get();
        if dropped > *told {
            let lost = dropped - *told;
            let _ = writeln!(
                output,
                "{{\"level\":\"WARN\",\"message\":\"log lines were dropped\",\"lines\":{lost}}}"
            );
            *told = dropped;
        }
        let _ = output.flush();
    }
}

// === impl Lines ===

impl Lines {
    /// A line with its end. One that finds no room is dropped and counted.
    pub fn send(&self, line: Vec<u8>) {
        if let Err(TrySendError::Full(_)) = self.lines.try_send(Message::Line(line)) {
            self.dropped.inc();
        }
    }

    /// Lines that were lost, from the start on.
    pub fn dropped(&self) -> Counter {
        self.dropped.clone()
    }

    #[cfg(test)]
    pub(crate) fn for_tests() -> (Self, Receiver<Vec<u8>>) {
        let (lines, received) = sync_channel(ROOM);
        let (forward, written) = sync_channel(ROOM);
        std::thread::spawn(move || {
            while let Ok(Message::Line(line)) = received.recv() {
                let _ = forward.send(line);
            }
        });
        let dropped = Counter::default();
        (Self { lines, dropped }, written)
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Pending;

    fn make_writer(&'a self) -> Pending {
        Pending {
            queue: self.clone(),
            line: Vec::with_capacity(512),
        }
    }
}

// === impl Pending ===

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.queue.send(line);
        }
    }
}

// === impl Guard ===

impl Guard {
    /// Where lines go that come without an event.
    pub fn lines(&self) -> Lines {
        self.queue.clone()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        // Only wakes a writer that waits: one that has no room for this has enough to do to come by.
        let _ = self.queue.lines.try_send(Message::End);
        let _ = self.ended.recv_timeout(PATIENCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_log(room: usize) -> (Guard, Writer) {
        let (lines, received) = sync_channel(room);
        let (end, ended) = sync_channel(0);
        let (dropped, is_over) = (Counter::default(), Arc::<AtomicBool>::default());
        let writer = Writer {
            received,
            dropped: dropped.clone(),
            is_over: Arc::clone(&is_over),
            _ended: end,
        };
        let queue = Lines { lines, dropped };
        (
            Guard {
                queue,
                is_over,
                ended,
            },
            writer,
        )
    }

    #[test]
    fn lines_without_room_are_counted_and_told_of() {
        let (guard, writer) = mk_log(2);
        for line in 0..5 {
            writeln!(guard.queue.make_writer(), "{line}").unwrap();
        }
        assert_eq!(guard.lines().dropped().get(), 3);
        let writing = std::thread::spawn(move || {
            let mut output = Vec::new();
            writer.run(&mut output);
            String::from_utf8(output).unwrap()
        });
        drop(guard);
        let written = writing.join().unwrap();
        assert!(written.starts_with("0\n1\n"), "{written}");
        assert!(written.contains("\"lines\":3"), "{written}");
    }

    #[test]
    fn end_does_not_wait_for_ever() {
        let (guard, writer) = mk_log(1);
        writeln!(guard.queue.make_writer(), "stalled").unwrap();
        drop(guard);
        drop(writer);
    }
}
