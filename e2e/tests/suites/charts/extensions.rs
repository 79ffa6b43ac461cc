//! Who may use policies and who may write them: each right with somebody who lacks it, at the greatest lists, and the
//! cases of `rights` in the file that `GENKAN_EXTENSION_VECTORS` names.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use genkan_e2e::kubectl::Printed;
use genkan_e2e::wait;
use genkan_e2e::world::World;
use serde_json::{Value, json};

use super::policies::{CREATE, are_well_typed};

const VECTORS: &str = include_str!("../../../../dataplane/vectors/extensions.jsonl");

const LIMIT: Duration = Duration::from_secs(30);

const PUBLISHED: [&str; 3] = ["ReverseProxy", "APIService", "Connector"];

const INSTALLED: [&str; 10] = [
    "genkan-reverseproxies-policies",
    "genkan-reverseproxies-steps",
    "genkan-apiservices-policies",
    "genkan-apiservices-steps",
    "genkan-connectors-policies",
    "genkan-connectors-steps",
    "genkan-gatewayextensions",
    "genkan-gatewayextensions-steps",
    "genkan-policydefinitions",
    "genkan-policydefinitions-steps",
];

/// The namespace, and what everybody here may: write all kinds, and publish with a backend of their own.
const AUTHORS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: authors}
rules:
  - nonResourceURLs: ["/proxy/shop/*", "/kapis/shop.example/*"]
    verbs: [publish]
  - apiGroups: [extensions.kubesphere.io, connectors.alauda.io]
    resources: [reverseproxies, apiservices, connectors]
    resourceNames: [up.example]
    verbs: [external]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: authors}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: authors}
subjects:
  - {kind: Group, apiGroup: rbac.authorization.k8s.io, name: authors}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: authors-edit}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: genkan-edit}
subjects:
  - {kind: Group, apiGroup: rbac.authorization.k8s.io, name: authors}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: authors-edit-connectors}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: genkan-edit-connectors}
subjects:
  - {kind: Group, apiGroup: rbac.authorization.k8s.io, name: authors}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: authors-extend}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: genkan-extend}
subjects:
  - {kind: Group, apiGroup: rbac.authorization.k8s.io, name: authors}
"#;

const ROUTE: &str = "dev may not route to Service sec/clamav; a Role in namespace sec allows it with the rule {apiGroups: [\"\"], resources: [services], resourceNames: [\"clamav\"], verbs: [route]}";
const FORWARD: &str = "dev may not set forward, which hands callers' credentials to the backend; a ClusterRole allows it with the rule {apiGroups: [\"\"], resources: [users], verbs: [impersonate]}";
const IDENTITY: &str = "dev may not set identity, which tells the backend who calls; a ClusterRole allows it with the rule {apiGroups: [\"\"], resources: [users], verbs: [impersonate]}";
const WRITTEN_OUT: &str = ": scheme, host and port must be written out";

/// Somebody who creates something with these rights, and what the API server says.
#[derive(Debug)]
struct Case {
    name: String,
    user: String,
    rights: Vec<String>,
    object: String,
    /// Reason and sentence.
    refusal: Option<(String, String)>,
}

/// Cases of `dev`.
#[derive(Debug, Default)]
struct Cases(Vec<Case>);

// === impl Cases ===

impl Cases {
    fn add(&mut self, kind: &str, spec: &Value, rights: &[String], refusal: Option<(&str, &str)>) {
        let object = object(kind, spec);
        let shown: String = object.chars().take(400).collect();
        self.0.push(Case {
            name: format!("{rights:?} for {shown}"),
            user: "dev".into(),
            rights: rights.to_vec(),
            object,
            refusal: refusal.map(|(reason, sentence)| (reason.to_owned(), sentence.to_owned())),
        });
    }

    /// Forbidden without this right, and allowed with it.
    fn needs(&mut self, kind: &str, spec: &Value, right: &str, sentence: &str) {
        self.add(kind, spec, &[], Some(("Forbidden", sentence)));
        self.allowed(kind, spec, &[right.to_owned()]);
    }

