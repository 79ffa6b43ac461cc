use std::time::Duration;

use genkan_proto::v1alpha1::{EndpointSet, Resource, resource};
use genkan_proto::{Buckets, resource_hash};

use super::*;

const NOW: u64 = 1_800_000_000;

fn terms() -> Terms {
    Terms {
        operator: "http://127.0.0.1:1".into(),
        max_age: Duration::from_secs(3600),
    }
}

fn mk_resource(key: &str, generation: i64) -> Bytes {
    let object = genkan_proto::v1alpha1::ResourceRef {
        generation,
        ..Default::default()
    };
    let set = EndpointSet { endpoints: vec![] };
    let resource = Resource {
        key: key.into(),
        object: Some(object),
        resource: Some(resource::Resource::EndpointSet(set)),
        ..Resource::default()
    };
    resource.encode_to_vec().into()
}

/// A world, and how it is told.
#[derive(Default)]
struct World(BTreeMap<String, Bytes>);

impl World {
    fn hash(&self) -> Hash {
        let mut held = Buckets::default();
        for (key, bytes) in &self.0 {
            held.insert(key, resource_hash(bytes));
        }
        held.hash()
    }

    fn everything(&self) -> Update {
        let snapshot = Snapshot {
            upserts: self.0.values().cloned().collect(),
            removals: vec![],
        };
        Update {
            base: None,
            hash: self.hash(),
            frame: compress(&snapshot).unwrap(),
        }
    }

    fn change(&mut self, upserts: &[(&str, i64)], removals: &[&str]) -> Update {
        let base = Some(self.hash());
        for key in removals {
            self.0.remove(*key);
        }
        let mut told = vec![];
        for (key, generation) in upserts {
            told.push(mk_resource(key, *generation));
            self.0.insert((*key).to_owned(), mk_resource(key, *generation));
        }
        let snapshot = Snapshot {
            upserts: told,
            removals: removals.iter().map(|key| (*key).to_owned()).collect(),
        };
        Update {
            base,
            hash: self.hash(),
            frame: compress(&snapshot).unwrap(),
        }
    }

    fn is_kept(&self, kept: &LastKnownGood) -> bool {
        kept.hash == self.hash() && kept.upserts == self.0.values().cloned().collect::<Vec<_>>()
    }
}

fn written(folder: &Path) -> World {
    let mut world = World::default();
    let (mut journal, kept) = Journal::open(folder, &terms(), NOW);
    assert!(kept.unwrap().is_none());
    let mut updates = vec![world.everything()];
    updates.push(world.change(&[("a", 1), ("b", 1)], &[]));
    journal.write(&updates, NOW, true).unwrap();
    journal
        .write(&[world.change(&[("b", 2), ("c", 1)], &["a"])], NOW, true)
        .unwrap();
    world
}

fn reopen(folder: &Path, now: u64) -> Result<Option<LastKnownGood>, ReadError> {
    Journal::open(folder, &terms(), now).1
}

#[test]
fn what_was_written_is_read_and_continued() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = written(folder.path());
    let (mut journal, kept) = Journal::open(folder.path(), &terms(), NOW + 10);
    assert!(world.is_kept(&kept.unwrap().unwrap()));
    let update = world.change(&[], &["b", "c"]);
    journal.write(&[update], NOW + 20, true).unwrap();
    drop(journal);
    let kept = reopen(folder.path(), NOW + 20).unwrap().unwrap();
    assert!(world.is_kept(&kept) && kept.at == NOW + 20);
}

#[test]
fn no_byte_may_be_another() {
    let folder = tempfile::tempdir().unwrap();
    let world = written(folder.path());
    let path = folder.path().join(NAME);
    let good = std::fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        std::fs::write(&path, &bad).unwrap();
        // A length that grew looks like a record that was not finished.
        match reopen(folder.path(), NOW) {
            Err(_) => {}
            Ok(kept) => assert_ne!(kept.unwrap().hash, world.hash(), "byte {at}"),
        }
    }
}

