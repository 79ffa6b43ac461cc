//! Requests through Connectors, decided by hand.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::collections::BTreeMap;
use std::sync::Arc;

use genkan_routing::access::{Attributes, Mode};
use genkan_routing::connectors::{
    Class, Connector, Credential, Generated, Injected, Operations, Position, Proxy, Role,
};
use genkan_routing::credential::Places;
use genkan_routing::decide::{
    self, Answer, Backend, Caller, Changed, Deciding, Destination, Next, Question, Request, Room, Settings,
    Verb,
};
use genkan_routing::identity::{Introduction, Unsendable};
use genkan_routing::model::{
    AuthType, Injection, Matcher, Operation, Provider, Secret, TokenSource, Unavailable,
};
use genkan_routing::{HeaderStore, Table};
use http::HeaderMap;

/// A destination that is known by where it leads; nowhere if that is empty.
#[derive(Debug)]
struct Place {
    base: &'static str,
    matcher: Matcher,
    nowhere: Unavailable,
    role: Role<Arc<Self>>,
}

#[derive(Debug)]
struct Jane(Introduction);

/// What became of a request, for comparison.
#[derive(Debug, PartialEq)]
enum End {
    /// Base, target and lines that were put on it.
    Sent(&'static str, String, Vec<String>),
    Refused(u16, String),
}

impl Caller for Jane {
    fn introduction(&self) -> Result<Option<&Introduction>, Unsendable> {
        Ok(Some(&self.0))
    }

    fn is_anonymous(&self) -> bool {
        false
    }
}

/// Of a Connector whose policies change the query.
#[derive(Debug, Clone, Copy)]
struct NewQuery;

impl decide::Policies for NewQuery {
    fn claims_authorization(&self) -> bool {
        false
    }

    fn acts(&self, place: decide::Place) -> bool {
        place == decide::Place::AfterReview
    }
}

impl Destination for Place {
    type Handle = Arc<Self>;
    type Policies = NewQuery;

    fn policies(&self) -> Option<NewQuery> {
        let connector = self.role.connector()?;
        connector.extensions.contains_key("policies").then_some(NewQuery)
    }

    fn role(&self) -> &Role<Arc<Self>> {
        &self.role
    }

    fn title(&self) -> &'static str {
        "Connector team/board"
    }

    fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    fn introduces_caller(&self) -> bool {
        false
    }

    fn forwards_authorization(&self) -> bool {
        false
    }

    fn backend(&self) -> Result<Backend<'_>, &Unavailable> {
        match self.base {
            "" => Err(&self.nowhere),
            base_path => Ok(Backend {
                base_path,
                directives: None,
            }),
        }
    }
}

fn mk_place(base: &'static str, role: Role<Arc<Place>>) -> Arc<Place> {
    Arc::new(Place {
        base,
        matcher: Matcher::ConnectorClass { name: "c".into() },
        nowhere: Unavailable::new("NonAPI", "no"),
        role,
    })
}

fn mk_secret() -> Arc<Secret> {
    let data = [("token", "t0ken"), ("username", "u"), ("password", "p")];
    Arc::new(Secret {
        kind: "Opaque".into(),
        data: data
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec().into()))
            .collect(),
    })
}

fn mk_class(api: &'static str, proxy: Proxy<Arc<Place>>) -> Arc<Place> {
    mk_class_with(api, proxy, None)
}

