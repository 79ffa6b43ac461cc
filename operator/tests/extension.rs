//! What `genkan extension` says of files: revisions that would follow, cases that pass and fail, and the zip as objects.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::path::{Path, PathBuf};
use std::process::Command;

const OBJECTS: &str = r#"
apiVersion: gateway.genkan.io/v1alpha1
kind: GatewayExtension
metadata: {name: house}
spec:
  entries:
    - {name: a, type: Policy, policy: {policy: a, version: 1.0.0, steps: [{use: set, with: {headers: {set: {x-a: "1"}}}}]}}
    - {name: b, type: Files, deploy: Deferred, files: {files: {b.json: "{}"}}}
    - {name: c, type: Hook, hook: {at: OnError, steps: [{use: respond, with: {template: datapower}}]}}
    - name: stamp
      type: Hook
      hook: {at: PostRequest, steps: [{use: set, with: {headers: {set: {x-stamp: "{{ request.headers['x-a'] }}"}}}}]}
---
apiVersion: extensions.kubesphere.io/v1alpha1
kind: ReverseProxy
metadata: {name: orders}
spec:
  matcher: {path: /proxy/orders/*, method: "*"}
  upstream: {url: "http://orders.shop.svc:8080/base"}
  policies:
    - {use: filter, with: {methods: [GET, POST]}}
    - {use: rateLimit, with: {requests: 2, per: 1m, key: auth.user}}
    - {use: validateSchema, when: 'request.method == "POST"', with: {schema: {type: object, required: [id]}}}
    - {use: set, when: 'request.method == "POST"', with: {body: {seen: "{{ request.body.id }}"}}}
    - {use: authorize, when: 'has(request.headers.broken)', with: {cel: request.headers.nothing == "1"}}
    - {use: a@1}
    - {use: set, on: Response, with: {status: 202, headers: {set: {x-was: "{{ response.status }}"}, remove: [server]}}}
  directives: {headerDown: [-X-Internal]}
"#;

const NEXT: &str = r#"
apiVersion: gateway.genkan.io/v1alpha1
kind: GatewayExtension
metadata: {name: house}
spec:
  dryRun: true
  entries:
    - {name: b, type: Files, deploy: Deferred, files: {files: {b.json: "{\"a\": 1}"}}}
    - {name: d, type: Hook, hook: {at: OnError, steps: [{use: respond, with: {template: datapowder}}]}}
    - {name: stamp, type: Hook, hook: {at: PostRequest, steps: [{use: set, with: {headers: {set: {x-stamp: "{{ request.headers['x-a'] }}"}}}}]}}
"#;

const CASES: &str = r#"
object: ReverseProxy orders
cases:
  - name: the backend gets what policies and hooks made
    request: {path: "/proxy/orders/1?x=1", user: jane}
    expect:
      headers: {ratelimit-remaining: "1"}
      forward: {method: GET, path: "/base/proxy/orders/1?x=1", headers: {x-a: "1", x-stamp: "1", x-none: null}}
  - name: a hook answers in the place of a refusal
    request: {method: DELETE, path: /proxy/orders/1, user: joe}
    expect: {status: 405, reason: FilterRefused, headers: {allow: "GET, POST"}, body:
      {httpCode: "405", httpMessage: Method Not Allowed, moreInformation: "DELETE is not taken here; GET, POST are"}}
  - name: bodies are read
    request: {method: POST, path: /proxy/orders/1, user: joe, headers: {Content-Type: application/json}, body: {id: 7}}
    expect: {forward: {body: {seen: "7"}}}
  - name: and judged
    request: {method: POST, path: /proxy/orders/1, user: jim, headers: {Content-Type: application/json}, body: {}}
    expect: {status: 400, reason: SchemaViolation}
  - name: longer ones are not
    request: {method: POST, path: /proxy/orders/1, user: jim, headers: {Content-Length: "65537"}}
    expect: {status: 501, reason: BodyTooLongForNow}
  - name: limits last from case to case
    request: {path: /proxy/orders/1, user: jane}
    expect: {forward: {}}
  - name: and are used up
    request: {path: /proxy/orders/1, user: jane}
    expect: {status: 429, reason: RateLimited}
  - name: answers pass the steps that are for them, and headerDown
    request: {path: /proxy/orders/1, user: jo}
    answer: {status: 203, headers: {server: shop/1.2, etag: '"1"', x-internal: "1"}}
    expect: {status: 202, headers: {server: null, etag: '"1"', x-internal: null, x-was: "203", ratelimit-remaining: "1"}}
  - name: this one fails
    request: {path: /proxy/orders/1, user: jill}
    expect: {status: 200}
  - name: so does this
    request: {path: /proxy/orders/1, user: jack, headers: {broken: "1"}}
    expect: {forward: {}}
"#;

/// What the program prints, and how it ends.
fn genkan(arguments: &[&str], folder: &Path) -> (String, String, i32) {
    let output = Command::new(env!("CARGO_BIN_EXE_genkan"))
        .arg("extension")
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        text(&output.stdout),
        text(&output.stderr),
        output.status.code().unwrap(),
    )
}

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("objects")).unwrap();
    std::fs::write(folder.join("objects/all.yaml"), OBJECTS).unwrap();
    std::fs::write(folder.join("next.yaml"), NEXT).unwrap();
    std::fs::write(folder.join("cases.yaml"), CASES).unwrap();
    folder
}

#[test]
fn a_plan_has_a_line_for_each_entry() {
    let folder = folder("plan");
    let (said, _, code) = genkan(&["plan", "next.yaml", "--source", "dir:objects"], &folder);
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].starts_with("house: house-") && lines[0].contains(" would follow house-"),
        "{said}"
    );
    assert_eq!(
        lines[1..],
        [
            "  change     b, Deferred",
            "  remove     c, Immediate",
            "  same       stamp",
            "  rejected   d: Invalid, hook: steps[0].with.template: unknown variant `datapowder`, expected `datapower`",
            "  blocked    entry a cannot be removed: it is used by ReverseProxy orders",
        ]
    );
    assert_eq!(code, 1);
    let (said, _, code) = genkan(&["plan", "house", "--source", "dir:objects"], &folder);
    assert!(
        said.contains(" would be its first revision\n  add        a, Immediate\n"),
        "{said}"
    );
    assert_eq!(code, 0);
    let (_, error, code) = genkan(&["plan", "nobody", "--source", "dir:objects"], &folder);
    assert_eq!(
        (error.as_str(), code),
        ("genkan: there is no GatewayExtension nobody\n", 2)
    );
}

#[test]
fn cases_are_held_against_the_plan_of_an_object() {
    let folder = folder("cases");
    let (said, error, code) = genkan(&["test", "cases.yaml", "--source", "dir:objects"], &folder);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 11, "{said}{error}");
    assert!(lines[..8].iter().all(|line| line.starts_with("ok    ")), "{said}");
    assert_eq!(
        lines[8..],
        [
            "FAIL  this one fails: the backend gets it, and 200 was expected",
            "FAIL  so does this: genkan answers 500 PolicyFailed: {\"httpCode\":\"500\",\"httpMessage\":\"Internal Server \
             Error\",\"moreInformation\":\"the policy authorize could not be applied\"}, and the backend was to get it (a \
             member that the expression names is not there)",
            "8 of 10 cases pass",
        ]
    );
    assert_eq!(code, 1);
    let (_, error, code) = genkan(&["test", "cases.yaml"], &folder);
    assert_eq!(
        (error.as_str(), code),
        ("genkan: there is no ReverseProxy orders\n", 2)
    );
    std::fs::write(
        folder.join("empty.yaml"),
        "object: a\ncases: [{name: x, request: {path: /}, expect: {}}]",
    )
    .unwrap();
    let (_, error, code) = genkan(&["test", "empty.yaml"], &folder);
    assert!(
        error.contains("x: expect says neither status, nor reason, nor forward"),
        "{error}"
    );
    assert_eq!(code, 2);
}

#[test]
fn a_zip_that_is_none_is_not_imported() {
    let folder = folder("import");
    std::fs::write(folder.join("corp.zip"), "no zip").unwrap();
    let (said, error, code) = genkan(&["import", "corp.zip"], &folder);
    assert_eq!(said, "");
    assert_eq!(
        (error.as_str(), code),
        ("genkan: corp.zip: archive: not a zip file\n", 2)
    );
}
