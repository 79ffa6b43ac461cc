//! Seeds, edits of them, and a judge that panics over what must not be.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestError, TestRunner};
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// For which each target runs, unless `GENKAN_FUZZ_SECONDS` says otherwise.
const SECONDS: u64 = 10;
/// Of processor time for one input, in a program that is not optimised.
const LONGEST: Duration = Duration::from_secs(2);
/// Bytes of an input; what is longer shows nothing that this does not.
const LARGEST: usize = 64 * 1024;

/// Something that reads bytes from outside.
pub struct Target {
    pub name: &'static str,
    pub seeds: Vec<Vec<u8>>,
    /// What is put in at random places beside random bytes.
    pub pieces: &'static [&'static str],
    /// Whether the input was accepted. Panics when a promise is broken.
    pub judge: fn(&[u8]) -> bool,
    /// Of a thousand inputs, so many at least are accepted: else the edits are too wild to find anything.
    pub accepted: u32,
}

#[derive(Debug, Clone)]
enum Edit {
    Set(Index, u8),
    Remove(Index, u8),
    Insert(Index, Vec<u8>),
    /// Repeats a part elsewhere.
    Copy(Index, u8, Index),
    /// Goes on as another seed does from there.
    Cross(Index, Vec<u8>, Index),
}

// === impl Target ===

impl Target {
    pub fn run(self) {
        let found = self.found();
        for seed in self.seeds.iter().chain(&found) {
            self.check(seed);
        }
        let limit = std::env::var("GENKAN_FUZZ_SECONDS").ok();
        let limit = limit.map_or(SECONDS, |text| text.parse().unwrap());
        let until = Instant::now() + Duration::from_secs(limit);
        let config = Config {
            cases: 256,
            failure_persistence: None,
            max_shrink_iters: 50_000,
            ..Config::default()
        };
        let inputs = self.inputs(found);
        let (judged, accepted) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
        while Instant::now() < until {
            // A runner that has had its cases has no more.
            let outcome = TestRunner::new(config.clone()).run(&inputs, |input| {
                judged.set(judged.get() + 1);
                accepted.set(accepted.get() + u64::from(self.check(&input)));
                Ok(())
            });
            match outcome {
                Ok(()) => {}
                Err(TestError::Fail(why, input)) => {
                    panic!("{}: b\"{}\": {why}", self.name, input.escape_ascii())
                }
                Err(TestError::Abort(why)) => panic!("{}: {why}", self.name),
            }
        }
        let (judged, accepted): (u64, u64) = (judged.get(), accepted.get());
        println!("{}: {judged} inputs, {accepted} of them accepted", self.name);
        assert!(
            accepted * 1000 >= judged * u64::from(self.accepted),
            "{}: only {accepted} of {judged} inputs were accepted",
            self.name
        );
    }

    fn check(&self, input: &[u8]) -> bool {
        let began = clock_gettime(ClockId::ThreadCPUTime);
        let is_accepted = (self.judge)(input);
        let ended = clock_gettime(ClockId::ThreadCPUTime);
        let took = Duration::try_from(ended - began).unwrap();
        assert!(took < LONGEST, "it took {took:?} of the processor");
        is_accepted
    }

    /// What brought it down once.
    fn found(&self) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/found");
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let own = files.filter(|path| path.file_stem().is_some_and(|stem| stem == self.name));
        let files: BTreeSet<_> = own.collect();
        files.into_iter().map(|path| fs::read(path).unwrap()).collect()
    }

    fn inputs(&self, found: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> + use<> {
        let mut seeds = self.seeds.clone();
        seeds.extend(found);
        let pieces: Vec<Vec<u8>> = self
            .pieces
            .iter()
            .map(|piece| piece.as_bytes().to_vec())
            .collect();
        let edits = vec(edit(pieces, seeds.clone()), 1..6);
        (select(seeds), edits).prop_map(|(mut input, edits)| {
            for edit in edits {
                edit.apply(&mut input);
                input.truncate(LARGEST);
            }
            input
        })
    }
}

fn edit(pieces: Vec<Vec<u8>>, seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        2 => (at(), 1..16u8).prop_map(|(at, length)| Edit::Remove(at, length)),
        4 => (at(), select(pieces)).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        1 => (at(), vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        2 => (at(), 1..32u8, at()).prop_map(|(from, length, to)| Edit::Copy(from, length, to)),
        1 => (at(), select(seeds), at()).prop_map(|(at, other, from)| Edit::Cross(at, other, from)),
    ]
}

// === impl Edit ===

impl Edit {
    fn apply(self, input: &mut Vec<u8>) {
        // One behind the last byte is a place as well.
        let place = |at: &Index, bytes: &[u8]| at.index(bytes.len() + 1);
        match self {
            Self::Set(at, byte) => {
                if !input.is_empty() {
                    let at = at.index(input.len());
                    input[at] = byte;
                }
            }
            Self::Remove(at, length) => {
                let at = place(&at, input);
                let end = (at + usize::from(length)).min(input.len());
                input.drain(at..end);
            }
            Self::Insert(at, piece) => {
                let at = place(&at, input);
                input.splice(at..at, piece);
            }
            Self::Copy(from, length, to) => {
                let (from, to) = (place(&from, input), place(&to, input));
                let end = (from + usize::from(length)).min(input.len());
                let part = input[from..end].to_vec();
                input.splice(to..to, part);
            }
            Self::Cross(at, other, from) => {
                let (at, from) = (place(&at, input), place(&from, &other));
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
        }
    }
}