    fn allowed(&mut self, kind: &str, spec: &Value, rights: &[String]) {
        self.add(kind, spec, rights, None);
    }

    /// Nobody's to allow.
    fn invalid(&mut self, kind: &str, spec: &Value, sentence: &str) {
        self.add(kind, spec, &["*".to_owned()], Some(("Invalid", sentence)));
    }
}

fn object(kind: &str, more: &Value) -> String {
    let (group, name, mut spec) = match kind {
        "ReverseProxy" => (
            "extensions.kubesphere.io",
            "a",
            json!({"matcher": {"path": "/proxy/shop/*", "method": "*"}, "upstream": {"url": "http://up.example"}}),
        ),
        "APIService" => (
            "extensions.kubesphere.io",
            "v1.shop.example",
            json!({"group": "shop.example", "version": "v1", "url": "http://up.example"}),
        ),
        "Connector" => (
            "connectors.alauda.io",
            "a",
            json!({"connectorClassName": "tickets", "address": "https://up.example"}),
        ),
        "PolicyDefinition" => (
            "gateway.genkan.io",
            "a",
            json!({"policy": "a", "version": "1.0.0"}),
        ),
        _ => ("gateway.genkan.io", "a", json!({})),
    };
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    let mut object = json!({
        "apiVersion": format!("{group}/v1alpha1"), "kind": kind, "metadata": {"name": name}, "spec": spec,
    });
    if kind == "Connector" {
        object["metadata"]["namespace"] = json!("shop");
    }
    object.to_string()
}

/// A right as `VERB RESOURCE`, `VERB RESOURCE/NAME` or `VERB RESOURCE/NAMESPACE/NAME`, or `*`, as a rule.
fn rule(right: &str) -> Value {
    if right == "*" {
        return json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]});
    }
    let (verb, on) = right.split_once(' ').unwrap_or((right, ""));
    let name = match on.rsplit_once('/') {
        Some((_, name)) => Some(name),
        None if verb == "external" && on.contains('.') => Some(on),
        None => None,
    };
    let resources = match verb {
        "external" => vec![
            "reverseproxies",
            "apiservices",
            "connectors",
            "gatewayextensions",
            "policydefinitions",
        ],
        "route" => vec!["services"],
        _ => vec![on.split('/').next().unwrap_or(on)],
    };
    let mut rule = json!({
        "apiGroups": ["", "extensions.kubesphere.io", "connectors.alauda.io", "gateway.genkan.io"],
        "resources": resources,
        "verbs": [verb],
    });
    if let Some(name) = name {
        rule["resourceNames"] = json!([name]);
    }
    rule
}

fn grant(group: &str, rights: &[String]) -> String {
    let rules: Vec<Value> = rights.iter().map(|right| rule(right)).collect();
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": group}, "rules": rules,
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": group},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": group},
        "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": group}],
    });
    format!("{role}\n---\n{binding}")
}

/// What the API server says against it, behind the name of the policy.
fn refusal(printed: &Printed) -> Option<(String, String)> {
    if printed.success {
        return None;
    }
    let said = printed.stderr.trim();
    let Some((head, sentence)) = said.split_once(" denied request: ") else {
        return Some(("another".into(), said.into()));
    };
    let reason = if head.contains("(Forbidden)") {
        "Forbidden"
    } else {
        "Invalid"
    };
    Some((reason.into(), sentence.into()))
}

fn forbidden(sentence: &str) -> Option<(String, String)> {
    Some(("Forbidden".to_owned(), sentence.to_owned()))
}

