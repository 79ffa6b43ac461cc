//! Who somebody is, is for genkan to say.

use super::Section;
use super::requests::Then::{Passes, Refused};
use super::requests::{Attack, NOTHING, attack, carry_out};
use super::stage::Stage;

const KNOWN: &str = "GET /proxy/known/x HTTP/1.1";
const PLAIN: &str = "GET /proxy/x HTTP/1.1";
const API: &str = "GET /kapis/shop.example/v1/carts HTTP/1.1";

pub async fn section(stage: &Stage) -> Section {
    let preface = "Who somebody is, is for genkan to say, on every path and for every backend.";
    Section::new("Spoofing", preface, carry_out(ATTACKS, stage).await)
}

const ATTACKS: &[Attack] = &[
    attack(
        "a user of one's own",
        KNOWN,
        "X-Remote-User: root\r\n",
        Passes("x-remote-user: system:anonymous", "root"),
    ),
    attack(
        "the same to a backend that is told nothing",
        PLAIN,
        "X-Remote-User: root\r\n",
        Passes("get /proxy/x", "x-remote"),
    ),
    attack(
        "the same to an APIService",
        API,
        "X-Remote-User: root\r\n",
        Passes("x-remote-user: system:anonymous", "root"),
    ),
    attack(
        "another case",
        PLAIN,
        "x-rEmOtE-uSeR: root\r\n",
        Passes("get /proxy/x", "root"),
    ),
    attack(
        "an underscore for a hyphen",
        PLAIN,
        "X_Remote_User: root\r\n",
        Passes("get /proxy/x", "root"),
    ),
    attack(
        "both",
        PLAIN,
        "X-Remote_Group: system:masters\r\n",
        Passes("get /proxy/x", "masters"),
    ),
    attack(
        "a dot for a hyphen, as PHP reads it",
        KNOWN,
        "X.Remote.User: root\r\n",
        Passes("x-remote-user: system:anonymous", "root"),
    ),
    attack(
        "the same to a backend that is told nothing",
        PLAIN,
        "X.Remote.User: root\r\nx-remote.group: system:masters\r\nX.Plugin.User: root\r\n",
        Passes("get /proxy/x", "root"),
    ),
    attack(
        "any other byte for a hyphen",
        PLAIN,
        "X~Remote+User: root\r\nX!Remote'Extra|Scopes: root\r\n",
        Passes("get /proxy/x", "root"),
    ),
    attack(
        "an address of one's own, in a spelling beside that of genkan",
        PLAIN,
        "X_Forwarded_For: 10.0.0.1\r\nX.Forwarded.Proto: gopher\r\n",
        Passes("x-forwarded-for: 127.0.0.1", "10.0.0.1"),
    ),
    attack(
        "a group beside one's own",
        KNOWN,
        "Authorization: Bearer tok-jane\r\nX-Remote-Group: system:masters\r\n",
        Passes("x-remote-user: jane", "masters"),
    ),
    attack(
        "an uid",
        PLAIN,
        "X-Remote-Uid: 0\r\n",
        Passes("get /proxy/x", "x-remote"),
    ),
    attack(
        "an extra of any name",
        PLAIN,
        "X-Remote-Extra-Scopes%2fall: 1\r\n",
        Passes("get /proxy/x", "x-remote"),
    ),
    attack(
        "the headers of plug-ins",
        PLAIN,
        "X-Plugin-User: root\r\n",
        Passes("get /proxy/x", "x-plugin"),
    ),
    attack(
        "an identity on an upgrade",
        KNOWN,
        "Connection: Upgrade\r\nUpgrade: websocket\r\nX-Remote-User: root\r\n",
        Passes("x-remote-user: system:anonymous", "root"),
    ),
    attack(
        "an identity in a trailer",
        "POST /proxy/known/x HTTP/1.1",
        "Transfer-Encoding: chunked\r\nTrailer: X-Remote-User\r\n\r\n3\r\nabc\r\n0\r\nX-Remote-User: root\r\n",
        Passes("x-remote-user: system:anonymous", "root"),
    ),
    attack(
        "two tokens",
        PLAIN,
        "Authorization: Bearer tok-jane\r\nAuthorization: Bearer tok-joe\r\n",
        Refused(401),
    ),
    attack(
        "two tokens, one in the header of KubeSphere, and a header that says nothing",
        PLAIN,
        "Authorization:\r\nAuthorization: Bearer tok-jane\r\nX-KubeSphere-Authorization: Bearer tok-joe\r\n",
        Refused(401),
    ),
    attack(
        "two tokens in the header of KubeSphere",
        PLAIN,
        "X-KubeSphere-Authorization: Bearer tok-jane\r\nX-KubeSphere-Authorization: Bearer tok-joe\r\n",
        Refused(401),
    ),
    attack(
        "a token behind a token, which is not looked at",
        KNOWN,
        "Authorization: Bearer tok-jane tok-joe\r\n",
        Passes("x-remote-user: jane", "tok-"),
    ),
    attack(
        "a token behind two spaces, which kube-apiserver does not see",
        KNOWN,
        "Authorization: Bearer  tok-jane\r\n",
        Refused(401),
    ),
    attack(
        "a token nobody gave",
        PLAIN,
        "Authorization: Bearer made-up\r\n",
        Refused(401),
    ),
    attack(
        "another scheme for a token",
        PLAIN,
        "Authorization: Token tok-jane\r\n",
        Refused(401),
    ),
    attack(
        "a good token, to be kept by the backend",
        KNOWN,
        "Authorization: Bearer tok-jane\r\n",
        Passes("x-remote-user: jane", "tok-jane"),
    ),
    attack(
        "the same by the header of KubeSphere",
        KNOWN,
        "X-KubeSphere-Authorization: Bearer tok-jane\r\n",
        Passes("x-remote-user: jane", "tok-jane"),
    ),
    attack(
        "the same beside another",
        KNOWN,
        "Authorization: Bearer tok-joe\r\nX-KubeSphere-Authorization: Bearer tok-jane\r\n",
        Passes("x-remote-user: joe", "tok-"),
    ),
    attack(
        "a group for an APIService",
        API,
        "X-Remote-Group: system:masters\r\n",
        Passes("x-remote-group: system:unauthenticated", "masters"),
    ),
    attack(
        "the same name twice",
        KNOWN,
        "X-Remote-User: root\r\nx-remote-user: admin\r\n",
        Passes("x-remote-user: system:anonymous", "admin"),
    ),
    attack(
        "an identity on an upgrade to a backend that is told nothing",
        PLAIN,
        "Connection: Upgrade\r\nUpgrade: websocket\r\nX-Remote-User: root\r\n",
        Passes("upgrade: websocket", "x-remote"),
    ),
    attack(
        "an identity on an upgrade to an APIService",
        API,
        "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nx_remote_user: root\r\n",
        Passes("x-remote-user: system:anonymous", "root"),
    ),
    attack(
        "an upgrade in the middle of a word",
        KNOWN,
        "Connection: no-upgrade-please\r\nUpgrade: websocket\r\nX-Remote-User: root\r\n",
        Passes("x-remote-user: system:anonymous", "upgrade"),
    ),
    attack(
        "an extra that would shadow one of the identity",
        KNOWN,
        "Authorization: Bearer tok-extra\r\nX-Remote-Extra-Scopes: all\r\n",
        Passes("x-remote-user: extra", "scopes"),
    ),
    attack(
        "an extra whose key holds a line end",
        KNOWN,
        "Authorization: Bearer tok-extra\r\n",
        Passes(
            "x-remote-extra-x%0d%0ax-remote-group%3a%20system%3amasters: 1",
            "\nx-remote-group: system:masters",
        ),
    ),
    attack(
        "a name that holds a line end",
        KNOWN,
        "Authorization: Bearer tok-odd\r\n",
        Refused(403),
    ),
    attack(
        "a group that holds a comma",
        KNOWN,
        "Authorization: Bearer tok-many\r\n",
        Passes("x-remote-group: a,b\r\nx-remote-group: c\r\n", NOTHING),
    ),
    attack(
        "a cookie sent by another site",
        "POST /proxy/x HTTP/1.1",
        "Cookie: token=tok-jane\r\nOrigin: https://evil.example\r\n",
        Refused(403),
    ),
    attack(
        "a cookie with an upgrade from another site",
        PLAIN,
        "Cookie: token=tok-jane\r\nOrigin: https://evil.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
        Refused(403),
    ),
    attack(
        "the cookie of a visitor at the API server, by a page of a published UI",
        "GET /api/v1/secrets HTTP/1.1",
        "Cookie: token=unknown\r\nSec-Fetch-Site: same-origin\r\n",
        Refused(404),
    ),
    attack(
        "the same at another cluster",
        "GET /clusters/member/kapis/shop.example/v1/carts HTTP/1.1",
        "Cookie: token=unknown\r\nSec-Fetch-Site: same-origin\r\n",
        Refused(400),
    ),
    attack(
        "the same where it counts",
        "GET /kapis/shop.example/v1/carts HTTP/1.1",
        "Cookie: token=unknown\r\nSec-Fetch-Site: same-origin\r\n",
        Refused(401),
    ),
    attack(
        "a credential with two schemes",
        PLAIN,
        "Authorization: Basic cm9vdDpy\r\nAuthorization: Bearer tok-jane\r\n",
        Refused(401),
    ),
];
