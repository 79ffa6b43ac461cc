use std::collections::{BTreeMap, BTreeSet};

use genkan_routing::model::ObjectKey;
use genkan_routing::{Claim, Claims, RouteTable, Standing, is_served_path};

use super::random::Random;

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

fn mk_claim(random: &mut Random) -> Claim {
    Claim {
        object: ObjectKey::reverse_proxy(format!("p{}", random.below(12))),
        path: (*random.pick(PATHS)).to_owned(),
        method: (*random.pick(METHODS)).to_owned(),
        created: i64::try_from(random.below(3)).unwrap(),
    }
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
        Some(Standing::Conflicted { winner: w, .. } | Standing::Shadowed { winner: w, .. }) => w == winner,
        _ => false,
    };
    names.keys().filter(loses).cloned().collect()
}

#[test]
fn edits_change_only_those_that_are_said_to_be_affected() {
    for seed in 0..120 {
        let mut random = Random::new(200 + seed);
        let (mut claims, mut names) = (Claims::new(), BTreeMap::new());
        for _ in 0..40 {
            let before = standings(&claims, &names);
            let lost: BTreeMap<ObjectKey, (Option<ObjectKey>, usize)> = told(&claims, &names);
            let mut changes = Vec::new();
            for _ in 0..=random.below(3) {
                let claim = mk_claim(&mut random);
                if random.below(3) == 0 {
                    names.remove(&claim.object);
                    changes.push((claim.object, None));
                } else {
                    names.insert(claim.object.clone(), claim.clone());
                    changes.push((claim.object.clone(), Some(claim)));
                }
            }
            let affected = claims.renew(changes);
            assert_eq!(claims.len(), names.len());
            let told = told(&claims, &names);
            for (name, standing) in standings(&claims, &names) {
                let unchanged = before.get(&name) == Some(&standing) && lost.get(&name) == told.get(&name);
                assert!(
                    unchanged || affected.contains(&name),
                    "{name} became {standing:?} unnoticed"
                );
                let slowly = losers(&claims, &names, &name);
                let quickly = claims.losers(&name);
                assert_eq!(quickly.count, slowly.len(), "{name}: {names:?}");
                assert_eq!(
                    quickly.first.is_some_and(|first| slowly.contains(first)),
                    !slowly.is_empty()
                );
            }
        }
    }
}

fn told(
    claims: &Claims,
    names: &BTreeMap<ObjectKey, Claim>,
) -> BTreeMap<ObjectKey, (Option<ObjectKey>, usize)> {
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

#[test]
fn standings_are_what_requests_find() {
    let requests: Vec<(&str, String)> = [
        "/proxy",
        "/proxy/",
        "/proxy/x",
        "/proxy/x/",
        "/proxy/xy",
        "/proxyfoo",
        "/proxy/z/é",
    ]
    .iter()
    .flat_map(|path| ["GET", "POST", "PUT"].map(|method| (method, (*path).to_owned())))
    .collect();
    for seed in 0..200 {
        let mut random = Random::new(300 + seed);
        let (mut claims, mut names) = (Claims::new(), BTreeMap::new());
        for _ in 0..10 {
            let claim = mk_claim(&mut random);
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
            let wins = requests
                .iter()
                .filter(|(_, path)| is_served_path(path))
                .any(|(method, path)| all.lookup(method, path.as_bytes()) == Some(&name));
            match standing {
                Standing::Wins => assert!(wins, "{name} wins nothing: {names:?}"),
                Standing::Conflicted { winner, .. } => assert!(!wins && names.contains_key(&winner)),
                Standing::Shadowed { winner, .. } => assert!(!wins && names.contains_key(&winner)),
                Standing::Unreachable { .. } => assert!(!wins && names[&name].path == "/other/*"),
            }
        }
    }
}
