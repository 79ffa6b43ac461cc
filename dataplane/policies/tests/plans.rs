//! Whole plans: definitions, hooks, branches, shadows, keys that are fetched, limiters that stay.

#![allow(clippy::unwrap_used, reason = "a plan that cannot be made fails the test")]

#[path = "vectors/mk.rs"]
mod mk;
#[path = "plans/setup.rs"]
mod setup;

use genkan_policies::failure::Counted;
use genkan_policies::{AnswerKind, ProblemReason};
use genkan_routing::model::policy::{FailurePolicy, Mode};
use serde_json::json;

use setup::{Setup, header};

#[test]
fn a_plan_of_nothing_is_empty() {
    let setup = Setup::new(json!([]));
    let plan = setup.link().unwrap();
    assert!(plan.is_empty() && !plan.is_for_responses() && !plan.claims_authorization());
}

#[test]
fn definitions_have_parameters_with_defaults_and_limits() {
    let setup = Setup::new(json!([{"use": "tenant@1", "with": {"zone": "eu"}}])).define(json!({
        "policy": "tenant", "version": "1.2.0",
        "parameters": {"type": "object", "required": ["zone"], "properties": {
            "zone": {"type": "string", "enum": ["eu", "us"]},
            "status": {"type": "integer", "default": 418},
        }},
        "steps": [
            {"use": "set", "with": {"headers": {"set": {"x-zone": "z-{{ params.zone }}"}}}},
            {"use": "throw", "when": "request.method == 'DELETE'",
             "with": {"error": "No{{ params.zone }}", "status": "{{ params.status }}", "message": "not in {{ params.zone }}"}},
        ],
    }));
    let done = setup.send("GET", &[]);
    assert_eq!(header(&done.headers, "x-zone"), Some("z-eu"));
    let done = setup.send("DELETE", &[]);
    let answer = done.answer.unwrap();
    assert_eq!((answer.status, &*answer.reason), (418, "Noeu"));
    assert_eq!(&*answer.step, "ReverseProxy shop/policies[0]/1");

    for (with, said) in [
        (json!({}), "zone"),
        (json!({"zone": "mars"}), "spec.policies[0].with.zone"),
    ] {
        let setup = setup.with_policies(json!([{"use": "tenant", "with": with}]));
        let problem = setup.link().unwrap_err();
        assert!(problem.message.contains(said), "{}", problem.message);
        assert_eq!(problem.reason, ProblemReason::Invalid);
    }
}

/// What a request says reaches inner steps as a value only, and never as a template.
#[test]
fn parameters_can_be_computed_and_inject_nothing() {
    let setup =
        Setup::new(json!([{"use": "p", "with": {"a": "{{ request.headers['x-in'] }}"}}])).define(json!({
            "policy": "p", "version": "1.0.0",
            "parameters": {"type": "object", "properties": {"a": {"type": "string", "maxLength": 20}}},
            "steps": [{"use": "set", "with": {"headers": {"set": {"x-out": "{{ params.a }}"}}}}],
        }));
    let done = setup.send("GET", &[("x-in", "{{ auth.user }}")]);
    assert_eq!(header(&done.headers, "x-out"), Some("{{ auth.user }}"));
    let done = setup.send("GET", &[("x-in", "longer than twenty letters")]);
    assert_eq!(done.answer.unwrap().reason, "PolicyFailed");
    let glued = setup.with_policies(json!([{"use": "q", "with": {"a": "{", "b": "{ auth.user }}"}}]));
    let glued = glued.define(json!({
        "policy": "q", "version": "1.0.0", "parameters": {"type": "object"},
        "steps": [{"use": "set", "with": {"headers": {"set": {"x-out": "{{ params.a + params.b }}"}}}}],
    }));
    assert!(glued.link().unwrap_err().message.contains("may not make {{"));
}

