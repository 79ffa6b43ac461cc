//! How many instructions a KiB of an answer costs whose links are moved, beside the parser alone, and how much memory an answer
//! of 1 GiB takes; prints a table.
//!
//! Valgrind counts what this very program executes in user space; the difference between a short and a long run is that of
//! the text. Memory is the largest that the process ever had, with all of the program in it.

#![allow(clippy::expect_used, reason = "a bench that cannot go on must stop")]

use std::process::Command;

use genkan_dataplane::rewriting::{LinkRewriter, OwnPrefix};
use genkan_routing::directives::{BodyRule, RewriteLinks};
use genkan_routing::links::PublicPrefix;
use genkan_routing::{DirectiveSpec, Directives, Scheme};
use lol_html::{HtmlRewriter, Settings};
use pingora_http::ResponseHeader;

const PIECE: usize = 16 << 10;
/// Pieces of the two runs.
const RUNS: [usize; 2] = [8, 72];
const CHILD: &str = "GENKAN_LINKS_BENCH";
/// Of 16 MiB, and of 1 GiB.
const MEASURED: [usize; 2] = [1 << 10, 1 << 16];

const PAGE: &str = "<tr class=\"row\"><td><a href=\"/items/1?sort=name&amp;page=2\" title=\"an item\">item</a></td><td><img \
    src=\"/static/i.png\" srcset=\"/static/i2.png 2x\" alt=\"\"></td><td style=\"background:url(/b.png)\">text that says \
    something about the item, and a little more than that</td><td><a href=\"item/1\">open</a></td></tr>\n";
const TEXT: &str = "<p>A paragraph of a page that has hardly any links, as those of manuals are: sentence after sentence, <b>some \
    of it</b> in other letters, and <code>code</code> between. It goes on for quite a while before anything happens.</p>\n";
const SHEET: &str = ".card{display:flex;margin:0 auto;padding:1rem;background:#fff url(\"/img/card.svg\") no-repeat}\n\
    .card>a:hover{color:rgba(0,0,0,.5);transition:color .2s ease-in-out}\n";

/// Name, type of the body, its text, and how far its links are moved; `None`: by the parser alone.
const ROWS: [(&str, &str, &str, Option<RewriteLinks>); 8] = [
    ("lol_html alone, table of links", "text/html", PAGE, None),
    (
        "Markup, table of links",
        "text/html",
        PAGE,
        Some(RewriteLinks::Markup),
    ),
    (
        "Full, table of links",
        "text/html",
        PAGE,
        Some(RewriteLinks::Full),
    ),
    ("lol_html alone, text", "text/html", TEXT, None),
    ("Markup, text", "text/html", TEXT, Some(RewriteLinks::Markup)),
    ("Full, text", "text/html", TEXT, Some(RewriteLinks::Full)),
    (
        "Markup, style sheet",
        "text/css",
        SHEET,
        Some(RewriteLinks::Markup),
    ),
    ("rewriteBody, text", "text/plain", TEXT, Some(RewriteLinks::Off)),
];

fn main() {
    if std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        return;
    }
    if let Ok(wanted) = std::env::var(CHILD) {
        let (row, pieces) = wanted
            .split_once(' ')
            .expect("the parent names a row and a length");
        let number = |text: &str| text.parse().expect("the parent writes numbers");
        run(number(row), number(pieces));
        println!("{}", most_memory());
        return;
    }
    println!("\nwhat                           | instructions a KiB | MiB of memory at 16 MiB | at 1 GiB");
    for (row, (name, ..)) in ROWS.iter().enumerate() {
        let [short, long] = RUNS.map(|pieces| count(row, pieces));
        let length = ((RUNS[1] - RUNS[0]) * PIECE) >> 10;
        let each = (long - short) / u64::try_from(length).expect("it is small");
        let [small, large] = MEASURED.map(|pieces| measure(row, pieces) >> 10);
        println!("{name:30} | {each:18} | {small:23} | {large:8}");
    }
}

/// The most memory that a run takes, in KiB.
fn measure(row: usize, pieces: usize) -> u64 {
    let own = std::env::current_exe().expect("the program has a path");
    let output = Command::new(own)
        .env(CHILD, format!("{row} {pieces}"))
        .output()
        .expect("it runs again");
    let said = String::from_utf8_lossy(&output.stdout);
    let said = said.trim().parse();
    said.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// In KiB.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let size = line.and_then(|line| line.split_whitespace().next());
    size.and_then(|size| size.parse().ok()).unwrap_or_default()
}

fn count(row: usize, pieces: usize) -> u64 {
    let own = std::env::current_exe().expect("the program has a path");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(own)
        .env(CHILD, format!("{row} {pieces}"))
        .output()
        .expect("valgrind is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    let counted = said.split("Collected : ").nth(1);
    let counted = counted.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    counted.unwrap_or_else(|| panic!("valgrind counts nothing: {said}"))
}

fn run(row: usize, pieces: usize) {
    let (_, kind, text, rewrite_links) = ROWS[row];
    let piece = text.repeat(PIECE / text.len());
    let mut sent = 0;
    let Some(rewrite_links) = rewrite_links else {
        let mut html = HtmlRewriter::new(Settings::new(), |chunk: &[u8]| sent += chunk.len());
        for _ in 0..pieces {
            html.write(piece.as_bytes()).expect("it is read");
        }
        html.end().expect("it is read");
        assert!(sent > 0);
        return;
    };
    let rule = BodyRule {
        content_type: "text/plain".to_owned(),
        from: "=\"/api".to_owned(),
        to: "=\"/proxy/ui/api".to_owned(),
    };
    let spec = DirectiveSpec {
        rewrite_links,
        rewrite_body: vec![rule],
        ..DirectiveSpec::default()
    };
    let directives = Directives::compile(&spec).expect("they are valid");
    let prefix = PublicPrefix::new("", Some("/proxy/ui"), Scheme::Http, "ui.example:3000");
    let mut response = ResponseHeader::build(200, None).expect("it is a status");
    response
        .insert_header("Content-Type", kind)
        .expect("it is a type");
    let own = OwnPrefix::new(&prefix, None);
    let rewriter = LinkRewriter::for_response(&mut response, &directives, own, true);
    let mut rewriter = rewriter.expect("it is read");
    for _ in 0..pieces {
        sent += rewriter
            .write(piece.as_bytes(), false)
            .expect("it is no packed text")
            .bytes
            .len();
    }
    sent += rewriter
        .write(b"", true)
        .expect("it is no packed text")
        .bytes
        .len();
    assert!(sent >= pieces * piece.len());
}
