//! Each fragment of the documentation, merged into a whole manifest.

use std::sync::Arc;

use anyhow::{Context, Result};
use genkan_e2e::http1::Request;
use genkan_e2e::publish::{self, reverse_proxy};
use genkan_e2e::service::Service;
use genkan_e2e::world::World;
use serde_json::{Value, json};

/// A fragment, a request below its prefix, and what reaches the backend.
struct Fragment {
    directives: Value,
    request: &'static str,
    method: &'static str,
    target: &'static str,
}

fn fragment(directives: Value, request: &'static str, target: &'static str) -> Fragment {
    Fragment {
        directives,
        request,
        method: "GET",
        target,
    }
}

fn fragments() -> Vec<Fragment> {
    vec![
        Fragment {
            method: "POST",
            ..fragment(json!({"method": "POST"}), "/a", "/a")
        },
        fragment(json!({"stripPathSuffix": ".html"}), "/page.html", "/page"),
        fragment(json!({"rewrite": ["* /foo.html"]}), "/", "/foo.html"),
        fragment(json!({"rewrite": ["/api/* ?a=b"]}), "/api/abc", "/api/abc?a=b"),
        fragment(
            json!({"rewrite": ["/api_v2/* ?{query}&a=b"]}),
            "/api_v2/abc?c=d",
            "/api_v2/abc?c=d&a=b",
        ),
        fragment(
            json!({"rewrite": ["/api_v2/* ?{query}&a=b"]}),
            "/api_v2/abc",
            "/api_v2/abc?a=b",
        ),
        fragment(
            json!({"rewrite": ["* /index.php?{query}&p={path}"]}),
            "/foo/bar",
            "/index.php?p=%2Ffoo%2Fbar",
        ),
        fragment(
            json!({"replace": ["/docs/ /v1/docs/"]}),
            "/docs/go",
            "/v1/docs/go",
        ),
        fragment(
            json!({"pathRegexp": ["/{2,} /"]}),
            "/doc//readme.md",
            "/doc/readme.md",
        ),
    ]
}

pub async fn fragments_of_the_documentation_do_what_they_say(world: Arc<World>) -> Result<()> {
    let client = world.control_plane.client();
    let backend = world.backend("fragments", 8080).await?;
    let service = Service::new("default", "fragments", 80, &[backend.address]);
    world.kubectl().apply(&service.manifest()).await?;
    for (n, fragment) in fragments().into_iter().enumerate() {
        let name = format!("fragment-{n}");
        let prefix = format!("/proxy/{name}");
        let object = reverse_proxy(
            &name,
            &prefix,
            "fragments.default.svc",
            fragment.directives.clone(),
        );
        publish::apply(&client, &object)
            .await
            .with_context(|| fragment.directives.to_string())?;
        for answer in world
            .through_all(Request::get(&format!("{prefix}{}", fragment.request)))
            .await?
        {
            let said = answer.json()?;
            assert_eq!(said["target"], fragment.target, "{}", fragment.directives);
            assert_eq!(said["method"], fragment.method, "{}", fragment.directives);
        }
    }
    headers(&world).await
}

async fn headers(world: &World) -> Result<()> {
    let directives = json!({
        "headerUp": ["-Authorization", "Foo bar"],
        "headerDown": ["Content-Type \"application/json\""],
    });
    let object = reverse_proxy(
        "fragment-headers",
        "/proxy/fragment-headers",
        "fragments.default.svc",
        directives,
    );
    publish::apply(&world.control_plane.client(), &object).await?;
    let headers = [("Authorization", "Basic c2NyaXB0OnBhc3M=")];
    let request = Request {
        headers: &headers,
        ..Request::get("/proxy/fragment-headers/")
    };
    for answer in world.through_all(request).await? {
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let said = answer.json()?;
        let has = |name: &str, value: Option<&str>| {
            said["headers"].as_array().into_iter().flatten().any(|header| {
                header[0].as_str().is_some_and(|n| n.eq_ignore_ascii_case(name))
                    && value.is_none_or(|value| header[1] == value)
            })
        };
        assert!(has("Foo", Some("bar")), "{said}");
        assert!(!has("Authorization", None), "{said}");
    }
    Ok(())
}
