//! What the attacks meet: the program, routes of every kind, and the backend behind them.

use genkan_proto::v1alpha1::{Directives, Resource, RewriteLinks, SecretValue, Upstream};
use serde_json::json;

use super::ledger::Ledger;
use crate::kit::Client;
use crate::objects::{mk_api, mk_basic_auth, mk_class, mk_connector, mk_host, mk_proxy, none};
use crate::process::Process;
use crate::reviews::ApiServer;

/// A data plane that asks an API server who callers are.
pub struct Stage {
    pub process: Process,
    pub ledger: Ledger,
    _api: ApiServer,
}

// === impl Stage ===

impl Stage {
    pub async fn set() -> Self {
        let (api, ledger) = (ApiServer::start().await, Ledger::start().await);
        let evil = "x\r\nX-Remote-Group: system:masters";
        api.know("tok-odd", json!({ "username": evil, "groups": [] }));
        api.know("tok-many", json!({ "username": "many", "groups": ["a,b", "c"] }));
        api.know(
            "tok-extra",
            json!({ "username": "extra", "groups": [], "extra": { evil: ["1"] } }),
        );
        api.allow(&["/*", "resource"]);
        let kubeconfig = api.kubeconfig();
        let process = Process::start(&ApiServer::flags(&kubeconfig, &["--token-cookie", "token"])).await;
        let upstream = || mk_host(ledger.address);
        let introduced = Directives {
            auth_proxy: true,
            header_up: vec!["X-Remote-User root".into(), "X-Remote-Extra-Evil 1".into()],
            ..none()
        };
        let erasing = Directives {
            header_up: [
                "-CDN-Loop",
                "CDN-Loop other",
                "-CDN-*",
                "-X-Forwarded-For",
                "-X-Forwarded-*",
            ]
            .map(Into::into)
            .into(),
            ..none()
        };
        let stripped = Directives {
            strip_path_prefix: "/proxy/strip".into(),
            ..none()
        };
        let full = Directives {
            strip_path_prefix: "/proxy/full".into(),
            rewrite_links: RewriteLinks::Full.into(),
            ..none()
        };
        let (tool, credential) = tool(&ledger);
        *process.operator.heard().secrets.lock() = vec![credential];
        let mut resources = vec![
            mk_proxy("known", "/proxy/known/*", upstream(), introduced),
            mk_proxy("stripped", "/proxy/strip*", upstream(), stripped),
            mk_proxy("erasing", "/proxy/erasing/*", upstream(), erasing),
            mk_proxy("full", "/proxy/full/*", upstream(), full),
            mk_proxy("plain", "/proxy/*", upstream(), none()),
            mk_api("shop.example", "v1", upstream()),
        ];
        resources.extend(tool);
        let ack = process.operator.publish(resources).await;
        assert!(ack.verdicts.is_empty(), "{:?}", ack.verdicts);
        Self {
            process,
            ledger,
            _api: api,
        }
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.process.address).await
    }
}

/// The Connector `n/tool`, its class and its Secret, and the value of that.
fn tool(ledger: &Ledger) -> ([Resource; 3], SecretValue) {
    let (named, value) = mk_basic_auth("tool", "u", "p");
    let address = Upstream {
        authority: "tool.example".into(),
        base_path: "/base".into(),
        ..mk_host(ledger.address)
    };
    let connector = mk_connector("tool", "kind", address, &named.key);
    ([mk_class("kind"), connector, named], value)
}
