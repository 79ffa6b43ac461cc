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
                Change::Reset(..) => {}
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