#[test]
fn errors_are_caught_and_the_end_is_run_in_any_case() {
    let setup = Setup::new(json!([{"use": "p"}])).define(json!({
        "policy": "p", "version": "1.0.0",
        "steps": [{"use": "set", "with": {"headers": {"set": {"x-a": "{{ vars.nothing }}"}}}}],
        "catch": [
            {"errors": ["Other"], "steps": [{"use": "throw", "with": {"error": "Wrong"}}]},
            {"errors": ["Policy*"], "steps": [{"use": "set", "with": {"headers": {"set": {"x-caught": "1"}}}}]},
        ],
        "finally": [
            {"use": "set", "with": {"headers": {"set": {"x-end": "1"}}}},
            {"use": "throw", "with": {"error": "Unheard"}},
        ],
    }));
    let done = setup.send("GET", &[]);
    assert!(done.answer.is_none(), "{:?}", done.answer);
    assert_eq!(header(&done.headers, "x-caught"), Some("1"));
    assert_eq!(header(&done.headers, "x-end"), Some("1"));
}

fn mk_guard(steps: serde_json::Value, catch: serde_json::Value) -> serde_json::Value {
    json!({"policy": "p", "version": "1.0.0", "steps": steps, "catch": catch})
}

/// A step that fails in front of one that protects does not take that with it.
#[test]
fn continuing_around_a_definition_skips_nothing_that_protects() {
    let fails = json!({"use": "set", "with": {"headers": {"set": {"x-a": "{{ vars.nothing }}"}}}});
    let denies = json!({"use": "authorize", "with": {"cel": "auth.user == 'bob'"}});
    let used = json!([{"use": "p", "onError": "Continue"}]);
    let setup = Setup::new(used.clone()).define(mk_guard(json!([fails, denies]), json!([])));
    assert_eq!(setup.send("GET", &[]).answer.unwrap().reason, "PolicyFailed");
    let setup = Setup::new(used).define(mk_guard(json!([fails]), json!([])));
    assert!(setup.send("GET", &[]).answer.is_none());
    let within = json!([{"use": "switch", "onError": "Continue", "with": {"cases": [
        {"when": "true", "steps": [fails, denies]}
    ]}}]);
    assert_eq!(
        Setup::new(within).send("GET", &[]).answer.unwrap().reason,
        "PolicyFailed"
    );
}

#[test]
fn what_protects_is_caught_by_an_answer_alone() {
    let denies = json!({"use": "authorize", "with": {"cel": "auth.user == 'bob'"}});
    let breaks = json!({"use": "authorize", "with": {"cel": "vars.nothing == 1"}});
    let fails = json!({"use": "set", "with": {"headers": {"set": {"x-a": "{{ vars.nothing }}"}}}});
    let throws = json!({"use": "throw", "with": {"error": "Mine"}});
    let limits = json!({"use": "rateLimit", "with": {"requests": 1, "per": "1m", "weight": "2"}});
    let notes = json!([{"errors": ["*"], "steps": [{"use": "set", "with": {"headers": {"set": {"x-caught": "1"}}}}]}]);
    let of = |steps: serde_json::Value, catch: &serde_json::Value| {
        let setup = Setup::new(json!([{"use": "p"}])).define(mk_guard(steps, catch.clone()));
        let done = setup.send("GET", &[]);
        done.answer.map(|answer| answer.reason.into_owned())
    };
    assert_eq!(of(json!([denies]), &notes).as_deref(), Some("PolicyDenied"));
    assert_eq!(of(json!([breaks]), &notes).as_deref(), Some("PolicyFailed"));
    // It was not reached.
    assert_eq!(
        of(json!([fails, denies]), &notes).as_deref(),
        Some("PolicyFailed")
    );
    assert_eq!(of(json!([throws, denies]), &notes).as_deref(), Some("Mine"));
    for caught in [&fails, &throws, &limits] {
        assert_eq!(of(json!([caught]), &notes), None, "{caught}");
    }
    let answers = json!([{"errors": ["*"], "steps": [{"use": "throw", "with": {"error": "Other"}}]}]);
    assert_eq!(of(json!([denies]), &answers).as_deref(), Some("Other"));
}

