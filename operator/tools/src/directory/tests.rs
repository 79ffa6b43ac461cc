use genkan_routing::model::Published;

use super::*;

const PROXY: &str = "apiVersion: extensions.kubesphere.io/v1alpha1\nkind: ReverseProxy\nmetadata: {name: NAME}\n\
    spec: {matcher: {path: /proxy/x, method: '*'}, upstream: {url: 'http://a.example'}}\n";

/// What an index would hold of ReverseProxies: name and generation.
#[derive(Default)]
struct Held(BTreeMap<String, i64>);

impl Held {
    fn take(&mut self, changes: Vec<Change>) -> Vec<(String, i64)> {
        for change in changes {
            match change {
                Change::Reset(Kind::Published(Published::ReverseProxy), objects) => {
                    self.0.clear();
                    objects.iter().for_each(|object| self.put(object));
                }
                Change::Reset(..)
                | Change::Probed(..)
                | Change::Completed(..)
                | Change::Fetched(..)
                | Change::Remembered(_)
                | Change::Refused { .. } => {}
                Change::Apply(object) => self.put(&object),
                Change::Delete(_, (_, name)) => drop(self.0.remove(&name)),
            }
        }
        self.0.clone().into_iter().collect()
    }

    fn put(&mut self, object: &Object) {
        match object {
            Object::Published(r) => drop(self.0.insert(r.key.name.clone(), r.generation)),
            other => panic!("{other:?}"),
        }
    }
}

/// A folder of files, and what was told of it.
struct Rig {
    folder: tempfile::TempDir,
    directory: Directory,
    held: Held,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::new(folder.path());
        Self {
            folder,
            directory,
            held: Held::default(),
        }
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }

    /// Everything that is there now, how many changes told it, and what could not be read.
    fn read(&mut self) -> (Vec<(String, i64)>, usize, Vec<Problem>) {
        let (changes, problems) = self.directory.read().unwrap();
        let count = changes.len();
        (self.held.take(changes), count, problems)
    }
}

impl Rig {
    /// The same of these paths alone.
    fn read_again(&mut self, paths: &[&str]) -> (Vec<(String, i64)>, usize, Vec<Problem>) {
        let paths = paths.iter().map(|path| self.folder.path().join(path)).collect();
        let (changes, problems) = self.directory.read_again(&paths).unwrap();
        let count = changes.len();
        (self.held.take(changes), count, problems)
    }
}

fn mk_proxy(name: &str, host: &str) -> String {
    PROXY.replace("NAME", name).replace("a.example", host)
}

fn held(all: &[(&str, i64)]) -> Vec<(String, i64)> {
    all.iter()
        .map(|(name, generation)| ((*name).into(), *generation))
        .collect()
}

#[test]
fn edits_raise_the_generation_and_broken_files_keep_what_they_held() {
    let mut rig = Rig::new();
    rig.write("a.yaml", &mk_proxy("one", "a.example"));
    rig.write("b.yml", &mk_proxy("two", "a.example"));
    let (found, _, problems) = rig.read();
    assert_eq!((found, problems), (held(&[("one", 1), ("two", 1)]), vec![]));
    rig.write("a.yaml", &mk_proxy("one", "b.example"));
    rig.write("b.yml", "kind: [");
    let (found, count, problems) = rig.read();
    assert_eq!((found, count), (held(&[("one", 2), ("two", 1)]), 1));
    assert_eq!(
        (problems.len(), problems[0].file.file_name()),
        (1, Some("b.yml".as_ref()))
    );
    let (_, count, again) = rig.read();
    assert_eq!(
        (count, again),
        (0, problems),
        "what is still broken is still told"
    );
    std::fs::remove_file(rig.folder.path().join("b.yml")).unwrap();
    assert_eq!(rig.read().0, held(&[("one", 2)]));
}

#[test]
fn an_object_in_two_files_is_told_and_the_other_one_takes_over() {
    let mut rig = Rig::new();
    rig.write("a.yaml", &mk_proxy("one", "a.example"));
    rig.write("b.yaml", &mk_proxy("one", "b.example"));
    let (found, _, problems) = rig.read();
    assert_eq!(found, held(&[("one", 1)]));
    assert!(problems[0].message.contains("a.yaml"), "{}", problems[0].message);
    rig.write("b.yaml", "");
    assert_eq!(rig.read(), (held(&[("one", 2)]), 1, vec![]));
}

