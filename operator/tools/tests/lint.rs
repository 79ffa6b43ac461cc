//! What `genkan lint` says.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use genkan_tools::lint::{Level, lint, lint_all};

/// Manifests that people publish: each is fine, or is remarked upon in the words recorded.
#[test]
fn every_manifest_of_the_corpus_is_judged_in_the_words_recorded() {
    let mut said = String::new();
    for path in yaml_in(&root().join("../../crds/testdata/corpus")) {
        said.push_str(&judge(&path));
    }
    golden("corpus.txt", &said);
}

/// Mistakes that a parser or a schema alone would explain badly.
#[test]
fn every_trap_is_judged_in_the_words_recorded() {
    let mut said = String::new();
    for path in yaml_in(&root().join("tests/lint/traps")) {
        said.push_str(&judge(&path));
    }
    golden("traps.txt", &said);
}

/// The manifests of the documentation are fine as they are printed.
#[test]
fn every_manifest_of_the_documentation_is_fine() {
    let folder = root().join("../../crds/testdata/seeds");
    for path in yaml_in(&folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("manifest-") {
            assert_eq!(judge(&path), format!("{name}: served\n"));
        }
    }
}

/// So are its fragments inside such a manifest, but the one that is no YAML as it is printed.
#[test]
fn every_fragment_of_the_documentation_is_fine_or_explained() {
    let folder = root().join("../../crds/testdata/seeds");
    let manifest = fs::read_to_string(folder.join("manifest-2-reverseproxy.yaml")).unwrap();
    let mut manifest: serde_json::Value = serde_yaml::from_str(&manifest).unwrap();
    for path in yaml_in(&folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("fragment-") {
            continue;
        }
        let mut text = fs::read_to_string(&path).unwrap();
        if name == "fragment-rewrite.yaml" {
            let report = lint(&[(name.clone(), text.clone())]);
            let said: Vec<_> = report
                .remarks
                .iter()
                .map(|r| (r.line, r.message.as_str()))
                .collect();
            let why = "what starts with * is an alias in YAML; quote it";
            assert_eq!(
                said,
                [
                    (4, format!("{why}: - \"* /foo.html\"").as_str()),
                    (
                        7,
                        format!("{why}: - \"* /index.php?{{query}}&p={{path}}\"").as_str()
                    ),
                ]
            );
            text = text.replace("- * /foo.html", "- \"* /foo.html\"").replace(
                "- * /index.php?{query}&p={path}",
                "- \"* /index.php?{query}&p={path}\"",
            );
        }
        let fragment: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        manifest["spec"]["directives"] = fragment["spec"]["directives"].clone();
        let report = lint(&[(name.clone(), manifest.to_string())]);
        assert_eq!(report.errors(), 0, "{name}: {:?}", report.remarks);
    }
}

#[test]
fn the_examples_are_fine() {
    for path in yaml_in(&root().join("../../examples")) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(judge(&path), format!("{name}: served\n"));
    }
}

/// Every manifest that a page prints can be applied as it stands there, with all others of the page.
#[test]
fn the_manifests_of_the_pages_are_fine() {
    let folder = root().join("../../docs");
    let mut blocks = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let page = fs::read_to_string(&path).unwrap();
        let mut texts = yaml_of(&page);
        // A fragment of one is no manifest.
        texts.retain(|text| text.trim_start().starts_with("apiVersion"));
        blocks += texts.len();
        let texts: Vec<_> = texts.into_iter().map(|text| (name.clone(), text)).collect();
        let report = lint(&texts);
        assert_eq!(report.errors(), 0, "{name}: {:#?}", report.remarks);
    }
    assert!(blocks > 8, "only {blocks} blocks");
}

