//! The same in HTTP/2, frame by frame.

use super::stage::Stage;
use super::{Row, Section, part, quoted};
use genkan_kit::http2::{Outcome, RawHttp2};

struct Attack {
    name: &'static str,
    fields: &'static [Field],
    /// Each in a frame of its own.
    body: &'static [&'static str],
    trailers: &'static [Field],
    then: Then,
}

type Field = (&'static str, &'static str);

enum Then {
    /// The stream is reset or answered so, and the backend learns of nothing.
    Ends(Outcome),
    /// The same, but the head was good: the backend sees a request that is broken off.
    BrokenOff,
    /// The backend gets one request, with the first and without the second, in lower case.
    Passes(&'static str, &'static str),
}

use Then::{BrokenOff, Ends, Passes};
use rows::ATTACKS;

#[path = "http2/rows.rs"]
mod rows;

const fn stream(name: &'static str, fields: &'static [Field], then: Then) -> Attack {
    with_body(name, fields, &[], then)
}

const fn with_body(
    name: &'static str,
    fields: &'static [Field],
    body: &'static [&'static str],
    then: Then,
) -> Attack {
    Attack {
        name,
        fields,
        body,
        trailers: &[],
        then,
    }
}

pub async fn section(stage: &Stage) -> Section {
    let preface = "What HTTP/2 can say differently. Its own layer resets a stream that cannot be framed.";
    let mut rows = Vec::with_capacity(ATTACKS.len());
    for attack in ATTACKS {
        rows.push(attack.carry_out(stage).await);
    }
    Section::new("HTTP/2", preface, rows)
}

// === impl Attack ===

impl Attack {
    async fn carry_out(&self, stage: &Stage) -> Row {
        let name = self.name;
        let before = stage.ledger.book();
        let mut client = RawHttp2::connect(stage.process.address).await;
        let fields = bytes(self.fields);
        let stream = if self.body.is_empty() {
            client.request(&fields).await
        } else {
            client.begin(&fields).await
        };
        if let BrokenOff = self.then {
            // A body that is wrong from the start would end the stream before it is seen.
            stage.ledger.wait(|book| book.begun > before.begun).await;
        }
        for (index, piece) in self.body.iter().enumerate() {
            let is_last = index + 1 == self.body.len() && self.trailers.is_empty();
            client.data(stream, piece.as_bytes(), is_last).await;
        }
        if !self.trailers.is_empty() {
            client.trailers(stream, &bytes(self.trailers)).await;
        }
        let outcome = client.outcome(stream).await;
        if let BrokenOff = self.then {
            stage.ledger.settled(&before).await;
        }
        let book = stage.ledger.book();
        let new = &book.whole[before.whole.len()..];
        let what = format!("{name}: {outcome:?} and {new:?}");
        let answer = match self.then {
            Ends(expected) => {
                assert_eq!((outcome, book.begun - before.begun), (expected, 0), "{what}");
                told(outcome)
            }
            BrokenOff => {
                assert!(
                    new.is_empty() && !matches!(outcome, Outcome::Status(200)),
                    "{what}"
                );
                format!("{}; for the backend it is broken off", told(outcome))
            }
            Passes(with, without) => {
                assert_eq!((outcome, new.len()), (Outcome::Status(200), 1), "{what}");
                assert!(new[0].contains(with) && !new[0].contains(without), "{what}");
                format!("forwarded with {}", part(with))
            }
        };
        Row {
            name,
            sent: self.shown(),
            answer,
        }
    }

    fn shown(&self) -> String {
        let field = |(name, value): &Field| quoted(&format!("{name}: {value}"));
        let mut parts: Vec<_> = self.fields.iter().map(field).collect();
        parts.extend(self.body.iter().map(|piece| quoted(piece)));
        parts.extend(self.trailers.iter().map(field));
        parts.join(" ")
    }
}

fn told(outcome: Outcome) -> String {
    match outcome {
        Outcome::Status(code) => code.to_string(),
        Outcome::Reset => "the stream is reset".to_owned(),
        Outcome::GoAway | Outcome::Closed => "the connection is closed".to_owned(),
    }
}

fn bytes(fields: &'static [Field]) -> Vec<(&'static str, &'static [u8])> {
    let field = |(name, value): &(&'static str, &'static str)| (*name, value.as_bytes());
    fields.iter().map(field).collect()
}
