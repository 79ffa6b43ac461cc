//! What backends send, and what of it reaches the client.

use super::{Row, Section, part, shown};
use crate::kit::{Backend, Client, Then as Connection};
use crate::objects::{mk_host, mk_proxy, none};
use crate::process::Process;

#[path = "answers/ends.rs"]
mod ends;
#[path = "answers/heads.rs"]
mod heads;
#[path = "answers/idle.rs"]
mod idle;

const NOTHING: &str = "\0";

struct Attack {
    name: &'static str,
    ask: Ask,
    sent: Sent,
    /// What the backend does behind its answer.
    connection: Connection,
    then: Then,
}

enum Sent {
    Plain(&'static str),
    /// What the page says, and what it means.
    Long(&'static str, fn() -> String),
}

#[derive(Clone, Copy)]
enum Ask {
    Get,
    Head,
    Old,
    Upgrade,
}

enum Then {
    /// The client gets this answer of genkan instead.
    Refused(u16),
    /// The client gets one answer of this code, with the first and without the second, in lower case.
    Passes(u16, &'static str, &'static str),
    /// The client gets as many interim answers, and then one of this code.
    After(usize, u16),
    /// The client gets one answer that ends so.
    EndsWith(&'static str),
    /// The client gets the beginning of the answer, and the connection ends before it is whole.
    BrokenOff,
}

use Then::{After, BrokenOff, EndsWith, Passes, Refused};

const fn answer(name: &'static str, sent: &'static str, connection: Connection, then: Then) -> Attack {
    asked(Ask::Get, name, sent, connection, then)
}

const fn asked(
    ask: Ask,
    name: &'static str,
    sent: &'static str,
    connection: Connection,
    then: Then,
) -> Attack {
    let sent = Sent::Plain(sent);
    Attack {
        name,
        ask,
        sent,
        connection,
        then,
    }
}

const fn long(name: &'static str, words: &'static str, bytes: fn() -> String, then: Then) -> Attack {
    let sent = Sent::Long(words, bytes);
    Attack {
        name,
        ask: Ask::Get,
        sent,
        connection: Connection::Stay,
        then,
    }
}

pub async fn section() -> Section {
    let process = Process::start(&[]).await;
    let attacks = || heads::ATTACKS.iter().chain(ends::ATTACKS).enumerate();
    let (mut resources, mut backends) = (Vec::new(), Vec::new());
    for (index, attack) in attacks() {
        let bytes = attack.sent.bytes().into_bytes().leak();
        let backend = Backend::start(bytes, attack.connection).await;
        let upstream = mk_host(backend.address);
        resources.push(mk_proxy(
            &format!("r{index}"),
            &format!("/proxy/r{index}"),
            upstream,
            none(),
        ));
        backends.push(backend);
    }
    let idle = idle::Backend::start().await;
    resources.push(mk_proxy("idle", idle::PATH, mk_host(idle.address), none()));
    process.operator.publish(resources).await;
    let asked = attacks().map(|(index, attack)| attack.carry_out(&process, index));
    let mut rows = futures::future::join_all(asked).await;
    rows.push(idle.carry_out(&process).await);
    let preface = "A backend cannot answer for another request, nor in two ways. Each is asked twice, so that what \
                   it left behind would show. All speak HTTP/1.1; interim answers of HTTP/2 backends are dropped.";
    Section::new("Answers of backends", preface, rows)
}

// === impl Attack ===

impl Attack {
    async fn carry_out(&self, process: &Process, index: usize) -> Row {
        let mut told = String::new();
        for _ in 0..2 {
            let mut client = Client::connect(process.address).await;
            client.send(self.ask.head(index)).await;
            told = self.judge(&client.rest_of_it().await);
        }
        Row {
            name: self.name,
            sent: self.ask.shown() + &self.sent.shown(),
            answer: told,
        }
    }

    fn judge(&self, got: &str) -> String {
        let what = format!("{}: {got:?}", self.name);
        let lower = got.to_ascii_lowercase();
        let mut codes = lower.split("http/1.1 ").skip(1).map(|answer| &answer[..3]);
        let interim = if let After(count, _) = self.then { count } else { 0 };
        assert!(codes.by_ref().take(interim).all(|code| code == "103"), "{what}");
        let (code, None) = (codes.next().unwrap_or_default(), codes.next()) else {
            panic!("{what}")
        };
        let (before, _) = lower.split_at(lower.rfind("http/1.1 ").unwrap_or_default());
        let frames = [
            "content-length",
            "transfer-encoding",
            "keep-alive",
            "trailer",
            "x-foo",
        ];
        assert!(
            interim == 0 || !frames.iter().any(|name| before.contains(name)),
            "{what}"
        );
        match self.then {
            Refused(expected) => {
                let reason = lower
                    .lines()
                    .find_map(|line| line.strip_prefix("x-genkan-reason: "));
                assert_eq!((code, reason.is_some()), (&*expected.to_string(), true), "{what}");
                let at = got
                    .to_ascii_lowercase()
                    .find("x-genkan-reason: ")
                    .unwrap_or_default();
                let reason = got[at..].lines().next().unwrap_or_default();
                format!("{code} `{}`", reason.split(' ').nth(1).unwrap_or_default())
            }
            Passes(expected, with, without) => {
                assert_eq!(code, expected.to_string(), "{what}");
                assert!(lower.contains(with) && !lower.contains(without), "{what}");
                match (with, without) {
                    ("\r\n\r\n" | "\r\n\r\nok" | "\r\n\r\nno", without) => {
                        format!("{code} without `{without}`")
                    }
                    (with, NOTHING) => format!("{code} with {}", part(with)),
                    (with, without) => {
                        format!("{code} with {}, without `{}`", part(with), without.escape_debug())
                    }
                }
            }
            After(count, expected) => {
                assert_eq!(code, expected.to_string(), "{what}");
                format!("{count} times 103, then {code}")
            }
            EndsWith(end) => {
                assert!(lower.ends_with(end), "{what}");
                if end == "\r\n\r\n" {
                    format!("{code}, and nothing behind its head")
                } else {
                    format!("{code}, which ends with {}", part(end))
                }
            }
            BrokenOff => {
                assert!(
                    !lower.contains("x-genkan-reason") && !lower.ends_with("\r\n0\r\n\r\n"),
                    "{what}"
                );
                format!("{code}, and the connection ends before the body does")
            }
        }
    }
}

// === impl Ask ===

impl Ask {
    fn head(self, index: usize) -> String {
        let line = |method: &str, version: &str| {
            format!("{method} /proxy/r{index} HTTP/{version}\r\nHost: gw.example\r\n")
        };
        match self {
            Self::Get => line("GET", "1.1") + "Connection: close\r\n\r\n",
            Self::Head => line("HEAD", "1.1") + "Connection: close\r\n\r\n",
            Self::Old => line("GET", "1.0") + "\r\n",
            Self::Upgrade => line("GET", "1.1") + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        }
    }

    fn shown(self) -> String {
        match self {
            Self::Get => "",
            Self::Head => "to HEAD: ",
            Self::Old => "to HTTP/1.0: ",
            Self::Upgrade => "to an upgrade: ",
        }
        .to_owned()
    }
}

// === impl Sent ===

impl Sent {
    fn bytes(&self) -> String {
        match self {
            Self::Plain(bytes) => (*bytes).to_owned(),
            Self::Long(_, bytes) => bytes(),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Plain("") => "nothing, and closes".to_owned(),
            Self::Plain(bytes) => shown(bytes.as_bytes()),
            Self::Long(words, _) => (*words).to_owned(),
        }
    }
}
