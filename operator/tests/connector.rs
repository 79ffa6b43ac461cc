//! What `genkan connector test` says, and what it sends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

const OBJECTS: &str = r#"
apiVersion: connectors.alauda.io/v1alpha1
kind: ConnectorClass
metadata: {name: tickets}
spec:
  address: {name: address, type: string}
  auth:
    types:
      - name: granted
        secretType: Opaque
        params: [{name: client_id}, {name: client_secret}]
        generator: {oauth2: {tokenURL: "http://ADDRESS/token", scopes: [read]}}
  livenessProbe: {http: {path: /moved}}
  authProbes: [{authName: granted, probe: {http: {path: /user}}}]
  proxy: {ref: {name: connectors-proxy-service, namespace: connectors-system}}
---
apiVersion: v1
kind: Secret
metadata: {name: client, namespace: team}
stringData: {client_id: robot, client_secret: hunter2-hunter2}
---
apiVersion: connectors.alauda.io/v1alpha1
kind: Connector
metadata: {name: board, namespace: team}
spec:
  connectorClassName: tickets
  address: "http://ADDRESS/tool"
  auth: {name: granted, secretRef: {name: client}}
---
apiVersion: connectors.alauda.io/v1alpha1
kind: Connector
metadata: {name: bare, namespace: team}
spec:
  connectorClassName: tickets
  address: "http://ADDRESS/tool"
  auth: {name: granted, secretRef: {name: nowhere}}
"#;

/// A tool that takes the token that it grants, and a page that has moved.
fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while reader.read_line(&mut head)? > 2 {}
    let lower = head.to_ascii_lowercase();
    let length = lower
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or_default()];
    reader.read_exact(&mut body)?;
    let (status, line, body) = match head.split(' ').nth(1).unwrap_or_default() {
        "/token" if body == b"grant_type=client_credentials&scope=read" => {
            ("200 OK", "", r#"{"access_token": "t-1", "token_type": "Bearer"}"#)
        }
        "/moved" => ("302 Found", "Location: /health\r\n", ""),
        "/health" => ("200 OK", "", "{}"),
        "/user" if lower.contains("authorization: bearer t-1") => ("204 No Content", "", ""),
        _ => ("401 Unauthorized", "", "{}"),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{line}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn mk_tool() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        listener
            .incoming()
            .flatten()
            .for_each(|stream| drop(serve(stream)))
    });
    address
}

/// What it prints, with the address of the tool as `ADDRESS`, and its exit code.
fn said(folder: &Path, address: SocketAddr, args: &[&str]) -> (String, i32) {
    let output = Command::new(env!("CARGO_BIN_EXE_genkan"))
        .args([
            "connector",
            "test",
            "--allow-upstream-cidr",
            "127.0.0.0/8",
            "--source",
        ])
        .arg(format!("dir:{}", folder.display()))
        .args(args)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text)
        .unwrap()
        .replace(&address.to_string(), "ADDRESS");
    assert!(!text.contains("hunter2") && !text.contains("t-1"), "{text}");
    (text, output.status.code().unwrap())
}

#[test]
fn a_connector_is_tried_before_anybody_calls() {
    let address = mk_tool();
    let folder = tempfile::tempdir().unwrap();
    let objects = OBJECTS.replace("ADDRESS", &address.to_string());
    std::fs::write(folder.path().join("objects.yaml"), objects).unwrap();
    let state = "Connector team/board
  Accepted             True  Accepted: the specification is valid
  ConnectorClassReady  True
  SecretReady          True
  ProxyServiceReady    True  ProxyNotEnabled
GET /connectors/v1alpha1/team/board/path/ becomes
  GET http://ADDRESS/tool/, the credential in authorization
liveness probe
  GET http://ADDRESS/moved, without a credential in a header
";
    let auth = "auth probe
  GET http://ADDRESS/user, with Authorization
  with a token of http://ADDRESS/token, for read
";
    let (asked, answered) = (
        "  not sent; --send sends it from here\n",
        "  200, which is good\n",
    );
    assert_eq!(
        said(folder.path(), address, &["team/board"]),
        (format!("{state}{asked}{auth}{asked}"), 0)
    );
    assert_eq!(
        said(folder.path(), address, &["team/board", "--send"]),
        (format!("{state}{answered}{auth}  204, which is good\n"), 0)
    );
    let (bare, code) = said(folder.path(), address, &["team/bare"]);
    assert!(
        bare.contains("SecretReady          False SecretNotFound: secrets \"nowhere\" not found")
            && bare.contains("400 CredentialUnusable"),
        "{bare}"
    );
    assert_eq!(code, 1);
    let nobody = ("genkan: there is no Connector team/nobody\n".to_owned(), 1);
    assert_eq!(said(folder.path(), address, &["team/nobody"]), nobody);
}
