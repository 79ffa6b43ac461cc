//! The checked-in definitions are what the types say.

use std::fs;
use std::path::Path;

#[test]
fn the_definitions_have_not_drifted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, content) in genkan_crds::files() {
        let path = folder.join(&name);
        if std::env::var_os("GENKAN_REWRITE").is_some() {
            fs::write(&path, &content).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == content,
            "{name} has drifted from the types; make crds rewrites it"
        );
        assert!(
            content.len() < 100_000,
            "{name} is too large for a client-side apply"
        );
    }
}

/// The chart has the definitions as templates, so that they are upgraded, and keeps them when it is removed.
#[test]
fn the_chart_of_the_definitions_has_not_drifted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/genkan-crds/templates");
    let files = genkan_crds::files();
    for (name, content) in &files {
        // Examples of templates are text, and no instructions to helm.
        let content = content.replace("{{", "{{`{{`}}");
        let kept = "metadata:\n  annotations:\n    helm.sh/resource-policy: keep\n";
        let template = content.replacen("metadata:\n", kept, 1);
        let path = folder.join(name);
        if std::env::var_os("GENKAN_REWRITE").is_some() {
            fs::write(&path, &template).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == template,
            "the chart's {name} has drifted from the types; make crds rewrites it"
        );
    }
    let here = fs::read_dir(folder).unwrap().count();
    assert_eq!(
        here,
        files.len(),
        "the chart has a template that is no definition"
    );
}

/// `kubectl` and Helm read YAML 1.1, where these are booleans.
#[test]
fn no_field_is_named_by_a_boolean() {
    const BOOLEANS: [&str; 8] = ["on:", "off:", "yes:", "no:", "y:", "n:", "true:", "false:"];
    for (name, content) in genkan_crds::files() {
        for line in content.lines() {
            assert!(!BOOLEANS.contains(&line.trim()), "{name}: {line}");
        }
    }
}
