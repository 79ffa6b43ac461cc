use std::collections::BTreeMap;

use genkan_routing::{Pattern, RouteTable};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::joined;

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

proptest! {
    #[test]
    fn the_tree_answers_like_a_list(
        edits in vec((joined(PARTS, 5), select(METHODS), 0..3u8), 1..200),
        requests in vec((joined(PARTS, 6), select(&["GET", "POST", "PUT"][..])), 20),
    ) {
        let mut table = RouteTable::new();
        let mut list = BTreeMap::new();
        for (step, (path, method, kind)) in edits.into_iter().enumerate() {
            let key = (Pattern::parse(&path), method.to_owned());
            if kind == 0 {
                prop_assert_eq!(table.remove(&path, method), list.remove(&key));
            } else {
                prop_assert_eq!(table.insert(&path, method, step), list.insert(key, step));
            }
            prop_assert_eq!(table.len(), list.len());
            let (path, method) = &requests[step % requests.len()];
            let expected = naive(&list, method, path.as_bytes());
            prop_assert_eq!(table.lookup(method, path.as_bytes()), expected.first().copied());
            prop_assert_eq!(table.matches(method, path.as_bytes()), expected);
        }
    }

    #[test]
    fn an_edit_does_not_reach_a_clone(
        edits in vec(joined(PARTS, 5), 1..120),
        requests in vec(joined(PARTS, 6), 20),
    ) {
        let mut table = RouteTable::new();
        let mut versions: Vec<(RouteTable<usize>, List)> = Vec::new();
        let mut list = BTreeMap::new();
        for (step, path) in edits.iter().enumerate() {
            table.insert(path, "*", step);
            list.insert((Pattern::parse(path), "*".to_owned()), step);
            versions.push((table.clone(), list.clone()));
        }
        for (table, list) in &versions {
            prop_assert_eq!(table.len(), list.len());
            for path in &requests {
                let found = table.lookup("GET", path.as_bytes());
                prop_assert_eq!(found, naive(list, "GET", path.as_bytes()).first().copied());
            }
        }
    }
}
