//! What the program makes of the flags of `genkan explain`.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::Command;

/// What the program says as JSON, and whether it says that the request gets through.
fn run(arguments: &[&str]) -> (serde_json::Value, bool) {
    let output = Command::new(env!("CARGO_BIN_EXE_genkan"))
        .arg("explain")
        .args(arguments)
        .args(["--output", "json", "--source"])
        .arg(format!("dir:{}", world().display()))
        .output()
        .unwrap();
    let said = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| String::from_utf8_lossy(&output.stderr).into());
    (said, output.status.success())
}

#[test]
fn flags_of_the_data_plane_change_the_answer() {
    let sent = [
        "GET",
        "/proxy/x",
        "-H",
        "Cookie: a=b; ks=t",
        "-H",
        "Authorization: Bearer t",
    ];
    let names = |more: &[&str]| {
        let (said, _) = run(&[&sent, more].concat());
        let headers = said["outcome"]["headers"].as_array().unwrap().iter();
        let names: Vec<_> = headers
            .filter(|line| line[0] == "Cookie" || line[0] == "Authorization")
            .map(|line| line[1].as_str().unwrap().to_owned())
            .collect();
        names.join(", ")
    };
    assert_eq!(names(&[]), "a=b; ks=t");
    assert_eq!(names(&["--token-cookie", "ks"]), "a=b");
    assert_eq!(
        names(&["--forward-authorization", "always"]),
        "a=b; ks=t, Bearer t"
    );
    assert_eq!(names(&["--authentication", "disabled"]), "a=b; ks=t, Bearer t");
    let told = |more: &[&str]| {
        let (said, is_served) = run(&[&["GET", "/proxy/metadata"], more].concat());
        (said["outcome"]["reason"].clone(), is_served)
    };
    assert_eq!(told(&[]), ("AddressRefused".into(), false));
    assert_eq!(
        told(&["--allow-upstream-cidr", "169.254.0.0/16"]),
        (serde_json::Value::Null, true)
    );
    let (said, _) = run(&["GET", "/", "--token-cookie", "a b"]);
    assert!(
        said.to_string().contains("no name that a cookie can have"),
        "{said}"
    );
}

fn world() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tools/tests/explain/world")
}
