//! One operator and one data plane, and the folder that they serve.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use genkan_e2e::product::{Operator, Proxy, Source};
use genkan_e2e::programs::Programs;
use genkan_e2e::wait;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::case::{Case, Request};
use super::client::exchange;
use super::reviewer::{MARKER, Reviewer};
use super::upstream::Upstream;

/// How a data plane is started, as far as answers depend on it.
#[derive(Clone, Copy, Debug)]
pub struct Flags {
    pub is_open: bool,
    pub forwards_always: bool,
    pub cookie: Option<&'static str>,
    /// A URL of the front; absent: backends are told what KubeSphere tells them, as the cases assume.
    pub public: Option<&'static str>,
}

pub struct Pair {
    runtime: Runtime,
    operator: Operator,
    proxy: Proxy,
    pub reviewer: Arc<Reviewer>,
    folder: PathBuf,
    pub flags: Flags,
    /// Answers below a path that tells one world from the next.
    marker: Upstream,
    worlds: usize,
    /// It keeps decisions about nobody that hold for one case alone.
    is_biased: bool,
}

/// Where the backends are.
pub const ALLOWED: &str = "127.0.0.0/8";
const SETTLE: Duration = Duration::from_secs(10);

// === impl Flags ===

impl Flags {
    pub const DEFAULT: Self = Self {
        is_open: false,
        forwards_always: false,
        cookie: None,
        public: None,
    };

    fn arguments(self) -> Vec<&'static str> {
        let authentication = if self.is_open { "disabled" } else { "kubernetes" };
        let forwarding = if self.forwards_always { "always" } else { "never" };
        let mut arguments = vec![
            "--authentication",
            authentication,
            "--forward-authorization",
            forwarding,
        ];
        match self.public {
            Some(url) => arguments.extend(["--public-url", url]),
            None => arguments.extend(["--front-headers", "kubesphere"]),
        }
        arguments.extend(self.cookie.into_iter().flat_map(|name| ["--token-cookie", name]));
        arguments
    }
}

// === impl Pair ===

impl Pair {
    pub fn start(programs: &Programs, folder: &Path, flags: &Flags) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let objects = folder.join("objects");
        std::fs::create_dir_all(&objects).unwrap();
        let [grpc, operator_admin, listen, proxy_admin] = free_ports();
        let source = Source::Folder(objects);
        let operator = Operator::new(programs, folder, &source, grpc, operator_admin);
        let reviewer = Arc::new(Reviewer::start());
        let kubeconfig = reviewer.kubeconfig(folder).display().to_string();
        let mut arguments = flags.arguments();
        arguments.extend([
            "--kubeconfig",
            &kubeconfig,
            "--allow-upstream-cidr",
            "127.0.0.0/8",
        ]);
        let proxy = Proxy::new(
            programs,
            folder,
            1,
            operator.grpc,
            (listen, proxy_admin),
            &arguments,
        );
        std::fs::create_dir_all(folder.join("dataplane-1")).unwrap();
        runtime.block_on(async {
            operator.start().await.unwrap();
            proxy.start().await.unwrap();
        });
        let keys = super::upstream::Keys::make(folder);
        let marker = Upstream::start(&Value::Null, &keys);
        Self {
            runtime,
            operator,
            proxy,
            reviewer,
            folder: folder.to_owned(),
            flags: *flags,
            marker,
            worlds: 0,
            is_biased: false,
        }
    }

    /// Gives the mark of the case's tokens and users.
    pub fn begin(&mut self, case: &Case) -> String {
        let is_biased = case.asks_about_nobody();
        if std::mem::replace(&mut self.is_biased, is_biased) || is_biased {
            self.runtime.block_on(async {
                self.proxy.kill();
                self.proxy.start().await.unwrap();
            });
        }
        let mark = format!(".c{}", self.worlds);
        self.reviewer.begin(case, &mark);
        mark
    }

    /// Where the objects are.
    pub fn objects(&self) -> PathBuf {
        self.folder.join("objects")
    }

    pub fn listen(&self) -> SocketAddr {
        self.proxy.listen
    }

    /// Replaces the whole world, and returns when the data plane serves it. One file is one change, so the marker that comes
    /// with the objects shows that they are there.
    pub fn publish(&mut self, mut objects: Vec<Value>) -> Result<(), String> {
        self.worlds += 1;
        let path = format!("{MARKER}{}", self.worlds);
        objects.push(json!({
            "apiVersion": "extensions.kubesphere.io/v1alpha1",
            "kind": "ReverseProxy",
            "metadata": { "name": "zz-marker-of-the-world" },
            "spec": {
                "matcher": { "path": path, "method": "GET" },
                "upstream": { "url": format!("http://{}", self.marker.address) },
            },
        }));
        // JSON may hold a raw DEL, YAML may not.
        let documents: Vec<String> = objects
            .iter()
            .map(|object| object.to_string().replace('\u{7f}', "\\u007f"))
            .collect();
        let draft = self.folder.join("world.yaml");
        std::fs::write(&draft, documents.join("\n---\n")).unwrap();
        std::fs::rename(&draft, self.folder.join("objects/world.yaml")).unwrap();
        let listen = self.listen();
        let settled = wait::until_true("the world is served", SETTLE, || {
            let served = exchange(listen, &Request::get(&path)).status == Some(200);
            let (operator, proxy) = (&self.operator, &self.proxy);
            async move { Ok(served && operator.config().await?.hash == proxy.config().await?.hash) }
        });
        self.runtime.block_on(settled).map_err(|error| {
            let ended = [self.operator.expect_running(), self.proxy.expect_running()];
            let ended: Vec<String> = ended
                .into_iter()
                .filter_map(Result::err)
                .map(|error| error.to_string())
                .collect();
            format!("{error} {}", ended.join(" "))
        })
    }
}

/// Each is given once, and lies below those that the kernel gives to connections: pairs start side by side.
fn free_ports() -> [u16; 4] {
    static NEXT: AtomicU16 = AtomicU16::new(21_000);
    [(); 4].map(|()| {
        loop {
            let port = NEXT.fetch_add(1, Ordering::Relaxed);
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return port;
            }
        }
    })
}