#[test]
fn a_file_that_ends_early_holds_what_was_whole_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let world = written(folder.path());
    let path = folder.path().join(NAME);
    let good = std::fs::read(&path).unwrap();
    let mut seen = Vec::new();
    for end in 0..=good.len() {
        std::fs::write(&path, &good[..end]).unwrap();
        match reopen(folder.path(), NOW) {
            Ok(kept) => seen.push(kept.unwrap().hash),
            Err(error) => assert!(matches!(error, ReadError::Format | ReadError::Broken), "{error}"),
        }
    }
    seen.dedup();
    assert_eq!((seen.len(), seen[0]), (3, Hash::empty()));
    assert_eq!(seen[2], world.hash());
    // What was not finished is written over.
    std::fs::write(&path, &good[..good.len() - 1]).unwrap();
    let (mut journal, kept) = Journal::open(folder.path(), &terms(), NOW);
    let at = kept.unwrap().unwrap();
    assert_eq!(at.hash, seen[1]);
    journal.write(&[], NOW + 1, true).unwrap();
    drop(journal);
    let kept = reopen(folder.path(), NOW + 1).unwrap().unwrap();
    assert_eq!((kept.hash, kept.at), (at.hash, NOW + 1));
}

#[test]
fn strangers_and_what_is_old_are_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let world = written(folder.path());
    for now in [NOW - 3600, NOW + 3600] {
        assert!(matches!(reopen(folder.path(), now), Err(ReadError::Age(3600))));
    }
    assert!(reopen(folder.path(), NOW + 3599).is_ok());
    let other = Terms {
        operator: "http://127.0.0.1:2".into(),
        ..terms()
    };
    let (mut journal, kept) = Journal::open(folder.path(), &other, NOW);
    assert!(matches!(kept, Err(ReadError::Operator(operator)) if operator == terms().operator));
    // Nor are changes of the other written behind it.
    let mut next = World(world.0.clone());
    let change = next.change(&[("d", 1)], &[]);
    assert!(matches!(
        journal.write(&[change], NOW, true),
        Err(WriteError::Gap)
    ));
    journal.write(&[next.everything()], NOW, true).unwrap();
    drop(journal);
    assert!(next.is_kept(&Journal::open(folder.path(), &other, NOW).1.unwrap().unwrap()));
    std::fs::write(folder.path().join(NAME), "genkan configuration, format 2\n").unwrap();
    assert!(matches!(reopen(folder.path(), NOW), Err(ReadError::Format)));
}

#[test]
fn changes_cost_what_they_are_and_never_pile_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::default();
    let many: Vec<_> = (0..200).map(|n| format!("key-{n}-{:x}", n * 7_919_u64)).collect();
    let all: Vec<_> = many.iter().map(|key| (key.as_str(), 1)).collect();
    world.change(&all, &[]);
    let (mut journal, _) = Journal::open(folder.path(), &terms(), NOW);
    journal.write(&[world.everything()], NOW, true).unwrap();
    let mut compacted = 0;
    for generation in 2..600 {
        let before = journal.length;
        let update = world.change(&[("key-0-0", generation)], &[]);
        journal.write(&[update], NOW, true).unwrap();
        assert!(journal.length < before + 300 || journal.length == journal.full);
        assert!(journal.length <= 2 * journal.full + SLACK);
        compacted += usize::from(journal.length < before);
    }
    assert_eq!(compacted, 1);
    drop(journal);
    assert!(world.is_kept(&reopen(folder.path(), NOW).unwrap().unwrap()));
}

#[test]
fn one_process_writes() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = written(folder.path());
    let (mut first, _) = Journal::open(folder.path(), &terms(), NOW);
    let (mut second, kept) = Journal::open(folder.path(), &terms(), NOW);
    assert!(world.is_kept(&kept.unwrap().unwrap()));
    let update = world.change(&[("d", 1)], &[]);
    assert!(matches!(
        second.write(std::slice::from_ref(&update), NOW, true),
        Err(WriteError::Shared)
    ));
    first.write(&[update], NOW, true).unwrap();
}
