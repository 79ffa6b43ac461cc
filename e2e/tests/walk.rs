//! How far a new published kind reaches, and a new step of policy: two patches that nobody keeps are laid on a copy of the
//! tree, counted, compiled and served. `docs/architecture.md` lists the files that they touch.

#![allow(clippy::unwrap_used, reason = "a tree that cannot be copied fails the test")]

#[path = "walk/serving.rs"]
mod serving;
#[path = "walk/tree.rs"]
mod tree;

use std::collections::BTreeSet;

use tree::Patch;

const PAGE: &str = include_str!("../../docs/architecture.md");

const KIND: Patch = Patch {
    file: "kind.patch",
    most: 12,
    heading: "### A new published kind",
};
const STEP: Patch = Patch {
    file: "step.patch",
    most: 4,
    heading: "### A new step of policy",
};

#[test]
fn few_files_know_of_a_kind_or_of_a_step() {
    for patch in [KIND, STEP] {
        let files = patch.files();
        assert!(
            files.len() <= patch.most,
            "{} touches {} files, {} are enough: {files:?}",
            patch.file,
            files.len(),
            patch.most
        );
        // The page speaks of any kind, the patch of one.
        let named: BTreeSet<String> = files.iter().map(|file| file.replace("teapot", "kind")).collect();
        assert_eq!(
            listed(patch.heading),
            named,
            "docs/architecture.md, {}",
            patch.heading
        );
    }
}

/// The files that the first column of the table below a heading names.
fn listed(heading: &str) -> BTreeSet<String> {
    let (_, section) = PAGE.split_once(heading).unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with('|'));
    rows.take_while(|line| line.starts_with('|'))
        .filter_map(|row| row.strip_prefix("| `")?.split_once('`'))
        .map(|(file, _)| file.to_owned())
        .collect()
}

#[tokio::test]
async fn a_new_kind_and_a_new_step_are_served() {
    let programs = tokio::task::spawn_blocking(|| tree::built(&[KIND, STEP]))
        .await
        .unwrap();
    serving::serve(&programs).await.unwrap();
}