/// Neither does a definition around it, when another answer has taken the place of the first.
#[test]
fn what_protects_is_not_let_pass_further_out() {
    let denies = json!({"use": "authorize", "with": {"cel": "auth.user == 'bob'"}});
    let answers = json!([{"errors": ["*"], "steps": [{"use": "throw", "with": {"error": "Other"}}]}]);
    let outer = json!({"policy": "o", "version": "1.0.0", "steps": [{"use": "p"}], "catch": [
        {"errors": ["*"], "steps": [{"use": "set"}]}
    ]});
    let setup = Setup::new(json!([{"use": "o"}]));
    let setup = setup.define(mk_guard(json!([denies]), answers)).define(outer);
    assert_eq!(setup.send("GET", &[]).answer.unwrap().reason, "Other");
    let setup = Setup::new(json!([{"use": "o"}, {"use": "set"}])).allow_fail_open("authorize");
    let outer = json!({"policy": "o", "version": "1.0.0", "steps": [
        {"use": "authorize", "with": {"cel": "vars.nothing == 1"}}
    ], "catch": [{"errors": ["*"], "steps": [{"use": "set"}]}]});
    assert!(setup.define(outer).send("GET", &[]).answer.is_none());
}

#[test]
fn definitions_do_not_use_themselves_and_are_not_too_deep() {
    let steps = json!([{"use": "a"}]);
    let setup = Setup::new(steps.clone())
        .define(json!({"policy": "a", "version": "1.0.0", "steps": [{"use": "b"}]}))
        .define(json!({"policy": "b", "version": "1.0.0", "steps": [{"use": "a"}]}));
    let problem = setup.link().unwrap_err();
    assert!(
        problem.message.ends_with("a@1.0.0 uses itself"),
        "{}",
        problem.message
    );

    let mut setup = Setup::new(json!([{"use": "d0"}]));
    for level in 0..12 {
        let next = format!("d{}", level + 1);
        setup = setup
            .define(json!({"policy": format!("d{level}"), "version": "1.0.0", "steps": [{"use": next}]}));
    }
    let setup = setup.define(json!({"policy": "d12", "version": "1.0.0", "steps": []}));
    assert!(setup.link().unwrap_err().message.contains("nested deeper than 8"));

    let many: Vec<_> = (0..30).map(|_| json!({"use": "set"})).collect();
    let setup = Setup::new(json!([{"use": "m"}, {"use": "m"}, {"use": "m"}]));
    let setup = setup.define(json!({"policy": "m", "version": "1.0.0", "steps": many}));
    let problem = setup.link().unwrap_err();
    assert_eq!(problem.reason, ProblemReason::LimitExceeded);
    assert_eq!(problem.message, "ReverseProxy shop: 93 steps, the limit is 64");
}

#[test]
fn branches_are_tried_in_order() {
    let set = |value: &str| json!([{"use": "set", "with": {"headers": {"set": {"x-p": value}}}}]);
    let setup = Setup::new(json!([{"use": "switch", "with": {
        "cases": [
            {"when": "request.method == 'POST'", "steps": [{"use": "throw", "with": {"error": "A"}}]},
            {"when": "request.headers[?'plan'].orValue('') == 'gold'", "steps": set("g")},
            {"when": "true && request.method == 'PUT'", "steps": set("put")},
        ],
        "otherwise": set("o"),
    }}]));
    assert_eq!(setup.send("POST", &[]).answer.unwrap().reason, "A");
    for (method, headers, wanted) in [
        ("GET", &[("plan", "gold")][..], "g"),
        ("PUT", &[], "put"),
        ("GET", &[], "o"),
    ] {
        assert_eq!(header(&setup.send(method, headers).headers, "x-p"), Some(wanted));
    }
    let inner = setup.with_policies(json!([{"use": "switch", "with": {
        "cases": [{"when": "true", "steps": [{"use": "switch", "with": {"cases": [], "otherwise": [{"use": "p"}]}}]}],
    }}]));
    let inner = inner.define(json!({"policy": "p", "version": "1.0.0"}));
    assert_eq!(
        inner.link().unwrap_err().message,
        "spec.policies[0].with.cases[0].steps[0].with.otherwise[0]: user-defined policies are not allowed inside \
         switch here; write a PolicyDefinition"
    );
}

