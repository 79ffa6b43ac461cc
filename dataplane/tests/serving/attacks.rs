//! Spoofing, path confusion, framing and the answers of backends, byte for byte, each with what becomes of it.
//! `docs/attacks.md` is written from here.

use std::fmt::Write as _;

#[path = "attacks/answers.rs"]
mod answers;
#[path = "attacks/bodies.rs"]
mod bodies;
#[path = "attacks/connection.rs"]
mod connection;
#[path = "attacks/framing.rs"]
mod framing;
#[path = "attacks/http2.rs"]
mod http2;
#[path = "attacks/ledger.rs"]
pub mod ledger;
#[path = "attacks/limits.rs"]
mod limits;
#[path = "attacks/lines.rs"]
mod lines;
#[path = "attacks/paths.rs"]
mod paths;
#[path = "attacks/requests.rs"]
mod requests;
#[path = "attacks/sequences.rs"]
mod sequences;
#[path = "attacks/spoofing.rs"]
mod spoofing;
#[path = "attacks/stage.rs"]
mod stage;
#[path = "attacks/targets.rs"]
mod targets;
#[path = "attacks/threats.rs"]
mod threats;
#[path = "attacks/tools.rs"]
mod tools;

use stage::Stage;

/// One line of the page: what it is, what was sent, what became of it.
struct Row {
    name: &'static str,
    sent: String,
    answer: String,
}

/// A part of the page.
struct Section {
    title: &'static str,
    preface: &'static str,
    rows: Vec<Row>,
}

/// Bytes as the page shows them: each line by itself, what cannot be seen escaped, no empty lines at the end.
fn shown(bytes: &[u8]) -> String {
    let text: String = bytes
        .utf8_chunks()
        .flat_map(|chunk| {
            [
                chunk.valid().to_owned(),
                chunk.invalid().escape_ascii().to_string(),
            ]
        })
        .collect();
    let lines = text.trim_end_matches("\r\n").split("\r\n");
    let shown = lines.map(|line| quoted(if line.is_empty() { "\r\n" } else { line }));
    shown.collect::<Vec<_>>().join(" ")
}

/// The same of a part, without the line ends around it.
fn part(text: &str) -> String {
    shown(text.trim_matches(['\r', '\n']).as_bytes())
}

fn quoted(line: &str) -> String {
    let escape = |letter: char| match letter {
        '|' => "\\|".to_owned(),
        letter if letter.is_control() => letter.escape_debug().to_string(),
        letter => letter.to_string(),
    };
    let quote = if line.contains('`') { "``" } else { "`" };
    format!("{quote}{}{quote}", line.chars().map(escape).collect::<String>())
}

// === impl Section ===

impl Section {
    fn new(title: &'static str, preface: &'static str, rows: Vec<Row>) -> Self {
        Self { title, preface, rows }
    }

    fn write(&self, page: &mut String, columns: [&str; 3]) {
        let [name, sent, answer] = columns;
        let _ = write!(
            page,
            "\n## {}\n\n{}\n\n| {name} | {sent} | {answer} |\n| --- | --- | --- |\n",
            self.title, self.preface
        );
        for row in &self.rows {
            let _ = writeln!(page, "| {} | {} | {} |", row.name, row.sent, row.answer);
        }
    }
}

const BEGINNING: &str = "# Attacks

What genkan answers to requests and answers that want to be somebody else, to be read in two ways, or to end in two places.
Each row but those of the last part is a test on raw sockets, and the last column is what the test has seen; `make golden` writes this page anew.
Each line stands by itself, without its CR LF; an empty one is shown as `\\r\\n`, but for those at the end.
`/proxy/known/*` tells its backend who calls, and has a `headerUp` that sets `X-Remote-User` to `root`; `/proxy/strip*` has \
`stripPathPrefix: /proxy/strip`; `/proxy/erasing/*` has a `headerUp` that takes `X-Forwarded-*` off, and would take `CDN-Loop` off; \
`/proxy/*` has nothing. Everybody may everything but subresources of an APIService.
";

#[tokio::test]
async fn every_attack_has_the_answer_that_the_page_says() {
    let stage = Stage::set().await;
    let mut page = BEGINNING.to_owned();
    let sections = [
        spoofing::section(&stage).await,
        connection::section(&stage).await,
        paths::section(&stage).await,
        targets::section(&stage).await,
        framing::section(&stage).await,
        lines::section(&stage).await,
        bodies::section(&stage).await,
        limits::section(&stage).await,
        sequences::section(&stage).await,
        tools::section(&stage).await,
        http2::section(&stage).await,
    ];
    for section in &sections {
        section.write(&mut page, ["attack", "sent", "answer"]);
    }
    answers::section()
        .await
        .write(&mut page, ["attack", "the backend sends", "the client gets"]);
    threats::section().write(&mut page, ["threat", "rule", "proved by"]);
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/attacks.md");
    if std::env::var_os("GENKAN_REWRITE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/attacks.md has changed; GENKAN_REWRITE=1 rewrites it:\n{page}"
    );
}