fn mk_class_with(api: &'static str, proxy: Proxy<Arc<Place>>, permissions: Option<&str>) -> Arc<Place> {
    let mk_auth = |is_optional, injection| AuthType {
        secret_type: "Opaque".into(),
        is_optional,
        keys: Vec::new(),
        injection,
    };
    let mk_operation = |template: &str, method: &str, provider| Operation {
        template: template.into(),
        methods: [(method.to_owned(), provider)].into(),
    };
    let auth: BTreeMap<String, AuthType> = [
        ("bearer".to_owned(), mk_auth(false, Injection::Bearer)),
        ("free".to_owned(), mk_auth(true, Injection::Bearer)),
        (
            "policy".to_owned(),
            mk_auth(false, Injection::Rego("a policy".into())),
        ),
        (
            "granted".to_owned(),
            mk_auth(
                false,
                Injection::OAuth2(TokenSource {
                    url: "https://login.example/token".into(),
                    scopes: vec!["read".into()],
                    authorities: None,
                }),
            ),
        ),
    ]
    .into();
    mk_place(
        api,
        Role::Class(Box::new(Class {
            operations: Operations::new([
                mk_operation("/mine", "GET", Provider::Api),
                mk_operation("/other/{x}", "GET", Provider::Tool("upload".into())),
                mk_operation("/lost", "GET", Provider::Tool("missing".into())),
            ]),
            auth,
            extensions: [("upload".to_owned(), mk_place("/uploads", Role::None))].into(),
            direct: BTreeMap::new(),
            proxy,
            permissions: permissions.map(ToOwned::to_owned),
        })),
    )
}

fn mk_connector(class: &str, auth: &str, credential: Credential) -> Arc<Place> {
    mk_place(
        "/tool",
        Role::Connector(Box::new(Connector {
            class: class.into(),
            address: "https://tool.example".into(),
            extensions: BTreeMap::new(),
            auth: auth.into(),
            credential,
        })),
    )
}

fn mk_table() -> Table<Arc<Place>, Arc<Place>> {
    let mut table = Table::<Arc<Place>, Arc<Place>>::default();
    let held = || Credential::Secret {
        title: "Secret team/x".into(),
        value: mk_secret(),
    };
    let all = &mut table.connectors;
    all.insert_class("whole", mk_class("/api", Proxy::BuiltIn));
    all.insert_class("bare", mk_class("", Proxy::None));
    for (class, host_suffix) in [
        ("by-host", Some("svc.corp.example".to_owned())),
        ("by-path", None),
    ] {
        let destination = mk_place("/proxy", Role::None);
        let own = Proxy::Own {
            destination,
            host_suffix,
        };
        all.insert_class(class, mk_class("", own));
    }
    for (name, class, auth, credential) in [
        ("board", "whole", "bearer", held()),
        ("open", "whole", "free", Credential::None),
        ("naked", "whole", "bearer", Credential::None),
        ("signed", "whole", "policy", held()),
        ("granted", "whole", "granted", held()),
        (
            "broken",
            "whole",
            "bearer",
            Credential::Problem("secrets \"x\" not found".into()),
        ),
        ("unproxied", "bare", "free", Credential::None),
        ("ghost", "gone", "free", Credential::None),
        ("odd", "whole", "unheard-of", held()),
        ("hosted", "by-host", "bearer", held()),
        ("pathed", "by-path", "bearer", held()),
    ] {
        all.insert("team", name, mk_connector(class, auth, credential));
    }
    let mut policed = Arc::into_inner(mk_connector("whole", "free", Credential::None)).unwrap();
    if let Role::Connector(connector) = &mut policed.role {
        connector
            .extensions
            .insert("policies".into(), mk_place("/never", Role::None));
    }
    all.insert("team", "policed", Arc::new(policed));
    table
}

