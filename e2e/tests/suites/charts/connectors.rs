//! Who may write Connectors and their classes: each right with a ServiceAccount that lacks it alone, and the sentence that
//! one gets.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use genkan_e2e::wait;
use genkan_e2e::world::World;
use serde_json::{Value, json};

use super::policies::{Accounts, CREATE, are_well_typed};

const RIGHTS: &str = include_str!("connector-rights.yaml");

/// What has every right, and what lacks the one that its name says.
const ACCOUNTS: [&str; 5] = ["team", "no-secret", "no-route", "no-external", "no-impersonate"];

/// On a Service, wherever it is named.
const ROUTE: &str = "may not route to Service shop/cart; a Role in namespace shop allows it with the rule {apiGroups: [\"\"], resources: [services], resourceNames: [\"cart\"], verbs: [route]}";

fn connector(name: &str, spec: &Value) -> String {
    let mut object = json!({
        "apiVersion": "connectors.alauda.io/v1alpha1", "kind": "Connector",
        "metadata": {"name": name, "namespace": "shop"}, "spec": {"connectorClassName": "tickets"},
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        object["spec"][key] = value.clone();
    }
    object.to_string()
}

fn class(spec: &Value) -> String {
    json!({
        "apiVersion": "connectors.alauda.io/v1alpha1", "kind": "ConnectorClass", "metadata": {"name": "a"}, "spec": spec,
    })
    .to_string()
}

fn external(host: &str) -> String {
    format!(
        "may not connect to the host {host}, which is no Service of this cluster; a Role in namespace shop allows it with the rule {{apiGroups: [connectors.alauda.io], resources: [connectors], resourceNames: [\"{host}\"], verbs: [external]}}"
    )
}

fn external_of_class(host: &str) -> String {
    external(host)
        .replace("a Role in namespace shop", "a ClusterRole")
        .replace("[connectors]", "[connectorclasses]")
}

fn secret(name: &str) -> String {
    format!(
        "may not use Secret shop/{name}; a Role in namespace shop allows it with the rule {{apiGroups: [\"\"], resources: [secrets], resourceNames: [\"{name}\"], verbs: [get]}}"
    )
}

pub async fn who_may_connect_a_tool_is_decided_at_admission(world: Arc<World>) -> Result<()> {
    world.helm().install(world.kubectl(), &[]).await?;
    world.kubectl().apply(RIGHTS).await?;
    let accounts = Accounts::new(&world, &ACCOUNTS).await?;
    let git = connector("a", &json!({"address": "https://git.example.com"}));
    wait::until_true("the policies act", Duration::from_secs(30), || async {
        let stranger = accounts.of("no-external").output(&CREATE, &git).await?;
        let team = accounts.of("team").output(&CREATE, &git).await?;
        Ok(!stranger.success && team.success)
    })
    .await?;
    are_well_typed(&world, &["genkan-connectors", "genkan-connectorclasses"]).await?;
    on_creation_of_a_connector(&accounts).await?;
    what_no_right_allows(&accounts).await?;
    on_change_of_a_connector(&world, &accounts).await?;
    on_creation_of_a_class(&accounts).await?;
    world.kubectl().delete(RIGHTS).await?;
    world.helm().uninstall().await
}

async fn on_creation_of_a_connector(accounts: &Accounts) -> Result<()> {
    let git = "https://git.example.com";
    let auth = json!({"name": "keyAuth", "secretRef": {"name": "board-key", "namespace": "shop"}});
    let cases = [
        (
            "no-secret",
            json!({"address": git, "auth": auth}),
            secret("board-key"),
        ),
        (
            "no-secret",
            json!({"address": git, "caCertSecretRef": {"name": "corporate-ca"}}),
            secret("corporate-ca"),
        ),
        (
            "no-external",
            json!({"address": "HTTPS://Git.Example.com:8443/base"}),
            external("git.example.com"),
        ),
        (
            "no-external",
            json!({"address": "https://[FD00::1]:8443"}),
            external("fd00::1"),
        ),
        (
            "no-external",
            json!({"address": "http://cart.shop.svc", "addressExtensions": [{"name": "a", "value": git}]}),
            external("git.example.com"),
        ),
        (
            "no-route",
            json!({"address": "http://Cart.shop.SVC.cluster.local:8080/base"}),
            ROUTE.to_owned(),
        ),
        (
            "no-route",
            json!({"address": git, "addressExtensions": [{"name": "a", "value": "http://cart.shop.svc."}]}),
            ROUTE.to_owned(),
        ),
    ];
    for (lacks, spec, sentence) in cases {
        let object = connector("a", &spec);
        accounts.allowed("team", &CREATE, &object).await?;
        accounts.refused(lacks, &CREATE, &object, &sentence).await?;
    }
    // What names no Secret needs none, and one of no name is none.
    for spec in [
        json!({"address": git}),
        json!({"address": null}),
        json!({"auth": null, "caCertSecretRef": null}),
        json!({"address": git, "auth": {"name": "keyAuth", "secretRef": null}}),
        json!({"address": git, "auth": {"secretRef": {"name": "", "namespace": ""}}}),
        json!({"address": git, "auth": {"secretRef": {"name": null, "namespace": null}}}),
    ] {
        accounts
            .allowed("no-secret", &CREATE, &connector("a", &spec))
            .await?;
    }
    Ok(())
}

async fn what_no_right_allows(accounts: &Accounts) -> Result<()> {
    let foreign = json!({"auth": {"secretRef": {"name": "board-key", "namespace": "other"}}});
    let printed = accounts
        .of("team")
        .output(&CREATE, &connector("a", &foreign))
        .await?;
    let wanted = "denied request: spec.auth.secretRef.namespace is other, and only a Secret of the Connector's own namespace is used; leave the namespace out";
    ensure!(
        !printed.success && printed.stderr.trim().ends_with(wanted),
        "{}",
        printed.stderr
    );
    // As many as are judged one by one; and one more, however often it is named.
    let extensions = |count: usize| -> Vec<Value> {
        (0..count)
            .map(|index| json!({"name": format!("e{index}"), "value": format!("https://git.example.com/{}", index % 30)}))
            .chain([json!({"name": "files", "value": "https://files.example.com"})])
            .collect()
    };
    let many = json!({"address": "https://git.example.com", "addressExtensions": extensions(30)});
    accounts.allowed("team", &CREATE, &connector("a", &many)).await?;
    let hosts: Vec<Value> = (0..9)
        .map(|index| json!({"name": format!("e{index}"), "value": format!("https://h{index}.example.com")}))
        .collect();
    let sentence = "may not connect to any host, which naming more than 8 takes; a Role in namespace shop allows it with the rule {apiGroups: [connectors.alauda.io], resources: [connectors], verbs: [external]}";
    let object = connector("a", &json!({ "addressExtensions": hosts }));
    accounts.refused("team", &CREATE, &object, sentence).await?;
    let services: Vec<Value> = (0..9)
        .map(|index| json!({"name": format!("e{index}"), "value": format!("http://s{index}.shop.svc")}))
        .collect();
    let sentence = "may not route to any Service, which naming more than 8 takes; a ClusterRole allows it with the rule {apiGroups: [\"\"], resources: [services], verbs: [route]}";
    let object = connector("a", &json!({ "addressExtensions": services }));
    accounts.refused("team", &CREATE, &object, sentence).await
}

/// Whoever changes the address answers for the Secret as well.
async fn on_change_of_a_connector(world: &World, accounts: &Accounts) -> Result<()> {
    let spec = json!({"address": "https://git.example.com", "auth": {"secretRef": {"name": "board-key"}}});
    let object = connector("board", &spec);
    let printed = world.kubectl().output(&["create", "-f", "-"], &object).await?;
    ensure!(printed.success, "{}", printed.stderr);
    let patch = |body: &'static str| {
        [
            "patch",
            "connectors.connectors.alauda.io",
            "board",
            "-n",
            "shop",
            "--type=merge",
            "-p",
            body,
        ]
    };
    for body in [
        r#"{"spec":{"address":"https://files.example.com"}}"#,
        r#"{"spec":{"connectorClassName":"other"}}"#,
        r#"{"spec":{"params":[{"name":"a","value":"b"}]}}"#,
        r#"{"metadata":{"annotations":{"genkan.io/any":"x"}}}"#,
    ] {
        accounts
            .refused("no-secret", &patch(body), "", &secret("board-key"))
            .await?;
    }
    for body in [
        r#"{"metadata":{"labels":{"team":"other"},"annotations":{"note":"x"}}}"#,
        r#"{"spec":{"auth":null}}"#,
    ] {
        accounts.allowed("no-secret", &patch(body), "").await?;
    }
    let delete = ["delete", "connectors.connectors.alauda.io", "board", "-n", "shop"];
    accounts.allowed("no-external", &delete, "").await
}