/// A right acts a moment after it was given, so each is tried until it ends as wanted.
async fn all_end_as_wanted(world: &World, cases: &[Case]) -> Result<()> {
    let group = |index: usize| format!("authors-{index}");
    let grants: Vec<String> = cases
        .iter()
        .enumerate()
        .filter(|(_, case)| !case.rights.is_empty())
        .map(|(index, case)| grant(&group(index), &case.rights))
        .collect();
    let grants = grants.join("\n---\n");
    world.kubectl().apply(&grants).await?;
    for (index, case) in cases.iter().enumerate() {
        let user = format!("--as={}", case.user);
        let own = format!("--as-group={}", group(index));
        let who = [
            user.as_str(),
            own.as_str(),
            "--as-group=authors",
            "--as-group=system:authenticated",
        ];
        let args = [&CREATE[..], &who].concat();
        wait::until_true(&case.name, LIMIT, || async {
            let said = refusal(&world.kubectl().output(&args, &case.object).await?);
            ensure!(
                said == case.refusal,
                "the API server says {said:?}, not {:?}",
                case.refusal
            );
            Ok(true)
        })
        .await?;
    }
    world.kubectl().delete(&grants).await
}

fn may_not_use(policy: &str) -> String {
    format!(
        "dev may not use policy {policy}; a ClusterRole allows it with the rule {{apiGroups: [gateway.genkan.io], resources: [policydefinitions], resourceNames: [\"{policy}\"], verbs: [use]}}"
    )
}

fn may_not_read(secret: &str) -> String {
    format!(
        "dev may not read Secret shop/{secret}; a Role in namespace shop allows it with the rule {{apiGroups: [\"\"], resources: [secrets], resourceNames: [\"{secret}\"], verbs: [get]}}"
    )
}

fn may_not_call(kind: &str, host: &str) -> String {
    let (role, group, resource) = match kind {
        "ReverseProxy" => ("a ClusterRole", "extensions.kubesphere.io", "reverseproxies"),
        "APIService" => ("a ClusterRole", "extensions.kubesphere.io", "apiservices"),
        "Connector" => ("a Role in namespace shop", "connectors.alauda.io", "connectors"),
        "PolicyDefinition" => ("a ClusterRole", "gateway.genkan.io", "policydefinitions"),
        _ => ("a ClusterRole", "gateway.genkan.io", "gatewayextensions"),
    };
    format!(
        "dev may not call the host {host}, which is no Service of this cluster; {role} allows it with the rule {{apiGroups: [{group}], resources: [{resource}], resourceNames: [\"{host}\"], verbs: [external]}}"
    )
}

fn step(name: &str, with: &Value) -> Value {
    json!({"use": name, "with": with})
}

fn policies(steps: &[Value]) -> Value {
    json!({"policies": steps})
}

fn call(host: &str) -> Value {
    step("call", &json!({"url": format!("https://{host}/"), "into": "s"}))
}

/// Steps that use as many policies of somebody.
fn named(count: usize) -> Vec<Value> {
    (0..count).map(|n| json!({"use": format!("p{n}")})).collect()
}

fn secrets(count: usize) -> Vec<Value> {
    (0..count)
        .map(|n| json!({"alias": format!("a{n}"), "namespace": "shop", "name": format!("s{n}")}))
        .collect()
}

/// `before` with each number below `count` behind it.
fn numbered(before: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{before}{n}")).collect()
}

pub async fn who_may_extend_the_gateway_is_decided_at_admission(world: Arc<World>) -> Result<()> {
    world.helm().install(world.kubectl(), &[]).await?;
    world.kubectl().apply(AUTHORS).await?;
    are_well_typed(&world, &INSTALLED).await?;
    for kind in PUBLISHED {
        let mut cases = Cases::default();
        rights_of_published(kind, &mut cases);
        what_no_right_allows(kind, &mut cases);
        the_greatest_lists(kind, &mut cases);
        all_end_as_wanted(&world, &cases.0).await?;
    }
    let mut cases = Cases::default();
    rights_of_extensions(&mut cases);
    rights_of_definitions(&mut cases);
    the_greatest_extension(&mut cases);
    all_end_as_wanted(&world, &cases.0).await?;
    all_end_as_wanted(&world, &of_the_file()?).await?;
    what_is_in_use_stays(&world).await?;
    an_entry_is_the_operator_s(&world).await?;
    world.kubectl().delete(AUTHORS).await?;
    world.helm().uninstall().await
}