/// Sends a request as somebody who may do everything; `asked` takes the rules that were asked for.
fn send(
    table: &Table<Arc<Place>, Arc<Place>>,
    method: &str,
    target: &str,
    lines: &[(&str, &str)],
    asked: &mut Vec<String>,
) -> (End, HeaderMap) {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        HeaderStore::append(&mut headers, name, value.as_bytes());
    }
    let places = Places {
        cookie: Some("token".into()),
    };
    let settings = Settings {
        places: Some(&places),
        mode: Mode::Pattern,
        forwards_always: true,
        front: None,
    };
    let request = Request {
        method,
        target: target.as_bytes(),
        host: "gw.example",
        door: Default::default(),
        is_upgrade: false,
        has_certificate: true,
    };
    let mut room = Room::default();
    let mut deciding = Deciding::new(request, table, settings, &mut room);
    loop {
        match deciding.next(&mut headers) {
            Next::Ask(Question::Who(_)) => {
                let jane = Introduction::new("jane", "", &[], &BTreeMap::new()).unwrap();
                deciding.is_called_by(Jane(jane));
            }
            Next::Ask(Question::May(access)) => {
                for reading in access.questions.readings() {
                    let both = [Some(reading.first), reading.then];
                    asked.extend(both.into_iter().flatten().map(|attributes| match attributes {
                        Attributes::Resource {
                            verb,
                            resource,
                            subresource,
                            name,
                            ..
                        } => format!("{verb} {resource}/{subresource} {name}"),
                        Attributes::NonResource { path, .. } => path.to_string(),
                    }));
                }
                deciding.is_allowed();
            }
            Next::Ask(Question::Verb(judging)) => {
                assert!(judging.secret.is_none());
                asked.push(format!("policy {}", String::from_utf8_lossy(judging.path)));
                deciding.counts_as(match judging.policy {
                    "all reads" => Verb::Read,
                    "all deletes" => Verb::Delete,
                    _ => Verb::OfMethod,
                });
            }
            Next::Ask(Question::Policies(_)) => {
                assert_eq!(deciding.query(), Some(&b"key=secret&a=1"[..]));
                deciding.is_passed(Changed {
                    query: Some(b"a=1".to_vec()),
                    ..Changed::default()
                });
            }
            Next::Ask(Question::Token(grant)) => {
                assert_eq!(grant.source.url, "https://login.example/token");
                assert_eq!((grant.client.id, grant.client.secret), (&b"u"[..], &b"p"[..]));
                deciding.is_generated(Injected::bearer("granted", [1; 32]).unwrap());
            }
            Next::Ask(Question::Generate(generation)) => {
                assert_eq!((generation.class, generation.policy), ("whole", "a policy"));
                let made = Generated {
                    position: Position::Query,
                    content_type: String::new(),
                    auth: vec![("key".into(), "k&1".into())],
                };
                deciding.is_generated(made.try_into().unwrap());
            }
            Next::Forward(plan) => {
                let call = plan.call.unwrap();
                assert!(
                    target.as_bytes().starts_with(call.base) && call.base.contains(&b'c'),
                    "{target}"
                );
                let put = &call.injected.headers;
                let put = put
                    .iter()
                    .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
                let put = put.chain(call.host.map(|host| format!("host: {host}")));
                let target = String::from_utf8(plan.target).unwrap();
                return (End::Sent(plan.route.base, target, put.collect()), headers);
            }
            Next::Answer(Answer::Refused(refused)) => {
                return (End::Refused(refused.code, refused.message), headers);
            }
            Next::Answer(answer) => panic!("{answer:?}"),
        }
    }
}

const TOKEN: (&str, &str) = ("authorization", "Bearer tok-jane");

#[track_caller]
fn end(name: &str, behind: &str) -> End {
    let target = format!("/connectors/v1alpha1/team/{name}/path{behind}");
    send(&mk_table(), "GET", &target, &[TOKEN], &mut Vec::new()).0
}

fn sent(base: &'static str, target: &str, put: &[&str]) -> End {
    let put = put.iter().map(|line| (*line).to_owned()).collect();
    End::Sent(base, target.to_owned(), put)
}

#[test]
fn who_answers_follows_from_the_description() {
    const BEARER: &str = "authorization: Bearer t0ken";
    for (behind, expected) in [
        ("", sent("/tool", "/tool", &[BEARER])),
        ("/", sent("/tool", "/tool/", &[BEARER])),
        (
            "/x?b=2&a=1&a=%20&empty=",
            sent("/tool", "/tool/x?b=2&a=1&a=%20&empty=", &[BEARER]),
        ),
        (
            "/f/%E4%BD%A0+~x?q=name%3D~a",
            sent("/tool", "/tool/f/%E4%BD%A0+~x?q=name%3D~a", &[BEARER]),
        ),
        (
            "/other/a%2Fb/",
            sent("/uploads", "/uploads/other/a%2Fb/", &[BEARER]),
        ),
    ] {
        assert_eq!(end("board", behind), expected, "{behind}");
    }
    let End::Sent("/api", target, put) = end("board", "/mine?q=1") else {
        panic!("the API of the class answers");
    };
    assert_eq!(target, "/api/mine?q=1");
    assert_eq!(put.len(), 3);
    assert!(put.iter().all(|line| line.starts_with("x-plugin-")), "{put:?}");
}

