//! How long a backend is waited for that is being connected to.

use genkan_kit::deaf::{self, Deaf};
use pingora_core::ErrorType;
use pingora_core::connectors::TransportConnector;
use pingora_core::protocols::l4::socket::SocketAddr as Address;
use tokio::time::Instant;

use super::dial::dial;
use super::*;
use crate::names::System;
use crate::net::AddressCheck;

fn mk_upstream(tls: bool) -> Upstream {
    let tls = tls.then(|| model::Tls {
        server_name: "b.example".into(),
        ca: Authorities::System,
        beside_roots: false,
        insecure_skip_verify: true,
    });
    let model = model::Upstream {
        authority: "b.example".into(),
        base_path: String::new(),
        target: model::Target::Host {
            name: "127.0.0.1".into(),
            port: 1,
        },
        tls,
        http2: false,
        fronting: Default::default(),
        https_by_default: false,
    };
    let names = Names::new(Arc::new(System::default()), Arc::new(AddressCheck::default()));
    let no_bundle = |_: &BlobKey| Err(UpstreamError::NoCaBundle);
    Upstream::build(&model, &names, |_| panic!("no set is named"), no_bundle).unwrap()
}

#[tokio::test(start_paused = true)]
async fn who_takes_no_connection_is_waited_for_five_seconds() {
    let deaf = Deaf::start();
    let begin = Instant::now();
    let error = dial(&Address::Inet(deaf.address)).await.unwrap_err();
    assert_eq!(error.etype(), &ErrorType::ConnectTimedout);
    assert_eq!(begin.elapsed(), CONNECT);
}

/// The engine's own clock cannot be moved: it is given less time.
#[tokio::test]
async fn the_engine_waits_no_longer_for_a_connection_or_a_handshake() {
    let short = Duration::from_millis(50);
    let connector = TransportConnector::new(None);
    let deaf = Deaf::start();
    let (_mute, mute) = deaf::listen(16);
    for (address, tls) in [(deaf.address, false), (deaf.address, true), (mute, true)] {
        let mut peer = mk_upstream(tls).peer(address, PeerOptions::default());
        for (limit, until_now) in [
            (&mut peer.options.connection_timeout, CONNECT),
            (&mut peer.options.total_connection_timeout, CONNECT_IN_ALL),
        ] {
            assert_eq!(limit.replace(short), Some(until_now));
        }
        let error = connector.new_stream(&peer).await.unwrap_err();
        assert_eq!(error.etype(), &ErrorType::ConnectTimedout, "{error}");
    }
}
