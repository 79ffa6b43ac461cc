use genkan_routing::model::Published;

use super::*;

const PROXY: &str = "apiVersion: extensions.kubesphere.io/v1alpha1\nkind: ReverseProxy\nmetadata: {name: NAME}\n\
    spec: {matcher: {path: /proxy/x, method: '*'}, upstream: {url: 'http://a.example'}}\n";

fn proxies(changes: &[Change]) -> Vec<(String, i64)> {
    let list = changes.iter().find_map(|c| match c {
        Change::Reset(Kind::Published(Published::ReverseProxy), objects) => Some(objects),
        _ => None,
    });
    let one = |o: &Object| match o {
        Object::ReverseProxy(r) => (r.name.clone(), r.generation),
        other => panic!("{other:?}"),
    };
    list.unwrap().iter().map(one).collect()
}

#[test]
fn edits_raise_the_generation_and_broken_files_keep_what_they_held() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.yaml"), folder.path().join("b.yml"));
    std::fs::write(&a, PROXY.replace("NAME", "one")).unwrap();
    std::fs::write(&b, PROXY.replace("NAME", "two")).unwrap();
    let mut directory = Directory::new(folder.path());
    let (changes, problems) = directory.read().unwrap();
    assert_eq!(proxies(&changes), [("one".into(), 1), ("two".into(), 1)]);
    assert_eq!(problems, []);
    std::fs::write(&a, PROXY.replace("NAME", "one").replace("a.example", "b.example")).unwrap();
    std::fs::write(&b, "kind: [").unwrap();
    let (changes, problems) = directory.read().unwrap();
    assert_eq!(proxies(&changes), [("one".into(), 2), ("two".into(), 1)]);
    assert_eq!((problems.len(), &problems[0].file), (1, &b));
    std::fs::remove_file(&b).unwrap();
    assert_eq!(proxies(&directory.read().unwrap().0), [("one".into(), 2)]);
}

#[test]
fn an_object_in_two_files_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.yaml", "b.yaml"] {
        std::fs::write(folder.path().join(name), PROXY.replace("NAME", "one")).unwrap();
    }
    let (changes, problems) = Directory::new(folder.path()).read().unwrap();
    assert_eq!(proxies(&changes), [("one".into(), 1)]);
    assert!(problems[0].message.contains("a.yaml"), "{}", problems[0].message);
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

#[tokio::test]
async fn a_folder_that_comes_back_is_watched_again() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("objects");
    std::fs::create_dir(&folder).unwrap();
    let (engine, mut inputs) = mpsc::channel(8);
    tokio::spawn(run(folder.clone(), engine));
    let mut until = async |wanted: &[(String, i64)]| {
        let waiting = async {
            while let Some(input) = inputs.recv().await {
                if matches!(&input, Input::Changes(changes) if proxies(changes) == wanted) {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting)
            .await
            .unwrap();
    };
    until(&[]).await;
    std::fs::remove_dir(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.yaml"), PROXY.replace("NAME", "one")).unwrap();
    until(&[("one".into(), 1)]).await;
    std::fs::write(folder.join("b.yaml"), PROXY.replace("NAME", "two")).unwrap();
    until(&[("one".into(), 1), ("two".into(), 1)]).await;
}
