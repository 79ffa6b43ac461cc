//! Whoever calls a tool is nobody to it, and brings nothing along.

use super::Section;
use super::requests::Then::{Passes, Refused};
use super::requests::{Attack, NOTHING, attack, carry_out};
use super::stage::Stage;

const TOOL: &str = "GET /connectors/v1alpha1/n/tool/path/x HTTP/1.1";
/// What the tool gets of everybody: the request line, and the credential of the Connector.
const CREDENTIAL: &str = "authorization: basic dtpw\r\n";

pub async fn section(stage: &Stage) -> Section {
    let preface = "`n/tool` is a Connector, with `u:p` in its Secret; writing is off. A tool learns nothing of who calls, and a \
                   caller nothing without a token of their own.";
    Section::new("Tools", preface, carry_out(ATTACKS, stage).await)
}

const ATTACKS: &[Attack] = &[
    attack(
        "a token, which is exchanged for the credential",
        TOOL,
        "Authorization: Bearer tok-jane\r\n",
        Passes(CREDENTIAL, "tok-jane"),
    ),
    attack("no token", TOOL, "", Refused(401)),
    attack(
        "another scheme",
        TOOL,
        "Authorization: Basic dG9rLWphbmU6dG9rLWphbmU=\r\n",
        Refused(401),
    ),
    attack(
        "a scheme without a token",
        TOOL,
        "Authorization: Bearer\r\n",
        Refused(401),
    ),
    attack(
        "a token nobody gave",
        TOOL,
        "Authorization: Bearer made-up\r\n",
        Refused(401),
    ),
    attack(
        "two tokens",
        TOOL,
        "Authorization: Bearer tok-jane\r\nAuthorization: Bearer tok-joe\r\n",
        Refused(401),
    ),
    attack(
        "a token in the cookie",
        TOOL,
        "Cookie: token=tok-jane\r\n",
        Refused(401),
    ),
    attack(
        "a token in the query",
        "GET /connectors/v1alpha1/n/tool/path/x?token=tok-jane&access_token=tok-jane HTTP/1.1",
        "",
        Refused(401),
    ),
    attack(
        "a token in the header of KubeSphere, which counts where a bearer does",
        TOOL,
        "X-KubeSphere-Authorization: Bearer tok-jane\r\n",
        Passes(CREDENTIAL, "tok-jane"),
    ),
    attack(
        "a token for the switches",
        "GET /connectors-operator/featureflags HTTP/1.1",
        "Cookie: token=tok-jane\r\n",
        Refused(401),
    ),
    attack(
        "an impersonation",
        TOOL,
        "Authorization: Bearer tok-jane\r\nImpersonate-User: joe\r\n",
        Refused(403),
    ),
    attack(
        "an impersonation by a group alone",
        TOOL,
        "Authorization: Bearer tok-jane\r\nImpersonate-Group: system:masters\r\n",
        Refused(403),
    ),
    attack(
        "an identity for the tool",
        TOOL,
        "Authorization: Bearer tok-jane\r\nX-Remote-User: root\r\nX_Remote_Group: system:masters\r\n",
        Passes(CREDENTIAL, "remote"),
    ),
    attack(
        "headers of the API of a class",
        TOOL,
        "Authorization: Bearer tok-jane\r\nX-Plugin-Secret: e30=\r\nX_Plugin_Meta: e30=\r\nX-Plugin-CA: e30=\r\n",
        Passes(CREDENTIAL, "plugin"),
    ),
    attack(
        "copies of the token in headers",
        TOOL,
        "Authorization: Bearer tok-jane\r\nPrivate-Token: tok-jane\r\nX-Copy: Bearer tok-jane\r\nReferer: https://x.example/?t=tok-jane\r\n",
        Passes(CREDENTIAL, "tok-jane"),
    ),
    attack(
        "copies of the token in the query",
        "GET /connectors/v1alpha1/n/tool/path/x?a=1&token=tok-jane&b=tok-jane&c=2 HTTP/1.1",
        "Authorization: Bearer tok-jane\r\n",
        Passes("get /base/x?a=1&c=2 http/1.1", "tok-jane"),
    ),
    attack(
        "a copy of the token, encoded",
        "GET /connectors/v1alpha1/n/tool/path/x?a=1&token=tok%2Djane HTTP/1.1",
        "Authorization: Bearer tok-jane\r\n",
        Passes("get /base/x?a=1 http/1.1", "jane"),
    ),
    attack(
        "an address of one's own",
        TOOL,
        "Authorization: Bearer tok-jane\r\nForwarded: for=10.0.0.1\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Host: 10.0.0.1\r\nX-Real-IP: 10.0.0.1\r\n",
        Passes(CREDENTIAL, "10.0.0.1"),
    ),
    attack(
        "the name of the front",
        TOOL,
        "Authorization: Bearer tok-jane\r\n",
        Passes("host: tool.example\r\n", "gw.example"),
    ),
    attack(
        "cookies of a browser",
        TOOL,
        "Authorization: Bearer tok-jane\r\nOrigin: https://gw.example\r\nCookie: session=other\r\n",
        Passes(CREDENTIAL, "cookie"),
    ),
    attack(
        "the same without an origin",
        TOOL,
        "Authorization: Bearer tok-jane\r\nSec-Fetch-Site: same-origin\r\nCookie: session=other\r\n",
        Passes(CREDENTIAL, "cookie"),
    ),
    attack(
        "the cookie of a token beside the token",
        TOOL,
        "Authorization: Bearer tok-jane\r\nCookie: token=tok-joe; theme=dark\r\n",
        Passes("cookie: theme=dark", "tok-joe"),
    ),
    attack(
        "a header that says that the credential goes no further",
        TOOL,
        "Authorization: Bearer tok-jane\r\nConnection: authorization\r\n",
        Refused(400),
    ),
    attack(
        "a credential for a proxy",
        TOOL,
        "Authorization: Bearer tok-jane\r\nProxy-Authorization: Basic dG9rLWphbmU6\r\n",
        Passes(CREDENTIAL, "proxy-authorization"),
    ),
    attack(
        "climbing, encoded",
        "GET /connectors/v1alpha1/n/tool/path/a/%2e%2e/b HTTP/1.1",
        "Authorization: Bearer tok-jane\r\n",
        Refused(400),
    ),
    attack(
        "climbing to another Connector",
        "GET /connectors/v1alpha1/n/tool/path/../../other/path/x HTTP/1.1",
        "Authorization: Bearer tok-jane\r\n",
        Refused(400),
    ),
    attack(
        "climbing with a parameter",
        "GET /connectors/v1alpha1/n/tool/path/..;/x HTTP/1.1",
        "Authorization: Bearer tok-jane\r\n",
        Refused(400),
    ),
    attack(
        "climbing behind an encoded slash",
        "GET /connectors/v1alpha1/n/tool/path/a%2f..%2fb HTTP/1.1",
        "Authorization: Bearer tok-jane\r\n",
        Refused(400),
    ),
    attack(
        "a backslash",
        "GET /connectors/v1alpha1/n/tool/path/a\\b HTTP/1.1",
        "Authorization: Bearer tok-jane\r\n",
        Refused(400),
    ),
    attack(
        "a backslash, encoded",
        "GET /connectors/v1alpha1/n/tool/path/a%5Cb HTTP/1.1",
        "Authorization: Bearer tok-jane\r\n",
        Refused(400),
    ),
    attack(
        "a line end, encoded",
        "GET /connectors/v1alpha1/n/tool/path/x%0d%0aX-Evil:1 HTTP/1.1",
        "Authorization: Bearer tok-jane\r\n",
        Refused(400),
    ),
    attack(
        "NUL, encoded",
        "GET /connectors/v1alpha1/n/tool/path/x%00 HTTP/1.1",
        "Authorization: Bearer tok-jane\r\n",
        Refused(400),
    ),
    attack(
        "a line end in the query, encoded, stays there",
        "GET /connectors/v1alpha1/n/tool/path/x?a=%0d%0aX-Evil:1 HTTP/1.1",
        "Authorization: Bearer tok-jane\r\n",
        Passes("get /base/x?a=%0d%0ax-evil:1 http/1.1", "\nx-evil"),
    ),
    attack(
        "an authority behind the Connector is a path",
        "GET /connectors/v1alpha1/n/tool/path//evil.example/x HTTP/1.1",
        "Authorization: Bearer tok-jane\r\n",
        Passes("get /base//evil.example/x http/1.1", NOTHING),
    ),
    attack(
        "userinfo behind the Connector is no path",
        "GET /connectors/v1alpha1/n/tool/path@evil.example/x HTTP/1.1",
        "Authorization: Bearer tok-jane\r\n",
        Refused(404),
    ),
    attack(
        "an unknown version",
        "GET /connectors/v1beta9/n/tool/path/x HTTP/1.1",
        "Authorization: Bearer tok-jane\r\n",
        Refused(404),
    ),
    attack(
        "an encoded slash in the name",
        "GET /connectors/v1alpha1/n%2ftool/path/x HTTP/1.1",
        "Authorization: Bearer tok-jane\r\n",
        Refused(404),
    ),
    attack(
        "a Connector that does not exist, without a token",
        "GET /connectors/v1alpha1/n/none/path/x HTTP/1.1",
        "",
        Refused(401),
    ),
    attack(
        "writing while that is off, without a token",
        "POST /connectors/v1alpha1/n/tool/path/x HTTP/1.1",
        "Content-Length: 0\r\n",
        Refused(405),
    ),
    attack(
        "the same by a header that other servers follow",
        TOOL,
        "Authorization: Bearer tok-jane\r\nX-HTTP-Method-Override: DELETE\r\n",
        Passes("get /base/x http/1.1", NOTHING),
    ),
    attack(
        "a method that no switch allows",
        "PROPFIND /connectors/v1alpha1/n/tool/path/x HTTP/1.1",
        "Authorization: Bearer tok-jane\r\n",
        Refused(405),
    ),
    attack(
        "the API of a class that has none",
        "GET /connectors/v1alpha1/namespaces/n/connectors/tool/resources/x HTTP/1.1",
        "Authorization: Bearer tok-jane\r\n",
        Refused(400),
    ),
];
