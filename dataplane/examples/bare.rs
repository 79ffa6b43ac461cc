//! The proxy engine and nothing else: every request goes to one address. What genkan costs is measured beside it.
//!
//! `bare LISTEN_PORT BACKEND_PORT`, both on 127.0.0.1; SIGTERM ends it.

use std::process::ExitCode;

use async_trait::async_trait;
use pingora_core::Result;
use pingora_core::modules::http::HttpModules;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Bare {
    peer: HttpPeer,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(self.peer.clone()))
    }
}

fn main() -> ExitCode {
    let ports: Vec<u16> = std::env::args()
        .skip(1)
        .filter_map(|port| port.parse().ok())
        .collect();
    let [listen, backend] = ports[..] else {
        eprintln!("bare LISTEN_PORT BACKEND_PORT");
        return ExitCode::FAILURE;
    };
    let conf = ServerConf {
        threads: 1,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let peer = HttpPeer::new(("127.0.0.1", backend), false, String::new());
    let mut service = http_proxy_service(&server.configuration, Bare { peer });
    service.add_tcp(&format!("127.0.0.1:{listen}"));
    server.add_service(service);
    server.run_forever();
}