#[test]
fn a_shadow_changes_and_blocks_nothing() {
    let setup = Setup::new(json!([
        {"use": "set", "mode": "Shadow", "with": {"headers": {"set": {"x-a": "1"}}, "vars": [{"name": "v", "value": 1}]}},
        {"use": "throw", "mode": "Shadow", "with": {"error": "A"}},
        {"use": "throw", "mode": "Disabled", "with": {"error": "B"}},
    ]));
    let done = setup.send("GET", &[]);
    assert!(done.answer.is_none() && done.headers.is_empty() && done.state.vars.is_empty());
    let counted = &done.state.counted;
    assert_eq!(counted.len(), 1);
    assert_eq!(counted[0].1, Counted::Shadow);
    assert_eq!(&*counted[0].0, "ReverseProxy shop/policies[1]");
}

#[test]
fn errors_pass_only_where_nothing_is_protected() {
    let set =
        json!({"use": "set", "onError": "Continue", "with": {"headers": {"set": {"x-a": "{{ vars.no }}"}}}});
    let setup = Setup::new(json!([set]));
    let done = setup.send("GET", &[]);
    assert!(done.answer.is_none());
    assert_eq!(done.state.counted[0].1, Counted::Error);

    let authorize = json!({"use": "authorize", "onError": "Continue", "with": {"cel": "vars.no == 1"}});
    let setup = Setup::new(json!([authorize]));
    let answer = setup.send("GET", &[]).answer.unwrap();
    assert_eq!((answer.status, answer.kind), (500, AnswerKind::Failed));
    assert!(!answer.detail.is_empty() && !answer.message.contains("vars"));
    assert!(
        setup
            .allow_fail_open("authorize")
            .send("GET", &[])
            .answer
            .is_none()
    );

    // The step around it may let an error pass, but not one of what protects.
    for (inner, is_open) in [("set", true), ("authorize", false)] {
        let with = match inner {
            "set" => json!({"headers": {"set": {"x-a": "{{ vars.no }}"}}}),
            _ => json!({"cel": "vars.no == 1"}),
        };
        let setup = Setup::new(json!([{"use": "p", "onError": "Continue"}]));
        let setup = setup.define(json!({
            "policy": "p", "version": "1.0.0", "steps": [{"use": inner, "with": with}],
        }));
        assert_eq!(setup.send("GET", &[]).answer.is_none(), is_open, "{inner}");
    }
}

#[test]
fn hooks_stand_where_they_are_put_and_fail_as_their_entry_says() {
    let failing = json!({"use": "set", "with": {"headers": {"set": {"x-a": "{{ vars.no }}"}}}});
    let setup = Setup::new(json!([])).hook("a", json!({"at": "PreRequest", "steps": [failing]}));
    let answer = setup.send("GET", &[]).answer.unwrap();
    assert_eq!(&*answer.step, "ext/a/0");
    assert!(
        setup
            .fail(FailurePolicy::FailOpen)
            .send("GET", &[])
            .answer
            .is_none()
    );

    let body = json!({"use": "validateSchema", "with": {"schema": true}});
    for (hook, said) in [
        (
            json!({"at": "PreRequest", "position": "BeforeBuiltin", "steps": [body]}),
            "ext/a: validateSchema reads a body, which is not allowed before the access review",
        ),
        (
            json!({"at": "PostRequest", "steps": [body]}),
            "ext/a: validateSchema reads a body, which is not allowed when the head is sent",
        ),
        (
            json!({"at": "PreRequest", "steps": [{"use": "jwt", "with": {"keys": {"secret": "k"}}}]}),
            "ext/a: steps[0].with.keys.secret: there is no alias k in spec.secrets of its extension",
        ),
        (
            json!({"at": "PreRequest", "steps": [{"use": "transform"}]}),
            "ext/a: steps[0]: transform is not run by this version of genkan",
        ),
        (
            json!({"at": "PostResponse", "steps": [{"use": "filter"}]}),
            "ext/a: steps[0]: filter is for requests, and not for answers",
        ),
    ] {
        let problem = Setup::new(json!([])).hook("a", hook).link().unwrap_err();
        assert_eq!(problem.message, said);
    }
}