#[test]
fn names_that_no_api_server_takes_are_told_by_file_document_and_field() {
    let service = |metadata: &str| format!("apiVersion: v1\nkind: Service\nmetadata: {metadata}\n");
    let long = "a".repeat(300);
    let cases = [
        (
            mk_proxy("\"a\\nb\"", "a.example"),
            r#"metadata.name: "a b" is no name"#,
        ),
        (
            mk_proxy("\"a\\\"} 1\"", "a.example"),
            r#"metadata.name: "a\"} 1" is no name"#,
        ),
        (mk_proxy("Upper", "a.example"), "metadata.name: \"Upper\""),
        (mk_proxy(&long, "a.example"), "…\" is no name of a ReverseProxy"),
        (mk_proxy("''", "a.example"), "metadata.name: is missing"),
        (
            service("{name: a.b}"),
            "metadata.name: \"a.b\" is no name of a Service",
        ),
        (
            service("{name: a, namespace: \"n\\tn\"}"),
            r#"metadata.namespace: "n n" is no namespace"#,
        ),
    ];
    for (document, expected) in cases {
        let mut rig = Rig::new();
        let good = mk_proxy("good", "a.example");
        rig.write(
            "a.yaml",
            &format!("{good}---\n{document}---\n{}", mk_proxy("better", "a.example")),
        );
        let (found, _, problems) = rig.read();
        assert_eq!(found, held(&[("better", 1), ("good", 1)]), "others are unharmed");
        let [problem] = problems.as_slice() else {
            panic!("{problems:?}")
        };
        assert!(
            problem.message.starts_with("the document at line 6: "),
            "{}",
            problem.message
        );
        assert!(
            problem.message.contains(expected),
            "{}: {expected}",
            problem.message
        );
        assert!(problem.message.len() < 300 && !problem.message.contains(char::is_control));
    }
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let error = Directory::new("/nonexistent/folder").read().unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("/nonexistent/folder cannot be read")
    );
}

#[test]
fn only_what_was_touched_is_read_again() {
    let mut rig = Rig::new();
    std::fs::create_dir(rig.folder.path().join("sub")).unwrap();
    rig.write("a.yaml", &mk_proxy("one", "a.example"));
    rig.write("sub/b.yaml", &mk_proxy("two", "a.example"));
    rig.read();
    rig.write("a.yaml", &mk_proxy("one", "b.example"));
    rig.write("sub/b.yaml", &mk_proxy("two", "b.example"));
    let (found, count, _) = rig.read_again(&["a.yaml", ".a.yaml.swp", "notes.txt"]);
    assert_eq!((found, count), (held(&[("one", 2), ("two", 1)]), 1));
    let (found, count, _) = rig.read_again(&["sub"]);
    assert_eq!((found, count), (held(&[("one", 2), ("two", 2)]), 1));
    // An object that moves to another file is the same object.
    std::fs::rename(rig.folder.path().join("sub"), rig.folder.path().join("other")).unwrap();
    assert_eq!(rig.read_again(&["sub", "other"]).1, 0);
    std::fs::remove_dir_all(rig.folder.path().join("other")).unwrap();
    assert_eq!(rig.read_again(&["other"]).0, held(&[("one", 2)]));
}

#[test]
fn problems_of_other_files_are_still_told() {
    let mut rig = Rig::new();
    rig.write("a.yaml", &mk_proxy("one", "a.example"));
    rig.write("b.yaml", &mk_proxy("one", "b.example"));
    rig.write("c.yaml", "kind: [");
    let (_, _, before) = rig.read();
    assert_eq!(before.len(), 2);
    rig.write("d.yaml", &mk_proxy("two", "a.example"));
    assert_eq!(rig.read_again(&["d.yaml"]).2, before);
    rig.write("c.yaml", "");
    assert_eq!(rig.read_again(&["c.yaml"]).2.len(), 1);
    rig.write("a.yaml", "");
    assert_eq!(rig.read_again(&["a.yaml"]).2, vec![]);
}

/// As the kubelet mounts a ConfigMap: a folder turns behind the names.
#[cfg(unix)]
#[test]
fn what_is_reached_by_other_names_is_all_read_again() {
    use std::os::unix::fs::symlink;
    let mut rig = Rig::new();
    let at = |path: &str| rig.folder.path().join(path);
    for (version, host) in [("..1", "a.example"), ("..2", "b.example")] {
        std::fs::create_dir(at(version)).unwrap();
        std::fs::write(at(version).join("a.yaml"), mk_proxy("one", host)).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/a.yaml", at("a.yaml")).unwrap();
    let turned = at("..data");
    assert_eq!(rig.read().0, held(&[("one", 1)]));
    std::fs::remove_file(&turned).unwrap();
    symlink("..2", &turned).unwrap();
    assert_eq!(rig.read_again(&["..data"]).0, held(&[("one", 2)]));
}
