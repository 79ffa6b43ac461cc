//! What a look-up in the route table costs, by the number of routes and the shape of their paths.
//!
//! `cargo bench -p genkan-dataplane --bench lookup` prints a table. The promise is that the cost does not grow
//! with the number of routes beyond what memory does: at most 0.5 µs at 50,000 routes.

use std::hint::black_box;
use std::time::Duration;

use genkan_routing::RouteTable;
use tokio::time::Instant;

/// Paths that are asked for in turn, so that not one of them stays in the nearest cache.
const ASKED: usize = 4_096;
/// Of each figure, the median is shown.
const ROUNDS: usize = 5;

/// One way to name routes and to ask for them.
struct Shape {
    name: &'static str,
    route: fn(usize) -> String,
    request: fn(usize) -> String,
}

const SHAPES: [Shape; 6] = [
    Shape {
        name: "hit",
        route: |n| format!("/proxy/svc{n:05}/api/*"),
        request: |n| format!("/proxy/svc{n:05}/api/v1/things/42"),
    },
    Shape {
        name: "miss",
        route: |n| format!("/proxy/svc{n:05}/api/*"),
        request: |n| format!("/proxy/svc{n:05}/nothing/here"),
    },
    Shape {
        name: "60 shared bytes",
        route: |n| format!("/proxy/an-organisation-with-a-long-name/platform/production/{n:05}/*"),
        request: |n| format!("/proxy/an-organisation-with-a-long-name/platform/production/{n:05}/x"),
    },
    Shape {
        name: "all exact",
        route: |n| format!("/proxy/team-{}/app-{n:05}", n % 97),
        request: |n| format!("/proxy/team-{}/app-{n:05}", n % 97),
    },
    Shape {
        name: "all wildcard",
        route: |n| format!("/{}/w{n:05}*", n % 7),
        request: |n| format!("/{}/w{n:05}-and/more", n % 7),
    },
    Shape {
        name: "random",
        route: |n| format!("/proxy/{}/*", scatter(n)),
        request: |n| format!("/proxy/{}/x", scatter(n)),
    },
];

fn main() {
    println!(
        "{:>16} {:>8} {:>12} {:>14} {:>12}",
        "shape", "routes", "ns/look-up", "µs/insertion", "build ms"
    );
    for shape in &SHAPES {
        for routes in [10, 1_000, 10_000, 50_000] {
            let (table, build) = build(shape, routes);
            let paths: Vec<String> = (0..ASKED)
                .map(|n| (shape.request)(scatter_index(n, routes)))
                .collect();
            let look_up = median(|| look_up(&table, &paths));
            let insertion = median(|| insertion(&table));
            println!(
                "{:>16} {routes:>8} {:>12.0} {:>14.2} {:>12.1}",
                shape.name,
                nanoseconds(look_up) / ASKED as f64,
                nanoseconds(insertion) / 1_000.0,
                nanoseconds(build) / 1e6,
            );
        }
    }
}

fn build(shape: &Shape, routes: usize) -> (RouteTable<usize>, Duration) {
    let paths: Vec<String> = (0..routes).map(shape.route).collect();
    let from = Instant::now();
    let mut table = RouteTable::new();
    for (route, path) in paths.iter().enumerate() {
        table.insert(path, "*", route);
    }
    (table, from.elapsed())
}

fn look_up(table: &RouteTable<usize>, paths: &[String]) -> Duration {
    let from = Instant::now();
    for path in paths {
        black_box(table.lookup("GET", black_box(path.as_bytes())));
    }
    from.elapsed()
}

/// One change while a reader holds the table as it was.
fn insertion(table: &RouteTable<usize>) -> Duration {
    let held = table.clone();
    let mut changed = table.clone();
    let from = Instant::now();
    changed.insert("/proxy/one-more/*", "*", 0);
    let took = from.elapsed();
    black_box((held, changed));
    took
}

fn median(mut measure: impl FnMut() -> Duration) -> Duration {
    let mut figures: Vec<Duration> = (0..ROUNDS).map(|_| measure()).collect();
    figures.sort_unstable();
    figures[ROUNDS / 2]
}

/// Visits the routes in an order that no cache foresees.
fn scatter_index(n: usize, routes: usize) -> usize {
    (n.wrapping_mul(7_919)) % routes
}

fn scatter(n: usize) -> String {
    let mut mixed = n as u64 + 1;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    format!("{:016x}", mixed ^ (mixed >> 31))
}

fn nanoseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}