#[test]
fn answers_have_steps_of_their_own() {
    let setup = Setup::new(json!([
        {"use": "p"},
        {"use": "set", "on": "Response", "with": {"status": 203, "headers": {"set": {"x-s": "{{ message.status }}"}}}},
        {"use": "check", "on": "Response", "with": {"rules": [{"cel": "response.status < 500", "message": "no"}]}},
    ]))
    .define(json!({"policy": "p", "version": "1.0.0", "steps": [
        {"use": "set", "with": {"headers": {"set": {"x-request": "1"}}}},
        {"use": "set", "on": "Response", "with": {"headers": {"remove": ["server*"], "set": {"x-m": "{{ request.method }}"}}}},
    ]}));
    let (done, status) = setup.answer(200, &[("server", "x"), ("server-timing", "y")]);
    assert!(done.answer.is_none(), "{:?}", done.answer);
    assert_eq!(status, 203);
    assert_eq!(header(&done.headers, "x-s"), Some("200"));
    assert_eq!(header(&done.headers, "x-m"), Some("GET"));
    assert!(header(&done.headers, "server").is_none() && header(&done.headers, "x-request").is_none());
    assert_eq!(header(&setup.send("GET", &[]).headers, "x-request"), Some("1"));

    // A refusal of an answer is the gateway's: 502.
    let setup = setup.with_policies(json!([
        {"use": "check", "on": "Response", "with": {"rules": [{"cel": "response.status < 500", "message": "no"}]}},
    ]));
    let answer = setup.answer(500, &[]).0.answer.unwrap();
    assert_eq!((answer.status, &*answer.reason), (502, "CheckFailed"));
}

#[test]
fn queries_keep_the_pairs_that_nobody_means() {
    let setup = Setup::new(json!([{"use": "set", "with": {"query": {
        "set": {"b": "{{ request.query.a }}&x"}, "add": {"n": "1 2"}, "remove": ["gone"],
    }}}]));
    let done = setup.get("a=%2f%2F&b=1&gone=2&b=3&c");
    assert_eq!(
        done.state.query.as_deref(),
        Some("a=%2f%2F&c&b=%2F%2F%26x&n=1%202")
    );
}

#[test]
fn limiters_stay_when_a_plan_is_linked_again() {
    let steps = |requests: u64| json!([{"use": "rateLimit", "with": {"requests": requests, "per": "1h"}}]);
    let setup = Setup::new(steps(1));
    let plan = setup.link().unwrap();
    assert!(setup.send_to(&plan, "GET", &[]).answer.is_none());
    let again = setup.link().unwrap();
    drop(plan);
    assert_eq!(
        setup.send_to(&again, "GET", &[]).answer.unwrap().reason,
        "RateLimited"
    );
    drop(again);
    let changed = setup.with_policies(steps(2));
    assert!(changed.send("GET", &[]).answer.is_none());
}

