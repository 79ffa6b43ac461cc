//! The data plane as a process, with an operator that says what the test wants.

#![allow(dead_code, clippy::unwrap_used, missing_debug_implementations)]

use std::net::SocketAddr;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use futures::Stream;
use genkan_proto::v1alpha1::config_stream_server::{ConfigStream, ConfigStreamServer};
use genkan_proto::v1alpha1::operator_message::Message as FromOperator;
use genkan_proto::v1alpha1::proxy_message::Message as FromProxy;
use genkan_proto::v1alpha1::{
    Ack, Endpoint, EndpointSet, ExtensionReport, Health, Hello, OperatorMessage, ProxyMessage, Resource,
    ResourceRef, ReverseProxy, Rollout, RolloutState, SecretValue, SecretValues, Snapshot, SnapshotChunk,
    Upstream, resource, reverse_proxy, rollout, rollout_state, upstream,
};
use genkan_proto::{Buckets, Hash, MAX_CHUNK, compress, resource_hash};
use parking_lot::Mutex;
use prost::Message;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

use crate::kit::PATIENCE;

/// Sends snapshots to whoever subscribes, and remembers what comes back.
pub struct Operator {
    pub address: SocketAddr,
    wanted: watch::Sender<Vec<Resource>>,
    rollouts: watch::Sender<Vec<Rollout>>,
    heard: Arc<Heard>,
    server: Mutex<tokio::task::JoinHandle<()>>,
}

/// What proxies said.
#[derive(Default)]
pub struct Heard {
    pub acks: Mutex<Vec<Ack>>,
    pub health: Mutex<Vec<Health>>,
    pub hellos: Mutex<Vec<Hello>>,
    pub rolled: Mutex<Vec<RolloutState>>,
    pub extensions: Mutex<Vec<ExtensionReport>>,
    /// What is sent before every snapshot.
    pub secrets: Mutex<Vec<SecretValue>>,
    changed: tokio::sync::Notify,
}

#[derive(Clone)]
struct Script {
    wanted: watch::Receiver<Vec<Resource>>,
    rollouts: watch::Receiver<Vec<Rollout>>,
    heard: Arc<Heard>,
}

// === impl Operator ===

impl Operator {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (wanted, watch) = watch::channel(Vec::new());
        let heard = Arc::new(Heard::default());
        let (rollouts, told) = watch::channel(Vec::new());
        let script = Script {
            wanted: watch,
            rollouts: told,
            heard: Arc::clone(&heard),
        };
        Self {
            address,
            wanted,
            rollouts,
            heard,
            server: Mutex::new(tokio::spawn(script.serve(listener))),
        }
    }

    /// Nobody is let in any more.
    pub fn leave(&self) {
        self.server.lock().abort();
    }

    pub async fn come_back(&self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let script = Script {
            wanted: self.wanted.subscribe(),
            rollouts: self.rollouts.subscribe(),
            heard: Arc::clone(&self.heard),
        };
        *self.server.lock() = tokio::spawn(script.serve(listener));
    }

    /// Sends these resources and waits until a proxy serves them.
    pub async fn publish(&self, mut resources: Vec<Resource>) -> Ack {
        resources.sort_by(|one, other| one.key.cmp(&other.key));
        let hash = hash_of(&resources);
        // The same content may have been acknowledged long ago.
        let known = self.heard.acks.lock().len();
        self.wanted.send_replace(resources);
        self.ack_after(known, |ack| ack.hash == hash.0).await
    }

    /// The first acknowledgement that fits.
    pub async fn ack(&self, fits: impl Fn(&Ack) -> bool) -> Ack {
        self.ack_after(0, fits).await
    }

    async fn ack_after(&self, known: usize, fits: impl Fn(&Ack) -> bool) -> Ack {
        let waiting = async {
            loop {
                let changed = self.heard.changed.notified();
                if let Some(ack) = self.heard.acks.lock().iter().skip(known).find(|ack| fits(ack)) {
                    return ack.clone();
                }
                changed.await;
            }
        };
        let ack = timeout(PATIENCE, waiting).await;
        ack.unwrap_or_else(|_| panic!("no such acknowledgement; there are {:?}", self.heard.acks.lock()))
    }

    /// Says that once, and waits for the first answer of this stage.
    pub async fn roll(
        &self,
        action: rollout::Action,
        revision: &str,
        stage: rollout_state::Stage,
    ) -> RolloutState {
        let mut nonce = 0;
        self.rollouts.send_modify(|told| {
            nonce = told.len() as u64 + 1;
            told.push(Rollout {
                extension: "corp".into(),
                revision: revision.into(),
                action: action.into(),
                nonce,
            });
        });
        let fits = |state: &RolloutState| state.nonce == nonce && state.stage() == stage;
        self.rolled(fits).await
    }

    /// The last word about a roll-out that fits.
    pub async fn rolled(&self, fits: impl Fn(&RolloutState) -> bool) -> RolloutState {
        self.said(|heard| heard.rolled.lock().iter().rfind(|state| fits(state)).cloned())
            .await
    }

    /// Waits for something that was said.
    pub async fn said<T>(&self, find: impl Fn(&Heard) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let changed = self.heard.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(found) = find(&self.heard) {
                    return found;
                }
                changed.await;
            }
        };
        let found = timeout(PATIENCE, waiting).await;
        found.unwrap_or_else(|_| panic!("that was not said; there is {:?}", self.heard.rolled.lock()))
    }

    pub fn heard(&self) -> &Heard {
        &self.heard
    }
}