fn rights_of_published(kind: &str, cases: &mut Cases) {
    let script = step("script", &json!({"source": "1"}));
    let inside = |steps: &[Value]| step("switch", &json!({"cases": [{"when": "true", "steps": steps}]}));
    let otherwise = |steps: &[Value]| step("switch", &json!({"otherwise": steps}));
    let use_script = "use policydefinitions/script";
    let of_script = may_not_use("script");
    cases.needs(
        kind,
        &policies(&[json!({"use": "jws-verify@2.1"})]),
        "use policydefinitions/jws-verify",
        &may_not_use("jws-verify"),
    );
    for steps in [
        script.clone(),
        inside(&[otherwise(std::slice::from_ref(&script))]),
    ] {
        cases.needs(kind, &policies(&[steps]), use_script, &of_script);
    }
    let secret = json!({"policySecrets": [{"alias": "k", "namespace": "shop", "name": "keys"}]});
    cases.needs(kind, &secret, "get secrets/shop/keys", &may_not_read("keys"));
    for steps in [
        call("idp.example"),
        step(
            "introspect",
            &json!({"endpoint": "https://IDP.example:8443/i?x=1"}),
        ),
        step("enrich", &json!({"request": {"url": "http://idp.example"}})),
        inside(&[step("jwt", &json!({"keys": {"url": "https://idp.example/jwks"}}))]),
    ] {
        cases.needs(
            kind,
            &policies(&[steps]),
            "external idp.example",
            &may_not_call(kind, "idp.example"),
        );
    }
    let antivirus = step(
        "antivirus",
        &json!({"server": "icaps://ClamAV.sec.svc.cluster.local/a"}),
    );
    cases.needs(kind, &policies(&[antivirus]), "route services/sec/clamav", ROUTE);
    let key = json!({"forward": true, "from": [{"query": "k"}, {"header": "Authorization"}]});
    let forward = json!({"forward": true});
    for steps in [
        step("jwt", &forward),
        step("basic", &forward),
        step("apiKey", &key),
        otherwise(&[step("introspect", &forward)]),
    ] {
        cases.needs(kind, &policies(&[steps]), "impersonate users", FORWARD);
    }
    for name in ["jwt", "introspect", "basic", "apiKey", "mtls", "hmac"] {
        let identity = step(name, &json!({"identity": {"user": "auth.claims.sub"}}));
        cases.needs(kind, &policies(&[identity]), "impersonate users", IDENTITY);
    }
    // What takes nothing from nobody needs no right, nor does what is for the operator to judge.
    for steps in [
        step("apiKey", &forward),
        step("jwt", &json!({"forward": true, "from": [{"query": "t"}]})),
        step("jwt", &json!({"forward": false, "identity": null})),
        step(
            "set",
            &json!({"headers": {"set": {"x-remote": "a"}, "remove": ["x-*"]}}),
        ),
        step(
            "switch",
            &json!({"cases": [1, null, {"steps": "x"}], "otherwise": 5}),
        ),
        json!({"use": "jwt", "with": null}),
    ] {
        cases.allowed(kind, &policies(&[steps]), &[]);
    }
    cases.allowed(kind, &json!({"policies": null, "policySecrets": null}), &[]);
}