/// A key that a policy judged in the query goes no further than that.
#[test]
fn the_tool_sees_the_query_that_policies_made() {
    assert_eq!(
        end("policed", "/x?key=secret&a=1"),
        sent("/tool", "/tool/x?a=1", &[])
    );
}

#[test]
fn credentials_are_those_of_the_connector() {
    assert_eq!(end("open", "/x"), sent("/tool", "/tool/x", &[]));
    assert_eq!(
        end("signed", "/x?limit=5&key=mine"),
        sent("/tool", "/tool/x?limit=5&key=k%261", &[])
    );
    assert_eq!(
        end("granted", "/x"),
        sent("/tool", "/tool/x", &["authorization: Bearer granted"])
    );
    for (name, behind, part) in [
        ("naked", "/x", "names no Secret"),
        ("broken", "/x", "not found"),
        ("odd", "/x", "has no auth type 'unheard-of'"),
        ("ghost", "/x", "connectorclass 'gone' not found"),
        (
            "unproxied",
            "/x",
            "proxy address of connectorclass 'bare' is not resolved",
        ),
        (
            "unproxied",
            "/mine",
            "api address of connectorclass 'bare' is not resolved",
        ),
        ("board", "/lost", "x-openapi-address 'missing' of '/lost'"),
    ] {
        let End::Refused(400, message) = end(name, behind) else {
            panic!("{name}{behind}");
        };
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(
        end("nobody", "/x"),
        End::Refused(404, "connectors.connectors.alauda.io \"nobody\" not found".into())
    );
}

#[test]
fn shape_and_method_come_before_anybody_is_known() {
    let table = mk_table();
    for (method, path, code) in [
        ("GET", "/connectors/v1beta9/team/board/path/x", 404),
        ("GET", "/connectors/v1alpha1/team/board/x", 404),
        ("POST", "/connectors/v1alpha1/team/board/path/x", 405),
        ("TRACE", "/connectors/v1alpha1/team/board/path/x", 405),
        ("GET", "/connectors/v1alpha1/team/board/path/a%2F..%2Fb", 400),
        ("GET", "/connectors/v1alpha1/team/board/path/a%0Ab", 400),
        ("POST", "/connectors-operator/featureflags", 405),
    ] {
        let (ended, _) = send(&table, method, path, &[], &mut Vec::new());
        let End::Refused(got, message) = ended else {
            panic!("{method} {path}")
        };
        assert_eq!(got, code, "{method} {path}: {message}");
    }
    let target = "/connectors/v1alpha1/team/board/path/x";
    for (lines, code, part) in [
        (&[][..], 401, "a Bearer token must be provided"),
        (&[("authorization", "")], 401, "a Bearer token must be provided"),
        (
            &[("cookie", "token=tok-jane")],
            401,
            "a Bearer token must be provided",
        ),
        (&[("authorization", "Basic dTpw")], 401, "must use Bearer"),
        (&[TOKEN, ("impersonate-user", "root")], 403, "impersonation"),
    ] {
        let (ended, _) = send(&table, "GET", target, lines, &mut Vec::new());
        let End::Refused(got, message) = ended else {
            panic!("{lines:?}")
        };
        assert!(got == code && message.contains(part), "{got} {message}");
    }
}

#[test]
fn a_second_review_asks_for_the_class_or_the_operation() {
    let mut table = mk_table();
    let path = |behind: &str| format!("/connectors/v1alpha1/team/board/path{behind}");
    let mut asked = Vec::new();
    send(&table, "GET", &path("/other/1"), &[TOKEN], &mut asked);
    assert_eq!(asked, ["get connectors/ board"]);
    table.connectors.writes = true;
    table.connectors.reviews_operations = true;
    for (method, behind, expected) in [
        (
            "HEAD",
            "/other/1",
            &[
                "get connectors/ board",
                "get connectors/apis/whole board",
                "get connectors/apis/whole/other/{x} board",
            ][..],
        ),
        (
            "GET",
            "/elsewhere",
            &["get connectors/ board", "get connectors/apis/whole board"],
        ),
        // Declared, but not with this method.
        (
            "POST",
            "/other/1",
            &["get connectors/ board", "create connectors/apis/whole board"],
        ),
        (
            "DELETE",
            "/x",
            &["get connectors/ board", "delete connectors/apis/whole board"],
        ),
    ] {
        let mut asked = Vec::new();
        send(&table, method, &path(behind), &[TOKEN], &mut asked);
        assert_eq!(asked, expected, "{method} {behind}");
    }
    // Of what does not exist nothing more is asked, and nothing told.
    let mut asked = Vec::new();
    send(
        &table,
        "GET",
        "/connectors/v1alpha1/team/nobody/path/x",
        &[TOKEN],
        &mut asked,
    );
    assert_eq!(asked, ["get connectors/ nobody"]);
}

#[test]
fn a_policy_says_which_verb_the_second_review_asks_for() {
    for (policy, verb) in [
        ("all reads", "get"),
        ("all deletes", "delete"),
        ("other", "create"),
    ] {
        let mut table = mk_table();
        table.connectors.writes = true;
        table
            .connectors
            .insert_class("whole", mk_class_with("/api", Proxy::BuiltIn, Some(policy)));
        let target = "/connectors/v1alpha1/team/board/path/x";
        let ask = |table: &Table<_, _>| {
            let mut asked = Vec::new();
            let (end, _) = send(table, "POST", target, &[TOKEN], &mut asked);
            assert!(matches!(end, End::Sent(..)), "{end:?}");
            asked
        };
        assert_eq!(ask(&table), ["get connectors/ board"], "it is not asked for");
        table.connectors.reviews_operations = true;
        // The policy runs for whoever may know the Connector, and for nobody else.
        let expected = [
            "get connectors/ board".to_owned(),
            "policy /x".to_owned(),
            "get connectors/ board".to_owned(),
            format!("{verb} connectors/apis/whole board"),
        ];
        assert_eq!(ask(&table), expected, "{policy}");
    }
}

#[test]
fn the_caller_stays_behind() {
    let lines = [
        TOKEN,
        ("x-copy", "is tok-jane here"),
        ("x-forwarded-for", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
        ("x-real-ip", "10.0.0.1"),
        ("x-plugin-secret", "mine"),
        ("cookie", "a=b; token=other"),
        ("accept", "text/plain"),
    ];
    let target = "/connectors/v1alpha1/team/open/path/x?a=1&t=tok-jane&b=2";
    let (ended, headers) = send(&mk_table(), "GET", target, &lines, &mut Vec::new());
    assert_eq!(ended, sent("/tool", "/tool/x?a=1&b=2", &[]));
    let left: Vec<&str> = headers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(left, ["cookie", "accept"]);
    assert_eq!(headers["cookie"], "a=b");
    let by_browser = [TOKEN, ("cookie", "a=b"), ("sec-fetch-site", "same-origin")];
    let (_, headers) = send(&mk_table(), "GET", target, &by_browser, &mut Vec::new());
    assert!(!headers.contains_key("cookie"));
}

#[test]
fn a_proxy_of_the_class_is_told_which_connector_and_who_calls() {
    let named = ["host: c-hosted.team.svc.corp.example"];
    for (name, expected) in [
        ("hosted", sent("/proxy", "/proxy/x?a=1", &named)),
        (
            "pathed",
            sent("/proxy", "/proxy/namespaces/team/connectors/pathed/x?a=1", &[]),
        ),
    ] {
        let target = format!("/connectors/v1alpha1/team/{name}/path/x?a=1");
        let (ended, headers) = send(&mk_table(), "GET", &target, &[TOKEN], &mut Vec::new());
        assert_eq!(ended, expected);
        assert_eq!(headers["authorization"], "Bearer tok-jane", "{name}");
    }
}

#[test]
fn the_old_shape_leads_to_the_api_of_the_class() {
    let old =
        |name: &str| format!("/connectors/v1alpha1/namespaces/team/connectors/{name}/resources/gitrefs?a=1");
    let (ended, _) = send(&mk_table(), "GET", &old("open"), &[TOKEN], &mut Vec::new());
    let End::Sent("/api", target, _) = ended else {
        panic!("{ended:?}")
    };
    assert_eq!(target, "/api/gitrefs?a=1");
}