/// The blocks of a page, each behind as many lines as are in front of it.
fn yaml_of(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for (number, line) in page.lines().enumerate() {
        match &mut block {
            None if line == "```yaml" => block = Some("\n".repeat(number + 1)),
            None => {}
            Some(_) if line == "```" => blocks.extend(block.take()),
            Some(text) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    blocks
}

#[test]
fn a_zip_is_judged_as_the_extension_that_would_hold_it() {
    let archives = [("a/corp.zip".to_owned(), b"no zip".to_vec())];
    let report = lint_all(&[], &archives);
    let said: Vec<_> = report
        .remarks
        .iter()
        .map(|r| (r.object.as_str(), r.message.as_str()))
        .collect();
    let why = "archive: not a zip file, ArchiveInvalid";
    assert_eq!(said, [("GatewayExtension corp", why)]);
    assert_eq!((report.files, report.objects), (1, 0));
}

#[test]
fn objects_are_compared_across_files() {
    let texts = [
        ("a.yaml", "a", "/proxy/x/*", "http://cart.shop.svc:81"),
        ("b.yaml", "b", "/proxy/x/*", "http://cart.shop.svc:80"),
        ("c.yaml", "a", "/proxy/y", "http://other.shop.svc"),
        ("d.yaml", "wide", "*", "http://h.example"),
        ("e.yaml", "all", "/proxy*", "http://h.example"),
    ];
    let mut texts: Vec<(String, String)> = texts
        .iter()
        .map(|(file, name, path, url)| ((*file).to_owned(), mk_proxy(name, path, url)))
        .collect();
    let service = "apiVersion: v1\nkind: Service\nmetadata: {namespace: shop, name: cart}\nspec: {ports: [{port: 80}]}\n";
    texts.push(("service.yaml".to_owned(), service.to_owned()));
    let report = lint(&texts);
    let said: Vec<String> = report
        .remarks
        .iter()
        .map(|r| format!("{} {} {}", r.file, r.field, r.message))
        .collect();
    assert_eq!(
        said,
        [
            "a.yaml spec.upstream Service shop/cart has no port 81; its only port is 80",
            "b.yaml spec.matcher.path ReverseProxy a has the same path and method; the older one wins, the other is Conflicted",
            "c.yaml metadata.name is in a.yaml as well; the one that is applied last stays",
            "d.yaml spec.matcher.path every request goes to ReverseProxy all, because its path is longer and takes every \
             request that starts with /proxy; this one is Shadowed",
        ]
    );
    assert!(report.remarks.iter().all(|r| r.level == Level::Warning));
}

#[test]
fn an_error_is_where_it_stands() {
    let text = format!(
        "# a remark\n---\n{}---\n{}",
        mk_proxy("a", "/proxy/x", "http://h.example"),
        mk_proxy("b", "/proxy/y", "h.example")
    );
    let report = lint(&[("f.yaml".to_owned(), text)]);
    let found: Vec<_> = report
        .remarks
        .iter()
        .map(|r| (r.line, r.field.as_str()))
        .collect();
    assert_eq!(found, [(19, "spec.upstream.url")]);
    assert_eq!((report.objects, report.errors(), report.warnings()), (2, 1, 0));
}

#[test]
fn an_object_that_is_too_large_to_be_sent_is_told() {
    let made = rcgen::generate_simple_self_signed(vec!["b.example".into()]).unwrap();
    let pem = made.cert.pem();
    let bundle = STANDARD.encode(pem.repeat((1 << 20) / pem.len() + 1));
    let large = format!(
        "{}\n  upstream: {{url: 'https://b.example', caBundle: {bundle}}}\n",
        mk_proxy("large", "/proxy/large/*", "https://b.example")
            .split("\n  upstream")
            .next()
            .unwrap()
    );
    let report = lint(&[("large.yaml".into(), large)]);
    let remark = report
        .remarks
        .iter()
        .find(|r| r.message.contains("one object may have"));
    let remark = remark.unwrap_or_else(|| panic!("{:?}", report.remarks));
    assert_eq!(
        (remark.level, remark.object.as_str()),
        (Level::Error, "ReverseProxy large")
    );
}

fn mk_proxy(name: &str, path: &str, url: &str) -> String {
    format!(
        "apiVersion: extensions.kubesphere.io/v1alpha1\nkind: ReverseProxy\nmetadata:\n  name: {name}\nspec:\n  \
         matcher: {{path: \"{path}\", method: \"*\"}}\n  upstream:\n    url: {url}\n"
    )
}

fn judge(path: &Path) -> String {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let report = lint(&[(name.clone(), fs::read_to_string(path).unwrap())]);
    let mut out = format!(
        "{name}: {}\n",
        if report.errors() > 0 { "refused" } else { "served" }
    );
    for remark in &report.remarks {
        let level = if remark.level == Level::Error {
            "error"
        } else {
            "warning"
        };
        let _ = writeln!(
            out,
            "  {}: {level}: {}: {}",
            remark.line, remark.field, remark.message
        );
    }
    out
}

fn golden(name: &str, found: &str) {
    let path = root().join("tests/lint").join(name);
    if std::env::var_os("GENKAN_REWRITE").is_some() {
        fs::write(&path, found).unwrap();
    }
    let recorded = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        recorded == found,
        "{name} has changed; GENKAN_REWRITE=1 rewrites it. Found:\n{found}"
    );
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn yaml_in(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} holds nothing", folder.display());
    paths
}