pub fn hash_of(resources: &[Resource]) -> Hash {
    let mut held = Buckets::default();
    for resource in resources {
        held.insert(&resource.key, resource_hash(&resource.encode_to_vec()));
    }
    held.hash()
}

impl Script {
    async fn serve(self, listener: TcpListener) {
        let server = tonic::transport::Server::builder().add_service(ConfigStreamServer::new(self));
        let _ = server.serve_with_incoming(TcpListenerStream::new(listener)).await;
    }
}

#[tonic::async_trait]
impl ConfigStream for Script {
    type SubscribeStream = Pin<Box<dyn Stream<Item = Result<OperatorMessage, Status>> + Send>>;

    async fn subscribe(
        &self,
        request: Request<Streaming<ProxyMessage>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let (send, receive) = mpsc::channel(16);
        tokio::spawn(converse(request.into_inner(), send, self.clone()));
        Ok(Response::new(Box::pin(ReceiverStream::new(receive))))
    }
}

async fn converse(
    mut from_proxy: Streaming<ProxyMessage>,
    to_proxy: mpsc::Sender<Result<OperatorMessage, Status>>,
    script: Script,
) {
    let Script {
        mut wanted,
        mut rollouts,
        heard,
    } = script;
    let mut nonce = 0;
    // What was told before this stream is not told again.
    let mut told = rollouts.borrow_and_update().len();
    loop {
        tokio::select! {
            message = from_proxy.message() => match message.ok().flatten().and_then(|message| message.message) {
                Some(FromProxy::Hello(hello)) => {
                    heard.hellos.lock().push(hello);
                    heard.changed.notify_waiters();
                    wanted.mark_changed();
                }
                Some(FromProxy::Ack(ack)) => {
                    heard.acks.lock().push(ack);
                    heard.changed.notify_waiters();
                }
                Some(FromProxy::Health(health)) => {
                    heard.health.lock().push(health);
                    heard.changed.notify_waiters();
                }
                Some(FromProxy::Reports(reports)) => panic!("nobody gave it a duty: {reports:?}"),
                Some(FromProxy::Used(used)) => panic!("it was told of no credential: {used:?}"),
                Some(FromProxy::RolloutState(state)) => {
                    heard.rolled.lock().push(state);
                    heard.changed.notify_waiters();
                }
                Some(FromProxy::ExtensionReport(report)) => {
                    heard.extensions.lock().push(report);
                    heard.changed.notify_waiters();
                }
                None => return,
            },
            changed = rollouts.changed() => {
                if changed.is_err() {
                    return;
                }
                let new = rollouts.borrow_and_update()[told..].to_vec();
                told += new.len();
                for rollout in new {
                    let message = OperatorMessage { message: Some(FromOperator::Rollout(rollout)) };
                    if to_proxy.send(Ok(message)).await.is_err() {
                        return;
                    }
                }
            }
            changed = wanted.changed() => {
                if changed.is_err() {
                    return;
                }
                nonce += 1;
                let resources = wanted.borrow_and_update().clone();
                let values = heard.secrets.lock().clone();
                if !values.is_empty() {
                    let secrets = SecretValues { nonce, values };
                    let message = OperatorMessage { message: Some(FromOperator::Secrets(secrets)) };
                    if to_proxy.send(Ok(message)).await.is_err() {
                        return;
                    }
                }
                for chunk in chunks(nonce, resources) {
                    let message = OperatorMessage { message: Some(FromOperator::Snapshot(chunk)) };
                    if to_proxy.send(Ok(message)).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

fn chunks(nonce: u64, upserts: Vec<Resource>) -> Vec<SnapshotChunk> {
    let new_hash = hash_of(&upserts).0.to_vec();
    let payload = compress(&Snapshot {
        upserts: upserts
            .iter()
            .map(|resource| resource.encode_to_vec().into())
            .collect(),
        removals: Vec::new(),
    })
    .unwrap();
    let pieces: Vec<&[u8]> = payload.chunks(MAX_CHUNK).collect();
    let chunk = |(index, piece): (usize, &&[u8])| SnapshotChunk {
        nonce,
        base_hash: Vec::new(),
        new_hash: new_hash.clone(),
        index: index as u32,
        last: index + 1 == pieces.len(),
        payload: bytes::Bytes::copy_from_slice(piece),
    };
    pieces.iter().enumerate().map(chunk).collect()
}

/// A ReverseProxy for `path` and its only endpoint.
pub fn route(name: &str, path: &str, backend: SocketAddr) -> Vec<Resource> {
    let endpoints = format!("Endpoints/default/{name}:80");
    let object = ResourceRef {
        kind: "ReverseProxy".into(),
        name: name.into(),
        uid: format!("uid-{name}"),
        generation: 1,
        ..ResourceRef::default()
    };
    let proxy = ReverseProxy {
        path: path.into(),
        method: "*".into(),
        action: Some(reverse_proxy::Action::Upstream(Upstream {
            authority: backend.to_string(),
            target: Some(upstream::Target::Endpoints(endpoints.clone())),
            ..Upstream::default()
        })),
        ..ReverseProxy::default()
    };
    let endpoint = Endpoint {
        address: backend.ip().to_string(),
        port: u32::from(backend.port()),
    };
    let set = EndpointSet {
        endpoints: vec![endpoint],
    };
    vec![
        Resource {
            key: format!("ReverseProxy/{name}"),
            object: Some(object),
            resource: Some(resource::Resource::ReverseProxy(proxy)),
            ..Resource::default()
        },
        Resource {
            key: endpoints,
            resource: Some(resource::Resource::EndpointSet(set)),
            ..Resource::default()
        },
    ]
}

/// The data plane, started with the flags that every test needs.
pub struct Process {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    pub operator: Operator,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    flags: Vec<String>,
    state: tempfile::TempDir,
}

// === impl Process ===

impl Process {
    pub async fn start(flags: &[&str]) -> Self {
        let state = tempfile::tempdir().unwrap();
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self::launch(Operator::start().await, state, flags).await
    }

    /// The same while the operator is away.
    pub async fn start_alone(flags: &[&str]) -> Self {
        let state = tempfile::tempdir().unwrap();
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let operator = Operator::start().await;
        operator.leave();
        Self::launch(operator, state, flags).await
    }

    /// Ends it at once, as a crash would, and starts it anew with the same folder and operator.
    pub async fn restarted(mut self, flags: &[&str]) -> Self {
        self.child.kill().await.unwrap();
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        Self::launch(self.operator, self.state, self.flags).await
    }

    async fn launch(operator: Operator, state: tempfile::TempDir, flags: Vec<String>) -> Self {
        let is_judged = flags.iter().any(|flag| flag == "--authentication");
        let mut child = command(&operator, state.path())
            .args(if is_judged {
                &[][..]
            } else {
                &["--authentication", "disabled"]
            })
            .args(&flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        collect(child.stdout.take().unwrap(), Arc::clone(&log));
        collect(child.stderr.take().unwrap(), Arc::clone(&log));
        let [address, admin] = listeners(&log).await;
        Self {
            address,
            admin,
            operator,
            child,
            log,
            flags,
            state,
        }
    }

    /// Serves one route for everything below `/p/`.
    pub async fn serving(backend: SocketAddr, flags: &[&str]) -> Self {
        let process = Self::start(flags).await;
        process.operator.publish(route("p", "/proxy/*", backend)).await;
        process
    }

    pub fn state(&self) -> &std::path::Path {
        self.state.path()
    }

    pub fn terminate(&self) {
        let id = self.child.id().unwrap().to_string();
        assert!(
            std::process::Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for the end of the process.
    pub async fn ended(&mut self) -> ExitStatus {
        let status = timeout(PATIENCE * 2, self.child.wait()).await;
        status
            .unwrap_or_else(|_| panic!("the process goes on; its log: {:#?}", self.log.lock()))
            .unwrap()
    }

    /// The most memory that it has had, in bytes.
    pub fn most_memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until exactly one access line names this request.
    pub async fn logs_once(&self, request_id: &str) {
        let lines = || {
            let is_access = |line: &&String| line.contains(request_id) && line.contains("access");
            self.log.lock().iter().filter(is_access).count()
        };
        let waiting = async {
            while lines() == 0 {
                crate::kit::a_moment().await;
            }
        };
        let found = timeout(PATIENCE, waiting).await;
        assert!(
            found.is_ok(),
            "no access line of {request_id} in {:#?}",
            self.log.lock()
        );
        assert_eq!(lines(), 1, "{:#?}", self.log.lock());
    }

    /// The address of --tls-listen.
    pub fn tls_address(&self) -> SocketAddr {
        let log = self.log.lock();
        let lines = log
            .iter()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let mut found = lines.filter_map(|line| line.get("tls")?.as_str()?.parse().ok());
        found.next().unwrap()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().join("\n")
    }
}

fn command(operator: &Operator, state: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_genkan-dataplane"));
    command
        .env_clear()
        .args(["--operator", &format!("http://{}", operator.address)])
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .arg("--state-dir")
        .arg(state)
        .args(["--allow-upstream-cidr", "127.0.0.0/8"])
        .kill_on_drop(true);
    command
}

/// The addresses that the program says it listens on.
async fn listeners(log: &Mutex<Vec<String>>) -> [SocketAddr; 2] {
    let started = |line: &String| -> Option<[SocketAddr; 2]> {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let address = |name: &str| line.get(name)?.as_str()?.parse().ok();
        (line.get("message")? == "starting").then_some([address("listen")?, address("admin")?])
    };
    let waiting = async {
        loop {
            let found = log.lock().iter().find_map(started);
            match found {
                Some(addresses) => return addresses,
                None => crate::kit::a_moment().await,
            }
        }
    };
    let found = timeout(PATIENCE, waiting).await;
    found.unwrap_or_else(|_| panic!("the process has not started: {:#?}", log.lock()))
}

fn collect(pipe: impl tokio::io::AsyncRead + Unpin + Send + 'static, log: Arc<Mutex<Vec<String>>>) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            log.lock().push(line);
        }
    });
}

/// Where nobody listens, and nobody else comes to listen: the port is taken, and given only to who knows of it.
pub fn free_address() -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    std::mem::forget(socket);
    address
}
