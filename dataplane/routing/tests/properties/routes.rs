use std::collections::BTreeMap;

use genkan_routing::{Pattern, RouteTable};

use super::random::Random;

const PARTS: &[&str] = &["/proxy", "/", "x", "y", "xy", "*", "é", "%2F"];
const METHODS: &[&str] = &["GET", "POST", "*"];

type List = BTreeMap<(Pattern, String), usize>;

/// The rule as it is written down: longest literal, exact before wildcard, a method before `*`.
fn naive<'r>(routes: &'r List, method: &str, path: &[u8]) -> Vec<&'r usize> {
    let mut found: Vec<_> = routes
        .iter()
        .filter(|((pattern, of), _)| pattern.matches(path) && (of == method || of == "*"))
        .collect();
    found.sort_by_key(|((pattern, of), _)| {
        (
            std::cmp::Reverse(pattern.literal.len()),
            pattern.wildcard,
            of == "*",
        )
    });
    found.into_iter().map(|(_, value)| value).collect()
}

#[test]
fn the_tree_answers_like_a_list() {
    for seed in 0..60 {
        let mut random = Random::new(100 + seed);
        let mut table = RouteTable::new();
        let mut list = BTreeMap::new();
        for step in 0..200 {
            let (path, method) = (random.join(PARTS, 5), *random.pick(METHODS));
            let key = (Pattern::parse(&path), method.to_owned());
            if random.below(3) == 0 {
                assert_eq!(table.remove(&path, method), list.remove(&key));
            } else {
                assert_eq!(table.insert(&path, method, step), list.insert(key, step));
            }
            assert_eq!(table.len(), list.len());
            for _ in 0..4 {
                let (path, method) = (random.join(PARTS, 6), *random.pick(&["GET", "POST", "PUT"]));
                let expected = naive(&list, method, path.as_bytes());
                assert_eq!(
                    table.lookup(method, path.as_bytes()),
                    expected.first().copied(),
                    "{method} {path}"
                );
                assert_eq!(
                    table.matches(method, path.as_bytes()),
                    expected,
                    "{method} {path}"
                );
            }
        }
    }
}

#[test]
fn an_edit_does_not_reach_a_clone() {
    let mut random = Random::new(7);
    let mut table = RouteTable::new();
    let mut versions: Vec<(RouteTable<usize>, List)> = Vec::new();
    let mut list = BTreeMap::new();
    for step in 0..120 {
        let path = random.join(PARTS, 5);
        table.insert(&path, "*", step);
        list.insert((Pattern::parse(&path), "*".to_owned()), step);
        versions.push((table.clone(), list.clone()));
    }
    for (table, list) in &versions {
        assert_eq!(table.len(), list.len());
        for _ in 0..20 {
            let path = random.join(PARTS, 6);
            assert_eq!(
                table.lookup("GET", path.as_bytes()),
                naive(list, "GET", path.as_bytes()).first().copied()
            );
        }
    }
}
