use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Takes log lines from those who must not wait and writes them one after another.
#[derive(Clone, Debug)]
struct Queue {
    lines: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

enum Message {
    Line(Vec<u8>),
    End,
}

/// Writes what is still waiting when it is dropped.
#[derive(Debug)]
pub struct Guard {
    queue: Queue,
    writer: Option<JoinHandle<()>>,
}

/// One line on its way into the queue.
struct Pending {
    queue: Queue,
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

/// Lines in memory; beyond that they are dropped and counted.
const ROOM: usize = 16 * 1024;
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
    let queue = Queue {
        lines,
        dropped: Arc::default(),
    };
    let dropped = Arc::clone(&queue.dropped);
    let writer = std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || write_all(&received, &dropped))
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
        writer: Some(writer),
    })
}

fn write_all(received: &Receiver<Message>, dropped: &AtomicU64) {
    let mut output = io::BufWriter::with_capacity(64 * 1024, io::stdout());
    while let Ok(message) = received.recv() {
        let mut next = Some(message);
        while let Some(message) = next {
            let Message::Line(line) = message else {
                let _ = output.flush();
                return;
            };
            // A standard output that is closed is nobody's fault here.
            let _ = output.write_all(&line);
            next = received.try_recv().ok();
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(
                output,
                "{{\"level\":\"WARN\",\"message\":\"log lines were dropped\",\"lines\":{lost}}}"
            );
        }
        let _ = output.flush();
    }
}

// === impl Queue ===

impl<'a> MakeWriter<'a> for Queue {
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
        if line.is_empty() {
            return;
        }
        if let Err(TrySendError::Full(_)) = self.queue.lines.try_send(Message::Line(line)) {
            self.queue.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

// === impl Guard ===

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.queue.lines.send(Message::End);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}
