//! Who may publish: each right with a ServiceAccount that has it, one that lacks it alone, and the sentence that one gets.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use genkan_e2e::kubectl::Kubectl;
use genkan_e2e::wait;
use genkan_e2e::world::World;
use serde_json::{Value, json};

const RIGHTS: &str = include_str!("rights.yaml");

/// What has every right, and what lacks the one that its name says.
const ACCOUNTS: [&str; 5] = ["team", "no-publish", "no-route", "no-external", "no-impersonate"];

/// Each ServiceAccount with its own token.
pub(super) struct Accounts(Vec<(&'static str, Kubectl)>);

// === impl Accounts ===

impl Accounts {
    pub(super) async fn new(world: &World, names: &[&'static str]) -> Result<Self> {
        let mut all = Vec::new();
        for &name in names {
            let kubeconfig = world
                .control_plane
                .service_account_kubeconfig("shop", name)
                .await?;
            all.push((name, world.kubectl().with_kubeconfig(&kubeconfig)));
        }
        Ok(Self(all))
    }

    pub(super) fn of(&self, name: &str) -> &Kubectl {
        let found = self.0.iter().find(|(known, _)| *known == name);
        &found.expect("one of the accounts").1
    }

    pub(super) async fn allowed(&self, name: &str, args: &[&str], object: &str) -> Result<()> {
        let printed = self.of(name).output(args, object).await?;
        ensure!(
            printed.success,
            "{name} may not {}: {}\n{object}",
            args.join(" "),
            printed.stderr
        );
        Ok(())
    }

    /// The API server says exactly this, after the name of the policy.
    pub(super) async fn refused(
        &self,
        name: &str,
        args: &[&str],
        object: &str,
        sentence: &str,
    ) -> Result<()> {
        let printed = self.of(name).output(args, object).await?;
        ensure!(!printed.success, "{name} may {}:\n{object}", args.join(" "));
        let said = printed
            .stderr
            .trim()
            .split_once(" denied request: ")
            .map_or(printed.stderr.as_str(), |(_, said)| said);
        let wanted = format!("system:serviceaccount:shop:{name} {sentence}");
        ensure!(said == wanted, "{name} was told {said:?}, not {wanted:?}");
        Ok(())
    }
}

pub(super) const CREATE: [&str; 4] = ["create", "--dry-run=server", "-f", "-"];

fn reverse_proxy(name: &str, path: &str, upstream: &Value, more: &Value) -> String {
    let mut object = json!({
        "apiVersion": "extensions.kubesphere.io/v1alpha1", "kind": "ReverseProxy", "metadata": {"name": name},
        "spec": {"matcher": {"path": path, "method": "*"}, "upstream": upstream},
    });
    merge(&mut object["spec"], more);
    object.to_string()
}

fn api_service(group: &Value, more: &Value) -> String {
    let mut object = json!({
        "apiVersion": "extensions.kubesphere.io/v1alpha1", "kind": "APIService", "metadata": {"name": "v1.test"},
        "spec": {"version": "v1"},
    });
    merge(&mut object["spec"], group);
    merge(&mut object["spec"], more);
    object.to_string()
}

fn merge(spec: &mut Value, more: &Value) {
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
}

pub async fn who_may_publish_is_decided_at_admission(world: Arc<World>) -> Result<()> {
    world.helm().install(world.kubectl(), &[]).await?;
    world.kubectl().apply(RIGHTS).await?;
    let accounts = Accounts::new(&world, &ACCOUNTS).await?;
    acts(&accounts).await?;
    are_well_typed(&world, &["genkan-reverseproxies", "genkan-apiservices"]).await?;
    on_creation_of_a_reverse_proxy(&accounts).await?;
    on_creation_of_an_api_service(&accounts).await?;
    on_change_and_removal(&world, &accounts).await?;
    a_team_has_the_rights_that_the_page_gives_it(&world).await?;
    world.helm().uninstall().await
}

/// The API server has checked the expressions against the definitions, and has nothing to say.
pub(super) async fn are_well_typed(world: &World, policies: &[&str]) -> Result<()> {
    for name in policies {
        let policy = format!("validatingadmissionpolicy/{name}");
        wait::until_true(
            &format!("{policy} is checked"),
            Duration::from_secs(30),
            || async { Ok(world.value(&policy, "{.status.observedGeneration}").await? == "1") },
        )
        .await?;
        let said = world
            .value(&policy, "{.status.typeChecking.expressionWarnings}")
            .await?;
        ensure!(said.is_empty(), "{policy}: {said}");
    }
    Ok(())
}

/// A policy takes effect a moment after it was made, a right as well.
async fn acts(accounts: &Accounts) -> Result<()> {
    let cart = json!({"url": "http://cart.shop.svc"});
    let object = reverse_proxy("a", "/proxy/shop/*", &cart, &json!({}));
    wait::until_true("the policies act", Duration::from_secs(30), || async {
        let stranger = accounts.of("no-publish").output(&CREATE, &object).await?;
        let team = accounts.of("team").output(&CREATE, &object).await?;
        Ok(!stranger.success && team.success)
    })
    .await
}

async fn on_creation_of_a_reverse_proxy(accounts: &Accounts) -> Result<()> {
    const PUBLISH: &str = "may not publish /proxy/shop/*; a ClusterRole allows it with the rule {nonResourceURLs: [\"/proxy/shop/*\"], verbs: [publish]}";
    const ROUTE: &str = "may not route to Service shop/cart; a Role in namespace shop allows it with the rule {apiGroups: [\"\"], resources: [services], resourceNames: [\"cart\"], verbs: [route]}";
    const EXTERNAL: &str = "may not publish the host api.example.com, which is no Service of this cluster; a ClusterRole allows it with the rule {apiGroups: [extensions.kubesphere.io], resources: [reverseproxies], resourceNames: [\"api.example.com\"], verbs: [external]}";
    const HEADERS: &str = "may not set X-Remote-* or Impersonate-* in headerUp; a ClusterRole allows it with the rule {apiGroups: [\"\"], resources: [users], verbs: [impersonate]}";
    const FORWARD: &str = "may not set forwardAuthorization, which hands callers' credentials to the backend; a ClusterRole allows it with the rule {apiGroups: [\"\"], resources: [users], verbs: [impersonate]}";
    let nothing = json!({});
    let cart = json!({"url": "http://cart.shop.svc"});
    let header = |item: &str| json!({"directives": {"headerUp": ["-Authorization", item]}});
    let cases = [
        ("no-publish", cart.clone(), nothing.clone(), PUBLISH),
        ("no-route", cart.clone(), nothing.clone(), ROUTE),
        // However the Service is written, it is the same Service.
        (
            "no-route",
            json!({"url": "HTTPS://Cart.SHOP.svc.cluster.local:8443/base"}),
            nothing.clone(),
            ROUTE,
        ),
        (
            "no-route",
            json!({"url": "//cart.shop.svc."}),
            nothing.clone(),
            ROUTE,
        ),
        (
            "no-route",
            json!({"service": {"namespace": "shop", "name": "cart"}}),
            nothing.clone(),
            ROUTE,
        ),
        (
            "no-route",
            json!({"url": null, "service": {"namespace": "shop", "name": "cart"}}),
            nothing.clone(),
            ROUTE,
        ),
        // The url wins, whatever the service is.
        (
            "no-external",
            json!({"url": "https://API.example.com:8443/x", "service": {"namespace": "shop", "name": "cart"}}),
            nothing.clone(),
            EXTERNAL,
        ),
        (
            "no-impersonate",
            cart.clone(),
            header("X-Remote-User admin"),
            HEADERS,
        ),
        (
            "no-impersonate",
            cart.clone(),
            header("+x_remote-GROUP system:masters"),
            HEADERS,
        ),
        (
            "no-impersonate",
            cart.clone(),
            header("x_remote_extra_scopes all"),
            HEADERS,
        ),
        (
            "no-impersonate",
            cart.clone(),
            header("IMPERSONATE_User admin"),
            HEADERS,
        ),
        (
            "no-impersonate",
            cart.clone(),
            header("+X.Remote.User admin"),
            HEADERS,
        ),
        (
            "no-impersonate",
            cart.clone(),
            header("impersonate~group admin"),
            HEADERS,
        ),
        (
            "no-impersonate",
            cart.clone(),
            json!({"forwardAuthorization": true}),
            FORWARD,
        ),
    ];
    for (lacks, upstream, more, sentence) in cases {
        let object = reverse_proxy("a", "/proxy/shop/*", &upstream, &more);
        accounts.allowed("team", &CREATE, &object).await?;
        accounts.refused(lacks, &CREATE, &object, sentence).await?;
    }
    // What takes nothing from nobody needs no right.
    for more in [
        header("-X-Remote-User"),
        header("X-Remote"),
        header("X-Remote shop"),
        json!({"directives": {"headerUp": null}, "forwardAuthorization": false}),
        json!({"directives": null, "forwardAuthorization": null}),
    ] {
        let object = reverse_proxy("a", "/proxy/shop/*", &cart, &more);
        accounts.allowed("no-impersonate", &CREATE, &object).await?;
    }
    // Nor is the right to a prefix one to anything beside it.
    for path in ["/proxy/shop", "/proxy/shopping/*", "/proxy/*", "/proxy/other/*"] {
        let object = reverse_proxy("a", path, &cart, &nothing);
        let sentence = format!(
            "may not publish {path}; a ClusterRole allows it with the rule {{nonResourceURLs: [\"{path}\"], verbs: [publish]}}"
        );
        accounts.refused("team", &CREATE, &object, &sentence).await?;
    }
    Ok(())
}

async fn on_creation_of_an_api_service(accounts: &Accounts) -> Result<()> {
    let shop = json!({"group": "shop.example"});
    let cart = json!({"service": {"namespace": "shop", "name": "cart"}});
    let cases = [
        (
            "no-publish",
            &shop,
            cart.clone(),
            "may not publish /kapis/shop.example/v1; a ClusterRole allows it with the rule {nonResourceURLs: [\"/kapis/shop.example/v1\"], verbs: [publish]}",
        ),
        (
            "no-publish",
            &json!({}),
            cart.clone(),
            "may not publish /kapi/v1; a ClusterRole allows it with the rule {nonResourceURLs: [\"/kapi/v1\"], verbs: [publish]}",
        ),
        (
            "no-publish",
            &json!({"group": ""}),
            cart.clone(),
            "may not publish /kapi/v1; a ClusterRole allows it with the rule {nonResourceURLs: [\"/kapi/v1\"], verbs: [publish]}",
        ),
        (
            "no-route",
            &shop,
            cart.clone(),
            "may not route to Service shop/cart; a Role in namespace shop allows it with the rule {apiGroups: [\"\"], resources: [services], resourceNames: [\"cart\"], verbs: [route]}",
        ),
        (
            "no-external",
            &shop,
            json!({"url": "https://[fd00::1]:8443"}),
            "may not publish the host fd00::1, which is no Service of this cluster; a ClusterRole allows it with the rule {apiGroups: [extensions.kubesphere.io], resources: [apiservices], resourceNames: [\"fd00::1\"], verbs: [external]}",
        ),
        (
            "no-impersonate",
            &shop,
            json!({"service": {"namespace": "shop", "name": "cart"}, "forwardAuthorization": true}),
            "may not set forwardAuthorization, which hands callers' credentials to the backend; a ClusterRole allows it with the rule {apiGroups: [\"\"], resources: [users], verbs: [impersonate]}",
        ),
    ];
    for (lacks, group, more, sentence) in cases {
        let object = api_service(group, &more);
        accounts.allowed("team", &CREATE, &object).await?;
        accounts.refused(lacks, &CREATE, &object, sentence).await?;
    }
    Ok(())
}

/// Whoever changes what is served answers for all of it; what changes nothing that is served passes.
async fn on_change_and_removal(world: &World, accounts: &Accounts) -> Result<()> {
    let cart = json!({"url": "http://cart.shop.svc"});
    for (name, path) in [("mine", "/proxy/shop/mine/*"), ("theirs", "/proxy/other/*")] {
        let object = reverse_proxy(name, path, &cart, &json!({}));
        let printed = world.kubectl().output(&["create", "-f", "-"], &object).await?;
        ensure!(printed.success, "{}", printed.stderr);
    }
    let patch = |name: &'static str, body: &'static str| ["patch", "rp", name, "--type=merge", "-p", body];
    let take = patch(
        "theirs",
        r#"{"spec":{"matcher":{"path":"/proxy/shop/theirs/*"}}}"#,
    );
    let theirs = |what: &str| {
        format!(
            "may not {what} /proxy/other/*; a ClusterRole allows it with the rule {{nonResourceURLs: [\"/proxy/other/*\"], verbs: [publish]}}"
        )
    };
    accounts
        .refused("team", &take, "", &theirs("move what is published at"))
        .await?;
    let redirect = patch(
        "theirs",
        r#"{"spec":{"upstream":{"url":"http://cart.shop.svc:81"}}}"#,
    );
    accounts
        .refused("team", &redirect, "", &theirs("publish"))
        .await?;
    let hide = patch(
        "theirs",
        r#"{"metadata":{"labels":{"kubesphere.io/reverse-proxy-target":"ks-console"}}}"#,
    );
    accounts.refused("team", &hide, "", &theirs("publish")).await?;
    // Garbage collection would remove what belongs to nobody that exists.
    let orphan = patch(
        "theirs",
        r#"{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"none","uid":"0"}]}}"#,
    );
    accounts.refused("team", &orphan, "", &theirs("publish")).await?;
    accounts
        .refused(
            "team",
            &["delete", "rp", "theirs"],
            "",
            &theirs("remove what is published at"),
        )
        .await?;
    // A label, a finalizer or a status is nobody's publication.
    let label = patch(
        "theirs",
        r#"{"metadata":{"labels":{"team":"other"},"annotations":{"note":"x"}}}"#,
    );
    accounts.allowed("no-publish", &label, "").await?;
    let status = patch("theirs", r#"{"status":{"state":"Available"}}"#);
    let status = [&status[..], &["--subresource=status"]].concat();
    let printed = world.kubectl().output(&status, "").await?;
    ensure!(printed.success, "{}", printed.stderr);
    // What garbage collection does has been decided elsewhere.
    let collector = "--as=system:serviceaccount:kube-system:generic-garbage-collector";
    let printed = world
        .kubectl()
        .output(&["delete", "rp", "theirs", collector], "")
        .await?;
    ensure!(printed.success, "{}", printed.stderr);
    Ok(())
}

/// The commands of docs/install.md, as they stand there.
async fn a_team_has_the_rights_that_the_page_gives_it(world: &World) -> Result<()> {
    let page = include_str!("../../../../docs/install.md");
    let commands = page
        .split("```sh\n")
        .filter_map(|rest| rest.split_once("```"))
        .map(|(commands, _)| commands)
        .find(|commands| commands.contains("name: shop-publish"))
        .context("the commands for a team")?;
    let kubectl = world.kubectl();
    // It has the same names as what came before.
    kubectl.delete(RIGHTS).await?;
    kubectl.run(&["create", "namespace", "shop"]).await?;
    let out = tokio::process::Command::new("sh")
        .args([
            "-euc",
            &format!("kubectl() {{ \"$KUBECTL\" \"$@\"; }}\n{commands}"),
        ])
        .env("KUBECTL", kubectl.program())
        .env("KUBECONFIG", world.control_plane.admin_kubeconfig())
        .output()
        .await?;
    ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let member = [
        "--as=member",
        "--as-group=shop-team",
        "--as-group=system:authenticated",
    ];
    let create = [&CREATE[..], &member].concat();
    let any = json!({"url": "http://any.shop.svc"});
    let group = json!({"group": "shop.example"});
    let own = [
        reverse_proxy("a", "/proxy/shop/*", &any, &json!({})),
        api_service(&group, &any),
    ];
    for object in own {
        wait::until_true("the rights act", Duration::from_secs(30), || async {
            let printed = kubectl.output(&create, &object).await?;
            ensure!(printed.success, "{}", printed.stderr);
            Ok(true)
        })
        .await?;
    }
    let elsewhere = json!({"url": "http://any.default.svc"});
    let others = [
        reverse_proxy("a", "/proxy/shopping", &any, &json!({})),
        reverse_proxy("a", "/proxy/shop/*", &elsewhere, &json!({})),
        api_service(&json!({"group": "other.example"}), &any),
    ];
    for object in others {
        let printed = kubectl.output(&create, &object).await?;
        ensure!(printed.stderr.contains("member may not"), "{}", printed.stderr);
    }
    Ok(())
}