#[test]
fn the_log_is_redacted_before_it_is_written() {
    let setup = Setup::new(json!([
        {"use": "log", "with": {"fields": {"early": "'4111'", "kept": "'a'", "json": "{'card': '4111', 'n': 1, 'in': [{'pin': 7}]}"}}},
        {"use": "redact", "with": {"rules": [
            {"pointer": "/early", "in": ["log"]},
            {"pointer": "/json/card", "action": "Remove", "in": ["log"]},
            {"jsonata": "late.card", "with": "X", "in": ["log"]},
            {"jsonata": "$.**.pin", "in": ["log"]},
        ]}},
        {"use": "log", "with": {"fields": {"late": "[{'card': 1}, {'card': 2}]", "nothing": "vars.no"}}},
    ]));
    let done = setup.send("GET", &[]);
    assert!(done.answer.is_none());
    let log: Vec<_> = done
        .state
        .log
        .iter()
        .map(|(name, text)| (&**name, text.as_str()))
        .collect();
    assert_eq!(
        log,
        [
            ("early", "***"),
            ("json", r#"{"in":[{"pin":"***"}],"n":1}"#),
            ("kept", "a"),
            ("late", r#"[{"card":"X"},{"card":"X"}]"#),
        ]
    );
}

#[test]
fn overrides_are_merged_from_broad_to_narrow() {
    let limit = |requests: u64| json!({"limits": {"gold": {"requests": requests, "per": "1h"}}});
    let named = json!([{"use": "rateLimit", "with": {"named": "gold"}}]);
    let allowed = |setup: &Setup| {
        let plan = setup.link().unwrap();
        (0..9)
            .filter(|_| setup.send_to(&plan, "GET", &[]).answer.is_none())
            .count()
    };
    let setup = Setup::new(named.clone()).settings("z", 0, json!({"settings": limit(2)}));
    assert_eq!(allowed(&setup), 2);
    let setup = setup
        .settings(
            "a",
            9,
            json!({"select": {"names": ["sh*"]}, "settings": limit(4)}),
        )
        .settings(
            "b",
            0,
            json!({"select": {"names": ["other"]}, "settings": limit(8)}),
        );
    assert_eq!(allowed(&setup), 4);
    let setup = setup.settings("c", 10, json!({"select": {"names": ["shop"]}, "exclusive": true}));
    assert!(
        setup
            .link()
            .unwrap_err()
            .message
            .ends_with("with.named: there is no limit gold")
    );

    let deep = json!([{"use": "filter", "with": {"json": {}}}]);
    let setup = Setup::new(deep).settings("a", 0, json!({"settings": {"parse": {"depth": 2}}}));
    assert_eq!(setup.post("[[]]").answer.map(|answer| answer.reason), None);
    assert_eq!(setup.post("[[[]]]").answer.unwrap().reason, "FilterRefused");
    let setup = setup.with_policies(json!([{"use": "filter", "with": {"json": {"maxDeep": 2}}}]));
    let problem = setup.link().unwrap_err();
    assert!(
        problem
            .message
            .starts_with("spec.policies[0].with.json.maxDeep: "),
        "{}",
        problem.message
    );
}

/// Nothing of a request line is changed where it is made already.
#[test]
fn hooks_behind_the_request_line_do_not_change_it() {
    for (step, field) in [
        (
            json!({"use": "set", "with": {"query": {"set": {"a": "1"}}}}),
            "with.query",
        ),
        (
            json!({"use": "jwt", "with": {"keys": {"url": "https://idp.example/jwks"}, "identity": {"user": "'x'"}}}),
            "with.identity",
        ),
        (
            json!({"use": "jwt", "with": {"keys": {"url": "https://idp.example/jwks"}, "from": [{"query": "t"}]}}),
            "with.from",
        ),
    ] {
        let hook = |at: &str| {
            let setup = Setup::new(json!([])).hook("h", json!({"at": at, "steps": [step]}));
            setup.link().map(drop).map_err(|problem| problem.field)
        };
        assert_eq!(hook("PostRequest"), Err(format!("steps[0].{field}")), "{step}");
        assert_eq!(hook("PreRequest"), Ok(()), "{step}");
    }
}

fn mk_answering() -> serde_json::Value {
    json!({"policy": "p", "version": "1.0.0", "steps": [
        {"use": "set", "with": {"headers": {"set": {"x-in": "1"}}}},
        {"use": "set", "on": "Response", "with": {"headers": {"set": {"x-out": "1"}}}},
    ]})
}

#[test]
fn steps_for_answers_run_however_deep_they_are() {
    let outer = json!({"policy": "o", "version": "1.0.0", "steps": [{"use": "p"}]});
    let setup = Setup::new(json!([{"use": "o"}]))
        .define(mk_answering())
        .define(outer);
    let (done, _) = setup.answer(200, &[]);
    assert_eq!(header(&done.headers, "x-out"), Some("1"));
    assert_eq!(header(&done.headers, "x-in"), None);
    assert_eq!(header(&setup.send("GET", &[]).headers, "x-in"), Some("1"));
}

#[test]
fn steps_for_answers_are_refused_where_none_comes_by() {
    let message = |setup: Setup| setup.link().unwrap_err().message;
    for at in ["PreRequest", "PostRequest"] {
        let hook = json!({"at": at, "steps": [{"use": "p"}]});
        let said = message(Setup::new(json!([])).define(mk_answering()).hook("h", hook));
        assert!(
            said.starts_with("ext/h: steps[0]: p@1.0.0 has steps for answers"),
            "{said}"
        );
        let hook = json!({"at": at, "steps": [{"use": "set", "on": "Response"}]});
        let said = message(Setup::new(json!([])).hook("h", hook));
        assert!(
            said.starts_with("ext/h: steps[0].on: Response does not fit here"),
            "{said}"
        );
    }
    let switch = json!([{"use": "switch", "with": {"cases": [
        {"when": "true", "steps": [{"use": "set", "on": "Response"}]}
    ]}}]);
    let said = message(Setup::new(switch));
    assert!(
        said.starts_with("spec.policies[0].with.cases[0].steps[0].on: Response"),
        "{said}"
    );
    let after = json!({"at": "PostResponse", "steps": [{"use": "set", "on": "Response"}]});
    assert!(Setup::new(json!([])).hook("h", after).link().is_ok());
}

#[test]
fn errors_of_answers_are_caught_by_steps_for_answers() {
    let fails = |on: &str| json!({"use": "throw", "on": on, "with": {"error": "Mine"}});
    let notes = |on: &str| json!({"use": "set", "on": on, "with": {"headers": {"set": {"x-by": on}}}});
    let setup = Setup::new(json!([{"use": "p"}])).define(json!({
        "policy": "p", "version": "1.0.0",
        "steps": [fails("Request"), fails("Response")],
        "catch": [
            {"errors": ["*"], "steps": [{"use": "set", "with": {"query": {"set": {"a": "1"}}}}, notes("Request")]},
            {"errors": ["*"], "steps": [notes("Response")]},
        ],
        "finally": [{"use": "rateLimit", "with": {"requests": 9, "per": "1s"}}],
    }));
    let done = setup.send("GET", &[]);
    assert_eq!(header(&done.headers, "x-by"), Some("Request"));
    let (done, _) = setup.answer(200, &[]);
    assert_eq!(
        header(&done.headers, "x-by"),
        Some("Response"),
        "{:?}",
        done.answer
    );
}

#[test]
fn an_error_may_be_answered_with_a_redirect() {
    let hook = json!({"at": "OnError", "steps": [{"use": "redirect", "with": {"location": "/sorry"}}]});
    let plan = Setup::new(json!([])).hook("h", hook).link().unwrap();
    assert!(plan.is_for_errors());
    let hook = json!({"at": "PostResponse", "steps": [{"use": "redirect", "with": {"location": "/sorry"}}]});
    assert!(Setup::new(json!([])).hook("h", hook).link().is_err());
}

/// Those of two branches, and of two uses of one definition, count on their own.
#[test]
fn each_step_has_a_limiter_of_its_own() {
    let limit = json!({"use": "rateLimit", "with": {"requests": 1, "per": "1m"}});
    let switch = json!([{"use": "switch", "with": {
        "cases": [{"when": "request.method == 'GET'", "steps": [limit]}],
        "otherwise": [limit],
    }}]);
    let setup = Setup::new(switch);
    let plan = setup.link().unwrap();
    assert!(setup.send_to(&plan, "GET", &[]).answer.is_none());
    let answer = setup.send_to(&plan, "GET", &[]).answer.unwrap();
    assert_eq!(&*answer.step, "ReverseProxy shop/policies[0]/cases[0]/0");
    assert!(setup.send_to(&plan, "PUT", &[]).answer.is_none());
    let answer = setup.send_to(&plan, "PUT", &[]).answer.unwrap();
    assert_eq!(&*answer.step, "ReverseProxy shop/policies[0]/otherwise/0");
    // They stay when the object is linked again.
    assert!(setup.send("PUT", &[]).answer.is_some());

    let setup = Setup::new(json!([
        {"use": "p", "when": "request.method == 'GET'"},
        {"use": "p", "when": "request.method == 'PUT'"},
    ]));
    let setup = setup.define(json!({"policy": "p", "version": "1.0.0", "entry": "a/b", "steps": [limit]}));
    let plan = setup.link().unwrap();
    assert!(setup.send_to(&plan, "GET", &[]).answer.is_none());
    assert!(setup.send_to(&plan, "PUT", &[]).answer.is_none());
    assert!(setup.send_to(&plan, "GET", &[]).answer.is_some());
}

/// What others use as well is only looked at.
#[test]
fn a_shadow_uses_up_nothing_of_a_named_limit() {
    let settings = json!({"settings": {"limits": {
        "slow": {"kind": "rate", "requests": 1, "per": "1m"},
        "few": {"kind": "count", "count": 1},
    }}});
    for name in ["slow", "few", "*"] {
        let shadow = json!({"use": "rateLimit", "mode": "Shadow", "with": {"named": name}});
        let setup = Setup::new(json!([shadow, shadow, {"use": "rateLimit", "with": {"named": name}}]));
        let setup = setup.settings("limits", 0, settings.clone());
        let plan = setup.link().unwrap();
        let done = setup.send_to(&plan, "GET", &[]);
        assert!(done.answer.is_none() && done.state.counted.is_empty(), "{name}");
        let again = setup.send_to(&plan, "GET", &[]);
        assert_eq!(again.state.counted.len(), 2, "{name}");
        assert!(again.answer.is_some());
    }
    // One of its own is used up, or it would never say anything.
    let own = json!({"use": "rateLimit", "mode": "Shadow", "with": {"requests": 1, "per": "1m"}});
    let setup = Setup::new(json!([own]));
    let plan = setup.link().unwrap();
    assert!(setup.send_to(&plan, "GET", &[]).state.counted.is_empty());
    assert_eq!(setup.send_to(&plan, "GET", &[]).state.counted.len(), 1);
}

#[test]
fn letters_of_other_languages_fit_into_headers() {
    let setup = Setup::new(json!([{"use": "set", "with": {"headers": {"set": {"x-name": "Zo\u{eb}"}}}}]));
    let done = setup.send("GET", &[]);
    assert_eq!(done.headers["x-name"].as_bytes(), "Zo\u{eb}".as_bytes());
}

/// What a step writes for the backend is not the credential of the client.
#[test]
fn an_authorization_that_a_step_wrote_goes_to_the_backend() {
    let set = json!([{"use": "set", "with": {"headers": {"set": {"authorization": "Bearer of-ours"}}}}]);
    assert!(Setup::new(set).send("GET", &[]).state.forwards_authorization);
    let add = json!([{"use": "set", "with": {"headers": {"add": {"authorization": "Bearer of-ours"}}}}]);
    assert!(
        !Setup::new(add)
            .send("GET", &[("authorization", "Bearer t")])
            .state
            .forwards_authorization
    );
}

#[test]
fn a_step_that_only_watches_claims_nothing() {
    let jwt = json!({"use": "jwt", "with": {"keys": {"url": "https://idp.example/jwks"}}});
    let define = |mode: Mode| {
        let mut setup = Setup::new(json!([{"use": "p"}])).define(json!({
            "policy": "p", "version": "1.0.0", "entry": "a/b", "steps": [jwt],
        }));
        let facts = genkan_policies::EntryFacts {
            mode,
            ..Default::default()
        };
        setup.world.entries.insert("a/b".into(), facts);
        setup.link().unwrap().claims_authorization()
    };
    assert!(define(Mode::Enforce));
    assert!(!define(Mode::Shadow) && !define(Mode::Disabled));
}

#[test]
fn a_time_that_is_not_signed_is_refused() {
    let hmac = |payload: &str| {
        let with = json!({"key": {"secret": "k"}, "header": "x-sig", "timestampHeader": "x-time", "payload": payload});
        let setup =
            Setup::new(json!([{"use": "hmac", "with": with}])).with_secrets(json!({"k": {"key": "s3cret"}}));
        setup.link().map(drop).map_err(|problem| problem.message)
    };
    assert_eq!(hmac("{{timestamp}}.{{body}}"), Ok(()));
    let said = hmac("{{body}}").unwrap_err();
    assert!(
        said.starts_with("spec.policies[0].with.payload: it has to hold {{timestamp}}"),
        "{said}"
    );
}

#[test]
fn a_limit_that_only_warns_is_told_of() {
    let setup =
        Setup::new(json!([{"use": "rateLimit", "with": {"requests": 1, "per": "1m", "hard": false}}]));
    let plan = setup.link().unwrap();
    assert!(setup.send_to(&plan, "GET", &[]).state.warned.is_empty());
    let done = setup.send_to(&plan, "GET", &[]);
    assert!(done.answer.is_none());
    assert_eq!(&*done.state.warned[0], "ReverseProxy shop/policies[0]");
}
