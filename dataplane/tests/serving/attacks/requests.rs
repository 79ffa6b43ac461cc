//! One request of HTTP/1, and what becomes of it.

use super::ledger::Book;
use super::stage::Stage;
use super::{Row, part, shown};
use crate::kit::{Answer, Client};

pub struct Attack {
    name: &'static str,
    sent: Sent,
    then: Then,
}

enum Sent {
    /// A request line, `Host: gw.example`, and this.
    Behind(&'static str, &'static str),
    /// All of it.
    Raw(&'static [u8]),
    /// What the page says, and what it means.
    Long(&'static str, fn() -> String),
}

pub enum Then {
    /// genkan answers with this code, and the backend learns of nothing.
    Refused(u16),
    /// The same, but the head was good: the backend sees a request that is broken off.
    BrokenOff(u16),
    /// genkan answers by itself, and not with an error.
    Answered(u16),
    /// The backend gets one request, with the first and without the second, in lower case; nobody means that there is none.
    Passes(&'static str, &'static str),
    /// The backend gets one request, which ends so.
    EndsWith(&'static str),
    /// The backend gets the first request and nothing of a second one; then the connection ends.
    FirstOnly,
}

pub const NOTHING: &str = "\0";

pub const fn attack(name: &'static str, line: &'static str, rest: &'static str, then: Then) -> Attack {
    let sent = Sent::Behind(line, rest);
    Attack { name, sent, then }
}

pub const fn raw(name: &'static str, bytes: &'static [u8], then: Then) -> Attack {
    let sent = Sent::Raw(bytes);
    Attack { name, sent, then }
}

pub const fn long(name: &'static str, words: &'static str, bytes: fn() -> String, then: Then) -> Attack {
    let sent = Sent::Long(words, bytes);
    Attack { name, sent, then }
}

/// Carries out once more what was refused, with the bytes behind `head` on their way only when the backend has seen it.
pub async fn carry_out_late(attacks: &[Attack], head: &str, stage: &Stage) {
    for attack in attacks {
        let (_, bytes) = attack.sent.write();
        let (Then::Refused(code), Some(rest)) = (&attack.then, bytes.strip_prefix(head.as_bytes())) else {
            continue;
        };
        let before = stage.ledger.book();
        let mut client = stage.client().await;
        client.try_send(head).await;
        stage.ledger.wait(|book| book.begun > before.begun).await;
        client.try_send(rest).await;
        let answer = client
            .answer()
            .await
            .unwrap_or_else(|| panic!("{}: no answer", attack.name));
        let late = Attack {
            name: attack.name,
            sent: Sent::Raw(&[]),
            then: Then::BrokenOff(*code),
        };
        late.judge(&before, stage, &mut client, &answer).await;
    }
}

pub async fn carry_out(attacks: &[Attack], stage: &Stage) -> Vec<Row> {
    let mut rows = Vec::with_capacity(attacks.len());
    for attack in attacks {
        let (sent, bytes) = attack.sent.write();
        let before = stage.ledger.book();
        let mut client = stage.client().await;
        client.try_send(&bytes).await;
        let Some(answer) = client.answer().await else {
            panic!("{}: no answer", attack.name)
        };
        rows.push(Row {
            name: attack.name,
            sent,
            answer: attack.judge(&before, stage, &mut client, &answer).await,
        });
    }
    rows
}

// === impl Attack ===

impl Attack {
    async fn judge(&self, before: &Book, stage: &Stage, client: &mut Client, answer: &Answer) -> String {
        let name = self.name;
        let reason = answer.header("x-genkan-reason");
        let is_last = answer.header("connection") == Some("close");
        if is_last || matches!(self.then, Then::FirstOnly) {
            assert!(client.closes().await, "{name}: more than one answer");
        }
        assert!(is_last || reason != Some("Framing"), "{name}: {answer:?}");
        if let Then::BrokenOff(_) = self.then {
            stage.ledger.settled(before).await;
        }
        let book = stage.ledger.book();
        let new = &book.whole[before.whole.len()..];
        let what = format!("{name}: {} and {new:?}", answer.line);
        let begun = book.begun - before.begun;
        match self.then {
            Then::Refused(code) | Then::BrokenOff(code) => {
                assert_eq!(answer.status, code, "{what}");
                assert!(new.is_empty(), "{what}");
                let reason = reason.unwrap_or_default();
                if let Then::Refused(_) = self.then {
                    assert_eq!(begun, 0, "{what}");
                    return format!("{code} `{reason}`");
                }
                format!("{code} `{reason}`; for the backend it is broken off")
            }
            Then::Answered(code) => {
                assert_eq!((answer.status, begun), (code, 0), "{what}");
                format!("{code} from genkan itself")
            }
            Then::Passes(with, without) => {
                let one = only(new, begun, reason, &what);
                assert!(one.contains(with) && !one.contains(without), "{what}");
                match (with.contains(": "), without) {
                    (true, _) => format!("forwarded with {}", part(with)),
                    (false, NOTHING) => format!("forwarded as `{with}`"),
                    (false, _) => "forwarded without it".to_owned(),
                }
            }
            Then::EndsWith(end) => {
                let one = only(new, begun, reason, &what);
                assert!(one.ends_with(&format!("\r\n\r\n{end}")), "{what}");
                format!("forwarded with the body {}", part(end))
            }
            Then::FirstOnly => {
                only(new, begun, reason, &what);
                "the first is forwarded and answered, nothing of the second; closed".to_owned()
            }
        }
    }
}

/// The one request that the backend got.
fn only<'b>(new: &'b [String], begun: usize, reason: Option<&str>, what: &str) -> &'b str {
    assert_eq!((new.len(), begun, reason), (1, 1, None), "{what}");
    &new[0]
}

// === impl Sent ===

impl Sent {
    fn write(&self) -> (String, Vec<u8>) {
        match self {
            Self::Behind(line, rest) => {
                let bytes = format!("{line}\r\nHost: gw.example\r\n{rest}\r\n").into_bytes();
                (shown(&bytes), bytes)
            }
            Self::Raw(bytes) => (shown(bytes), bytes.to_vec()),
            Self::Long(words, bytes) => ((*words).to_owned(), bytes().into_bytes()),
        }
    }
}
