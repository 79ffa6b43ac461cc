use std::collections::{BTreeMap, BTreeSet};

use genkan_routing::model::ObjectKey;
use genkan_routing::{Claim, Claims, RouteTable, Standing, is_served_path};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const PATHS: &[&str] = &[
    "*",
    "/*",
    "/p*",
    "/prox*",
    "/proxy*",
    "/proxy",
    "/proxy/*",
    "/proxy/**",
    "/proxy/x",
    "/proxy/x*",
    "/proxy/x/*",
    "/other/*",
];
const METHODS: &[&str] = &["GET", "POST", "*"];

fn claim() -> impl Strategy<Value = Claim> {
    let (path, method) = (select(PATHS), select(METHODS));
    (0..12, path, method, 0..3i64).prop_map(|(number, path, method, created)| Claim {
        object: ObjectKey::reverse_proxy(format!("p{number}")),
        path: path.to_owned(),
        method: method.to_owned(),
        created,
    })
}

fn standings(claims: &Claims, names: &BTreeMap<ObjectKey, Claim>) -> BTreeMap<ObjectKey, Standing> {
    names
        .keys()
        .map(|name| (name.clone(), claims.standing(name).unwrap()))
        .collect()
}

/// By looking at every pair.
fn losers(claims: &Claims, names: &BTreeMap<ObjectKey, Claim>, winner: &ObjectKey) -> BTreeSet<ObjectKey> {
    let loses = |name: &&ObjectKey| match claims.standing(name) {
        Some(Standing::Conflicted { winner: w, .. } | Standing::Shadowed { winner: w, .. }) => w == *winner,
        _ => false,
    };
    names.keys().filter(loses).cloned().collect()
}

proptest! {
    /// Each edit is some claims that come, or go where there is a 0.
    #[test]
    fn edits_change_only_those_that_are_said_to_be_affected(
        edits in vec(vec((claim(), 0..3u8), 1..4), 1..40),
    ) {
        let (mut claims, mut names) = (Claims::new(), BTreeMap::new());
        for edit in edits {
            let before = standings(&claims, &names);
            let lost: Told = told(&claims, &names);
            let mut changes = Vec::new();
            for (claim, kind) in edit {
                let object = claim.object.clone();
                if kind == 0 {
                    names.remove(&object);
                    changes.push((object, None));
                } else {
                    names.insert(object.clone(), claim.clone());
                    changes.push((object, Some(claim)));
                }
            }
            let affected = claims.renew(changes);
            prop_assert_eq!(claims.len(), names.len());
            let told = told(&claims, &names);
            for (name, standing) in standings(&claims, &names) {
                let unchanged = before.get(&name) == Some(&standing) && lost.get(&name) == told.get(&name);
                prop_assert!(unchanged || affected.contains(&name), "{name} became {standing:?} unnoticed");
                let slowly = losers(&claims, &names, &name);
                let quickly = claims.losers(&name);
                prop_assert_eq!(quickly.count, slowly.len(), "{}: {:?}", name, names);
                let is_one = quickly.first.is_some_and(|first| slowly.contains(first));
                prop_assert_eq!(is_one, !slowly.is_empty());
            }
        }
    }

    #[test]
    fn standings_are_what_requests_find(listed in vec(claim(), 1..11)) {
        let paths = ["/proxy", "/proxy/", "/proxy/x", "/proxy/x/", "/proxy/xy", "/proxyfoo", "/proxy/z/é"];
        let (mut claims, mut names) = (Claims::new(), BTreeMap::new());
        for claim in listed {
            names.insert(claim.object.clone(), claim.clone());
            claims.insert(claim);
        }
        let mut all = RouteTable::new();
        // Oldest last, so that it replaces the younger ones with the same match.
        let mut ordered: Vec<&Claim> = names.values().collect();
        ordered.sort_by(|a, b| (b.created, &b.object).cmp(&(a.created, &a.object)));
        for claim in ordered {
            all.insert(&claim.path, &claim.method, claim.object.clone());
        }
        for (name, standing) in standings(&claims, &names) {
            let finds = |method: &str, path: &str| all.lookup(method, path.as_bytes()) == Some(&name);
            let served = paths.iter().filter(|path| is_served_path(path));
            let wins = served.into_iter().any(|path| ["GET", "POST", "PUT"].iter().any(|method| finds(method, path)));
            match standing {
                Standing::Wins => prop_assert!(wins, "{name} wins nothing: {names:?}"),
                Standing::Conflicted { winner, .. } | Standing::Shadowed { winner, .. } => {
                    prop_assert!(!wins && names.contains_key(&winner));
                }
                Standing::Unreachable { .. } => prop_assert!(!wins && names[&name].path == "/other/*"),
            }
        }
    }
}

type Told = BTreeMap<ObjectKey, (Option<ObjectKey>, usize)>;

fn told(claims: &Claims, names: &BTreeMap<ObjectKey, Claim>) -> Told {
    let of = |name: &ObjectKey| {
        let losers = claims.losers(name);
        (name.clone(), (losers.first.cloned(), losers.count))
    };
    names.keys().map(of).collect()
}

#[test]
fn who_joins_a_crowd_concerns_its_winner_alone() {
    let named = |n: usize| ObjectKey::reverse_proxy(format!("p{n:05}"));
    let claim = |n: usize, path: &str, method: &str| Claim {
        object: named(n),
        path: path.into(),
        method: method.into(),
        created: 0,
    };
    let put = |claim: Claim| (claim.object.clone(), Some(claim));
    for path in ["/proxy/x", "/proxy*"] {
        let mut claims = Claims::new();
        let crowd = claims.renew((0..20_000).map(|n| put(claim(n, path, "*"))));
        assert_eq!(crowd.len(), 20_000);
        let newcomer = claims.renew([put(claim(20_000, path, "*"))]);
        assert_eq!(
            newcomer.into_iter().collect::<Vec<_>>(),
            [named(0), named(20_000)]
        );
        assert_eq!(claims.losers(&named(0)).count, 20_000);
        assert_eq!(claims.renew([(named(0), None)]).len(), 20_001);
    }
    let mut claims = Claims::new();
    claims.renew((0..20_000).map(|n| put(claim(n, "/proxy*", &format!("M{n}")))));
    assert_eq!(claims.renew([put(claim(20_000, "/proxy*", "N"))]).len(), 1);
}