fn what_no_right_allows(kind: &str, cases: &mut Cases) {
    let log = step("log", &json!({}));
    for (place, name, value) in [
        ("set", "X-Remote-User", json!({"X-Remote-User": "a"})),
        ("add", "x_remote_group", json!({"x_remote_group": "a"})),
        (
            "remove",
            "IMPERSONATE-Extra-a",
            json!(["a", "IMPERSONATE-Extra-a"]),
        ),
    ] {
        let set = step("set", &json!({"headers": {place: value}}));
        let sentence = format!("with.headers.{place}: {name} is a header that only genkan sets");
        let wanted = format!("spec.policies[1].{sentence}");
        cases.invalid(kind, &policies(&[log.clone(), set.clone()]), &wanted);
        let switch = step("switch", &json!({"cases": [{"when": "a", "steps": [set]}]}));
        let wanted = format!("spec.policies[0].with.cases[0].steps[0].{sentence}");
        cases.invalid(kind, &policies(&[switch]), &wanted);
    }
    for url in [
        "{{ request.headers.x }}",
        "idp.example",
        "//idp.example",
        "https://a@idp.example",
        "https:\\\\idp.example",
    ] {
        let call = step("call", &json!({"url": url, "into": "s"}));
        let wanted = format!("spec.policies[0].with.url{WRITTEN_OUT}");
        cases.invalid(kind, &policies(&[call]), &wanted);
    }
    let mine = json!({"when": "a", "steps": [log.clone(), {"use": "mine"}]});
    let switch = step("switch", &json!({"cases": [mine]}));
    cases.invalid(
        kind,
        &policies(&[log.clone(), log, switch]),
        "spec.policies[2].with.cases[0].steps[1]: user-defined policies are not allowed inside switch here; write a PolicyDefinition",
    );
}

