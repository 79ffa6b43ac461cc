//! More than one request, and bytes of another protocol: what is said when.

use super::requests::Then::FirstOnly;
use super::requests::{Attack, carry_out, long, raw};
use super::stage::Stage;
use super::{Row, Section, shown};

pub async fn section(stage: &Stage) -> Section {
    let preface = "A second request that is hidden behind, in or before a first one never reaches a backend.";
    let mut rows = carry_out(ATTACKS, stage).await;
    for step in STEPS {
        rows.push(step.take(stage).await);
    }
    Section::new("One behind the other", preface, rows)
}

const ATTACKS: &[Attack] = &[
    raw(
        "two requests at once",
        b"GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\n\
          \r\n\
          GET /proxy/known/admin HTTP/1.1\r\nHost: gw.example\r\n\r\n",
        FirstOnly,
    ),
    raw(
        "a second one behind a length",
        b"POST /proxy/x HTTP/1.1\r\nHost: gw.example\r\n\
          Content-Length: 3\r\n\r\nabc\
          GET /proxy/known/admin HTTP/1.1\r\nHost: gw.example\r\n\r\n",
        FirstOnly,
    ),
    raw(
        "a second one behind the last chunk",
        b"POST /proxy/x HTTP/1.1\r\nHost: gw.example\r\n\
          Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
          GET /proxy/known/admin HTTP/1.1\r\nHost: gw.example\r\n\r\n",
        FirstOnly,
    ),
    raw(
        "a second one that is bad",
        b"GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\n\
          \r\n\
          GET /proxy/known/admin HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        FirstOnly,
    ),
    long(
        "bytes behind the empty line",
        "`GET /proxy/x HTTP/1.1` `Host: gw.example` and two empty lines",
        || "GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\n\r\n\r\n".to_owned(),
        FirstOnly,
    ),
    raw(
        "bytes behind an upgrade that is none",
        b"GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\n\
          Connection: Upgrade\r\nUpgrade: h2c\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        FirstOnly,
    ),
];

/// Something that is said before, and something that is said once the backend has got that.
struct Step {
    name: &'static str,
    first: &'static str,
    /// `None`: it is said at once, in one piece.
    later: Option<&'static str>,
    code: u16,
    /// What reaches the backend of the bytes behind the first head.
    tunnelled: &'static str,
    becomes: &'static str,
}

const SECOND: &str = "GET /proxy/known/admin HTTP/1.1\r\nHost: gw.example\r\n\r\n";

const STEPS: &[Step] = &[
    Step {
        name: "a second request before the first is answered",
        first: "GET /proxy/silent HTTP/1.1\r\nHost: gw.example\r\n\r\n",
        later: Some(SECOND),
        code: 400,
        tunnelled: "",
        becomes: "400; nothing of the second is forwarded; closed",
    },
    Step {
        name: "bytes of the other protocol behind the request for it",
        first: "GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly",
        later: None,
        code: 101,
        tunnelled: "early",
        becomes: "101; the bytes are forwarded after it",
    },
    Step {
        name: "the same, where they are a request and the backend refuses",
        first: "GET /proxy/refused HTTP/1.1\r\nHost: gw.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\
                GET /proxy/known/admin HTTP/1.1\r\nHost: gw.example\r\n\r\n",
        later: None,
        code: 403,
        tunnelled: "",
        becomes: "403 of the backend; nothing behind the request is forwarded; closed",
    },
    Step {
        name: "bytes of the other protocol before the backend has agreed",
        first: "GET /proxy/silent HTTP/1.1\r\nHost: gw.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        later: Some(SECOND),
        code: 400,
        tunnelled: "",
        becomes: "400; nothing of them is forwarded; closed",
    },
];

// === impl Step ===

impl Step {
    async fn take(&self, stage: &Stage) -> Row {
        let before = stage.ledger.book();
        let mut client = stage.client().await;
        client.send(self.first).await;
        let wanted = before.whole.len() + 1;
        stage.ledger.wait(|book| book.whole.len() == wanted).await;
        if let Some(later) = self.later {
            client.send(later).await;
        }
        let Some(answer) = client.answer().await else {
            panic!("{}: no answer", self.name)
        };
        assert_eq!(answer.status, self.code, "{}: {answer:?}", self.name);
        match self.code {
            101 => {
                let wanted = before.tunnelled.len() + self.tunnelled.len();
                stage.ledger.wait(|book| book.tunnelled.len() >= wanted).await;
            }
            _ => assert!(client.closes().await, "{}: more than one answer", self.name),
        }
        let book = stage.ledger.book();
        assert_eq!(book.begun, before.begun + 1, "{}: {book:?}", self.name);
        assert_eq!(&book.tunnelled[before.tunnelled.len()..], self.tunnelled);
        let later = self
            .later
            .map(|later| format!(" then {}", shown(later.as_bytes())));
        Row {
            name: self.name,
            sent: shown(self.first.as_bytes()) + &later.unwrap_or_default(),
            answer: self.becomes.to_owned(),
        }
    }
}
