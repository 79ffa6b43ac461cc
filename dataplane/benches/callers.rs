//! What it costs to know a caller and what they may do, when both are known already.
//!
//! `cargo bench -p genkan-dataplane --bench callers` prints a table. The promise is 20 µs for a request in all. With
//! `--operations N` it does just that many and prints nothing: for a count of instructions.

#![allow(clippy::unwrap_used, reason = "a figure that cannot be had must stop the run")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use genkan_callers::Step;
use genkan_dataplane::callers::Callers;
use genkan_dataplane::cli::Cli;
use genkan_dataplane::metrics::Metrics;
use genkan_dataplane::proxy::fields::Fields;
use genkan_routing::RequestInfo;
use genkan_routing::access::{Questions, RouteKind};
use genkan_routing::credential::Places;
use pingora_http::RequestHeader;
use tokio::time::Instant;

#[path = "../tests/wire/reviews.rs"]
mod reviews;

const ROUNDS: usize = 5;
const OPERATIONS: usize = 200_000;
/// That of a ServiceAccount is about as long.
const TOKEN: usize = 1_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    let api = reviews::ApiServer::start().await;
    let token = "a".repeat(TOKEN);
    api.know(&token, reviews::mk_user("jane"));
    let kubeconfig = api.kubeconfig();
    let flags = [
        "",
        "--operator",
        "http://127.0.0.1:1",
        "--state-dir",
        "/tmp",
        "--kubeconfig",
        &kubeconfig,
    ];
    let cli = Cli::parse_from(flags);
    let callers = Callers::new(&cli.authentication, None, Arc::new(Metrics::default())).unwrap();
    let mut request = RequestHeader::build("GET", b"/proxy/grafana/d/1", None).unwrap();
    request
        .append_header("Authorization", format!("Bearer {token}"))
        .unwrap();
    let info = RequestInfo::parse("GET", "/proxy/grafana/d/1", None).unwrap();
    let kind = RouteKind::ReverseProxy {
        path: "/proxy/grafana/*",
    };
    let recognize = |request: &RequestHeader| {
        let places = callers.identity.places().unwrap();
        let cookie = places.cookie.as_deref();
        let shown = Places::read_usable(&request.headers, "GET", "gw.example", false, cookie).unwrap();
        callers.identity.of_token(shown.token(), None, &mut None)
    };
    let Ok(Step::Unknown(question)) = recognize(&request) else {
        panic!("nobody is known yet");
    };
    let user = callers.identity.ask(question).await.unwrap();
    let questions = Questions::of(kind, "GET", &info, None, callers.authorization.mode);
    callers.authorization.ask(&user, &questions).await.unwrap();

    let recognise = || {
        black_box(recognize(black_box(&request)).unwrap());
    };
    let authorise = || {
        let questions = Questions::of(
            black_box(kind),
            "GET",
            black_box(&info),
            None,
            callers.authorization.mode,
        );
        assert!(matches!(
            callers.authorization.known(&user, &questions),
            Some(Ok(()))
        ));
    };
    let introduce = || {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        user.introduction().unwrap().write(&mut Fields(&mut request));
        black_box(request);
    };
    if let Some(at) = arguments.iter().position(|argument| argument == "--operations") {
        for _ in 0..arguments[at + 1].parse().unwrap() {
            recognise();
            authorise();
        }
        return;
    }
    println!("{:>34} {:>8}", "", "ns");
    let table: [(&str, &dyn Fn()); 3] = [
        ("who calls (a token of 1,000 bytes)", &recognise),
        ("what they may", &authorise),
        ("telling the backend", &introduce),
    ];
    for (name, operation) in table {
        println!(
            "{name:>34} {:>8.0}",
            median(|| measure(operation)).as_nanos() as f64 / OPERATIONS as f64
        );
    }
}

fn measure(operation: &dyn Fn()) -> Duration {
    let from = Instant::now();
    for _ in 0..OPERATIONS {
        operation();
    }
    from.elapsed()
}

fn median(mut measure: impl FnMut() -> Duration) -> Duration {
    let mut figures: Vec<Duration> = (0..ROUNDS).map(|_| measure()).collect();
    figures.sort_unstable();
    figures[ROUNDS / 2]
}