fn the_greatest_lists(kind: &str, cases: &mut Cases) {
    let uses = numbered("use policydefinitions/p", 16);
    let gets = numbered("get secrets/shop/s", 8);
    let all = [&uses[..], &gets].concat();
    let twice = [named(16), named(16)].concat();
    let full = json!({"policies": twice, "policySecrets": secrets(8)});
    cases.allowed(kind, &full, &all);
    let last = may_not_use("p15");
    cases.add(
        kind,
        &full,
        &[&uses[..15], &gets].concat(),
        Some(("Forbidden", last.as_str())),
    );
    let last = may_not_read("s7");
    cases.add(
        kind,
        &full,
        &[&uses[..], &gets[..7]].concat(),
        Some(("Forbidden", last.as_str())),
    );
    cases.invalid(
        kind,
        &policies(&named(17)),
        "spec.policies: 17 different policies, the limit is 16",
    );

    let hosts: Vec<String> = (0..9).map(|n| format!("h{n}.example")).collect();
    let calls: Vec<Value> = (0..32).map(|n| call(&hosts[n % 8])).collect();
    let external: Vec<String> = hosts[..8].iter().map(|host| format!("external {host}")).collect();
    cases.allowed(kind, &policies(&calls), &external);
    let last = may_not_call(kind, "h7.example");
    cases.add(
        kind,
        &policies(&calls),
        &external[..7],
        Some(("Forbidden", last.as_str())),
    );
    let nine: Vec<Value> = hosts.iter().map(|host| call(host)).collect();
    cases.invalid(
        kind,
        &policies(&nine),
        "spec.policies: 9 different hosts, the limit is 8",
    );
    let identity = step("jwt", &json!({"forward": true, "identity": {"user": "a"}}));
    let mut both = calls;
    both[31] = identity;
    let impersonate = ["impersonate users".to_owned()];
    cases.allowed(kind, &policies(&both), &[&external[..], &impersonate].concat());
    let headers: Value = (0..500)
        .map(|n| (format!("header-{n}"), json!("a value that is not short")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let wide = step("set", &json!({"headers": {"set": headers}}));
    let wide: Vec<Value> = std::iter::repeat_n(wide, 32).collect();
    cases.allowed(kind, &policies(&wide), &[]);
}

fn hook(name: &str, steps: &[Value]) -> Value {
    json!({"name": name, "type": "Hook", "hook": {"at": "PreRequest", "steps": steps}})
}

fn policy(body: &Value) -> Value {
    let mut policy = json!({"policy": "a", "version": "1.0.0"});
    for (key, value) in body.as_object().into_iter().flatten() {
        policy[key] = value.clone();
    }
    json!({"entries": [{"name": "a", "type": "Policy", "policy": policy}]})
}

/// Bodies of policies that make the caller somebody, at every place where steps are.
fn impersonating() -> Vec<Value> {
    let jwt = || step("jwt", &json!({"identity": {"user": "a"}}));
    let log = || step("log", &json!({}));
    let switch = |steps: &[Value]| step("switch", &json!({"otherwise": steps}));
    vec![
        json!({"steps": [jwt()]}),
        json!({"steps": [log()], "finally": [jwt()]}),
        json!({"steps": [log()], "catch": [{"errors": ["*"], "steps": [log()]}, {"errors": ["*"], "steps": [jwt()]}]}),
        json!({"steps": [switch(&[switch(&[jwt()])])]}),
    ]
}

fn rights_of_extensions(cases: &mut Cases) {
    const KIND: &str = "GatewayExtension";
    let extension = |step: Value| json!({"entries": [hook("a", &[step])]});
    let mut secret = extension(step("log", &json!({})));
    secret["secrets"] = json!(secrets(1));
    cases.needs(KIND, &secret, "get secrets/shop/s0", &may_not_read("s0"));
    let forward = step("jwt", &json!({"forward": true}));
    cases.needs(KIND, &extension(forward), "impersonate users", FORWARD);
    let identity = step("jwt", &json!({"identity": {"user": "a"}}));
    cases.needs(KIND, &extension(identity), "impersonate users", IDENTITY);
    for body in impersonating() {
        cases.needs(KIND, &policy(&body), "impersonate users", IDENTITY);
    }
    let zip = |url: &str| json!({"url": {"url": url, "sha256": "0".repeat(64)}});
    let archive = json!({"configMap": {"namespace": "edge", "name": "zip", "key": "corp.zip"}});
    let call_out = |call: Value| {
        let mut call_out = json!({"policy": "a", "version": "1.0.0"});
        for (key, value) in call.as_object().into_iter().flatten() {
            call_out[key] = value.clone();
        }
        json!({"entries": [{"name": "a", "type": "CallOut", "callOut": call_out}]})
    };
    for spec in [
        extension(call("idp.example")),
        call_out(json!({"extAuth": {"url": "https://idp.example"}})),
        policy(&json!({"callOut": {"extAuth": {"url": "https://idp.example"}}})),
        json!({"archive": {"source": zip("https://idp.example/corp.zip")}}),
        json!({"archive": {"source": archive, "hostMap": {"backend": "https://idp.example/x"}}}),
        json!({"entries": [{"name": "a", "type": "Files", "files": {"source": zip("https://idp.example/a.zip")}}]}),
    ] {
        cases.needs(
            KIND,
            &spec,
            "external idp.example",
            &may_not_call(KIND, "idp.example"),
        );
    }
    for spec in [
        extension(step(
            "antivirus",
            &json!({"server": "icap://clamav.sec.svc:1344/a"}),
        )),
        call_out(json!({"extProc": {"target": "http://clamav.sec.svc:9000"}})),
        json!({"archive": {"source": archive, "hostMap": {"backend": "sec/clamav:8080"}}}),
    ] {
        cases.needs(KIND, &spec, "route services/sec/clamav", ROUTE);
    }
    let set = step("set", &json!({"headers": {"add": {"Impersonate-User": "a"}}}));
    cases.invalid(
        KIND,
        &extension(set),
        "spec.entries[0].hook.steps[0].with.headers.add: Impersonate-User is a header that only genkan sets",
    );
    let unwritten = call_out(json!({"extAuth": {"url": "fraud"}}));
    let sentence = format!("spec.entries[0].callOut.extAuth.url{WRITTEN_OUT}");
    cases.invalid(KIND, &unwritten, &sentence);
    // Whoever may write extensions needs no right to use what is in them.
    let steps = [json!({"use": "mine@1"}), step("script", &json!({"source": "1"}))];
    cases.allowed(KIND, &json!({"entries": [hook("a", &steps)]}), &[]);
}

fn rights_of_definitions(cases: &mut Cases) {
    const KIND: &str = "PolicyDefinition";
    for body in impersonating() {
        cases.needs(KIND, &body, "impersonate users", IDENTITY);
    }
    let forward = step("jwt", &json!({"forward": true}));
    cases.needs(KIND, &json!({"steps": [forward]}), "impersonate users", FORWARD);
    for body in [
        json!({"steps": [call("idp.example")]}),
        json!({"callOut": {"extAuth": {"url": "https://idp.example"}}}),
    ] {
        cases.needs(
            KIND,
            &body,
            "external idp.example",
            &may_not_call(KIND, "idp.example"),
        );
    }
    let set = step("set", &json!({"headers": {"remove": ["X-Remote-User"]}}));
    cases.invalid(
        KIND,
        &json!({"steps": [set]}),
        "spec.steps[0].with.headers.remove: X-Remote-User is a header that only genkan sets",
    );
}

/// 64 entries of 32 steps, 16 Secrets and 8 hosts; and what is more than admission looks at.
fn the_greatest_extension(cases: &mut Cases) {
    const KIND: &str = "GatewayExtension";
    let entries: Vec<Value> = (0..64)
        .map(|entry| {
            let steps: Vec<Value> = (0..32)
                .map(|n| call(&format!("h{}.example", (entry + n) % 8)))
                .collect();
            hook(&format!("e{entry}"), &steps)
        })
        .collect();
    let mut full = json!({"secrets": secrets(16), "entries": entries});
    let gets = numbered("get secrets/shop/s", 16);
    let external: Vec<String> = (0..8).map(|n| format!("external h{n}.example")).collect();
    let all = [&gets[..], &external].concat();
    cases.allowed(KIND, &full, &all);
    let last = may_not_read("s15");
    cases.add(
        KIND,
        &full,
        &[&gets[..15], &external].concat(),
        Some(("Forbidden", last.as_str())),
    );
    let last = may_not_call(KIND, "h7.example");
    cases.add(
        KIND,
        &full,
        &[&gets[..], &external[..7]].concat(),
        Some(("Forbidden", last.as_str())),
    );
    full["entries"][63]["hook"]["steps"][31] = step("jwt", &json!({"identity": {"user": "a"}}));
    cases.add(KIND, &full, &all, Some(("Forbidden", IDENTITY)));

    let nine: Vec<Value> = (0..9).map(|n| call(&format!("h{n}.example"))).collect();
    let nine = json!({"entries": [hook("a", &nine)]});
    cases.needs(
        KIND,
        &nine,
        "external gatewayextensions",
        "dev may not call any host, which naming more than 8 takes; a ClusterRole allows it with the rule {apiGroups: [gateway.genkan.io], resources: [gatewayextensions], verbs: [external]}",
    );
    let steps: Vec<Value> = std::iter::repeat_n(step("log", &json!({})), 32).collect();
    let catch: Vec<Value> = std::iter::repeat_n(json!({"errors": ["*"], "steps": steps}), 16).collect();
    let vast: Vec<Value> = (0..8)
        .map(|n| {
            let name = format!("p{n}");
            let body = json!({"policy": name, "version": "1.0.0", "steps": steps, "catch": catch});
            json!({"name": name, "type": "Policy", "policy": body})
        })
        .collect();
    cases.invalid(
        KIND,
        &json!({"entries": vast}),
        "spec.entries has more than 4096 steps; divide it into several GatewayExtensions",
    );
}

/// The cases of area `rights`.
fn of_the_file() -> Result<Vec<Case>> {
    let text = match std::env::var_os("GENKAN_EXTENSION_VECTORS").filter(|path| !path.is_empty()) {
        Some(path) => std::fs::read_to_string(&path).with_context(|| path.display().to_string())?,
        None => VECTORS.to_owned(),
    };
    let mut cases = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let case: Value = serde_json::from_str(line)?;
        if case["area"] != "rights" {
            continue;
        }
        let name = case["id"].as_str().context("a case without id")?.to_owned();
        let input = &case["input"];
        let mut spec = input["object"].clone();
        let kind = spec["kind"].as_str().unwrap_or("ReverseProxy").to_owned();
        if let Some(members) = spec.as_object_mut() {
            for member in ["kind", "name", "namespace", "labels"] {
                members.remove(member);
            }
        }
        let rights = input["rights"].as_array().into_iter().flatten();
        let error = &case["expect"]["error"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        cases.push(Case {
            user: text(&input["user"]),
            rights: rights.map(text).collect(),
            object: object(&kind, &spec),
            refusal: error
                .is_object()
                .then(|| (text(&error["reason"]), text(&error["message"]))),
            name,
        });
    }
    ensure!(cases.len() > 10, "only {} cases of rights", cases.len());
    Ok(cases)
}

async fn what_is_in_use_stays(world: &World) -> Result<()> {
    let kubectl = world.kubectl();
    let steps = [step("log", &json!({}))];
    for (kind, resource, spec) in [
        (
            "GatewayExtension",
            "gatewayextensions",
            json!({"entries": [hook("a", &steps)]}),
        ),
        ("PolicyDefinition", "policydefinitions", json!({"steps": steps})),
    ] {
        let printed = kubectl
            .output(&["create", "-f", "-"], &object(kind, &spec))
            .await?;
        ensure!(printed.success, "{}", printed.stderr);
        let delete = ["delete", resource, "a"];
        for (status, users) in [
            (
                json!({"usedBy": ["ReverseProxy orders", "ReverseProxy b", "Connector shop/c"], "usedByCount": 3}),
                "ReverseProxy orders and 2 more",
            ),
            (
                json!({"usedBy": ["ReverseProxy orders"], "usedByCount": 1}),
                "ReverseProxy orders",
            ),
        ] {
            let status = json!({"status": status}).to_string();
            let patch = [
                "patch",
                resource,
                "a",
                "--subresource=status",
                "--type=merge",
                "-p",
                &status,
            ];
            kubectl.run(&patch).await?;
            let wanted = format!(
                "{kind} a is used by {users}; take it off there first, or set the annotation gateway.genkan.io/force-delete: \"true\""
            );
            let said = refusal(&kubectl.output(&delete, "").await?);
            ensure!(said == forbidden(&wanted), "{said:?}, not {wanted}");
        }
        let force = ["annotate", resource, "a", "gateway.genkan.io/force-delete=true"];
        kubectl.run(&force).await?;
        kubectl.run(&delete).await?;
    }
    Ok(())
}

async fn an_entry_is_the_operator_s(world: &World) -> Result<()> {
    const OURS: &str = "spec.entry is written by the operator only, for a policy of a GatewayExtension; ";
    let kubectl = world.kubectl();
    let definition = object("PolicyDefinition", &json!({"entry": "corp/a"}));
    let said = refusal(&kubectl.output(&CREATE, &definition).await?);
    let wanted = format!("{OURS}write steps, script or callOut instead");
    ensure!(said == forbidden(&wanted), "{said:?}");
    let operator = [
        "create",
        "-f",
        "-",
        "--as=system:serviceaccount:genkan-system:genkan-operator",
    ];
    let printed = kubectl.output(&operator, &definition).await?;
    ensure!(printed.success, "{}", printed.stderr);
    let take = r#"{"spec":{"entry":null,"steps":[{"use":"log"}]}}"#;
    let take = ["patch", "policydefinitions", "a", "--type=merge", "-p", take];
    let said = refusal(&kubectl.output(&take, "").await?);
    let wanted = format!("{OURS}change the entry of the GatewayExtension instead");
    ensure!(said == forbidden(&wanted), "{said:?}");
    kubectl.run(&["delete", "policydefinitions", "a"]).await?;
    Ok(())
}