async fn on_creation_of_a_class(accounts: &Accounts) -> Result<()> {
    const FORWARD: &str = "may not set forwardAuthorization, which hands callers' credentials to the proxy; a ClusterRole allows it with the rule {apiGroups: [\"\"], resources: [users], verbs: [impersonate]}";
    let git = external_of_class("git.example.com");
    let files = external_of_class("files.example.com");
    let cart = json!({"name": "cart", "namespace": "shop"});
    let described = |address: &str| {
        let operation = json!({"x-openapi-address": address});
        let paths = json!({"/b": {}, "/a/{id}": {"parameters": [], "summary": "s", "GET": operation}});
        json!({"addressExtensions": [{"name": "upload"}], "api": {"openapi": {"paths": paths}}})
    };
    let cases = [
        ("no-route", json!({"api": {"ref": cart, "uri": "/v1"}}), ROUTE),
        ("no-route", json!({"proxy": {"ref": cart}}), ROUTE),
        (
            "no-route",
            json!({"proxy": {"uri": "http://cart.shop.svc:81"}}),
            ROUTE,
        ),
        (
            "no-external",
            json!({"api": {"uri": "https://git.example.com/v1"}}),
            &git,
        ),
        (
            "no-external",
            json!({"proxy": {"uri": "https://git.example.com"}}),
            &git,
        ),
        (
            "no-external",
            json!({"address": {"default": "https://git.example.com"}}),
            &git,
        ),
        (
            "no-external",
            json!({"addressExtensions": [{"name": "a"}, {"name": "b", "default": "https://files.example.com/x"}]}),
            &files,
        ),
        (
            "no-external",
            json!({"auth": {"types": [{"name": "a", "generator": {"oauth2": {"tokenURL": "https://git.example.com/t"}}}]}}),
            &git,
        ),
        (
            "no-external",
            json!({"livenessProbe": {"http": {"path": "/", "host": "git.example.com:8443"}}}),
            &git,
        ),
        (
            "no-external",
            json!({"authProbes": [{"authName": "a", "probe": {"http": {"path": "/", "host": "files.example.com"}}}]}),
            &files,
        ),
        ("no-external", described("https://files.example.com/x"), &files),
        (
            "no-impersonate",
            json!({"proxy": {"ref": cart, "forwardAuthorization": true}}),
            FORWARD,
        ),
    ];
    for (lacks, spec, sentence) in cases {
        let object = class(&spec);
        accounts.allowed("team", &CREATE, &object).await?;
        accounts.refused(lacks, &CREATE, &object, sentence).await?;
    }
    // What names nothing needs no right.
    let built_in = json!({"name": "connectors-proxy-service", "namespace": "connectors-system"});
    for spec in [
        json!({}),
        json!({"address": null, "auth": null, "livenessProbe": null, "api": null, "proxy": null}),
        json!({"address": {"name": "address"}, "proxy": {"ref": built_in}, "livenessProbe": {"http": {"path": "/"}}}),
        json!({"api": {"ref": null, "uri": null, "openapi": null}, "proxy": {"uri": null, "forwardAuthorization": null}}),
        described(""),
        described("upload"),
    ] {
        accounts.allowed("no-external", &CREATE, &class(&spec)).await?;
        accounts.allowed("no-route", &CREATE, &class(&spec)).await?;
    }
    // What a proxy might read in another way is nobody's to allow.
    for address in [
        "other",
        "//git.example.com",
        "https://a@git.example.com",
        "https:\\git.example.com",
        "https://git.example.com\n/",
    ] {
        refused_for_all(accounts, &described(address), "an x-openapi-address of").await?;
    }
    let odd = json!({"api": {"openapi": {"paths": {"/a": {"get": {"x-openapi-address": ["https://git.example.com"]}}}}}});
    refused_for_all(accounts, &odd, "an x-openapi-address of").await?;
    for default in [
        json!("git.example.com"),
        json!(["https://git.example.com"]),
        json!("http://a@b"),
    ] {
        let spec = json!({"addressExtensions": [{"name": "a", "default": default}]});
        refused_for_all(accounts, &spec, "a default of spec.address").await?;
    }
    Ok(())
}

async fn refused_for_all(accounts: &Accounts, spec: &Value, wanted: &str) -> Result<()> {
    let printed = accounts.of("team").output(&CREATE, &class(spec)).await?;
    let wanted = format!("denied request: {wanted}");
    ensure!(
        !printed.success && printed.stderr.contains(&wanted),
        "{spec}: {}",
        printed.stderr
    );
    Ok(())
}
