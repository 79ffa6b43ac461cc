//! gRPC through the program: HTTP/2 on both sides.

use std::time::Duration;

use genkan_proto::v1alpha1::config_stream_client::ConfigStreamClient;
use genkan_proto::v1alpha1::{Directives, Hello, ProxyMessage, proxy_message};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::objects::{mk_host, mk_proxy, mk_stub, none};
use crate::process::{Operator, Process, free_address};

async fn client(process: &Process, prefix: &str) -> ConfigStreamClient<Channel> {
    let origin = format!("http://{}", process.address);
    let channel = Endpoint::from_shared(origin.clone())
        .unwrap()
        .connect()
        .await
        .unwrap();
    ConfigStreamClient::with_origin(channel, format!("{origin}{prefix}").parse().unwrap())
}

async fn refused(process: &Process, prefix: &str) -> Status {
    let (_send, queue) = tokio::sync::mpsc::channel::<ProxyMessage>(1);
    client(process, prefix)
        .await
        .subscribe(ReceiverStream::new(queue))
        .await
        .unwrap_err()
}

#[tokio::test]
async fn streams_flow_both_ways_and_errors_are_statuses() {
    // Another operator serves as the backend: its stream speaks first when it is spoken to.
    let backend = Operator::start().await;
    let process = Process::start(&[]).await;
    let strip = |prefix: &str| Directives {
        strip_path_prefix: prefix.into(),
        ..none()
    };
    let resources = vec![
        mk_proxy("g", "/proxy/g/*", mk_host(backend.address), strip("/proxy/g")),
        mk_proxy(
            "down",
            "/proxy/down/*",
            mk_host(free_address()),
            strip("/proxy/down"),
        ),
        mk_stub(
            "stub",
            "/proxy/stub/*",
            "BackendNotFound",
            "Service default/x does not exist",
        ),
    ];
    process.operator.publish(resources).await;

    let (send, queue) = tokio::sync::mpsc::channel(4);
    let hello = proxy_message::Message::Hello(Hello {
        protocol_version: 1,
        ..Hello::default()
    });
    send.send(ProxyMessage { message: Some(hello) }).await.unwrap();
    let response = client(&process, "/proxy/g")
        .await
        .subscribe(ReceiverStream::new(queue))
        .await
        .unwrap();
    let mut stream = response.into_inner();
    let first = tokio::time::timeout(Duration::from_secs(10), stream.message())
        .await
        .unwrap()
        .unwrap();
    assert!(first.is_some(), "the snapshot of an empty world");
    // The end of what we send is the end of what we get; its status comes as a trailer.
    drop(send);
    let end = tokio::time::timeout(Duration::from_secs(10), stream.message())
        .await
        .unwrap()
        .unwrap();
    assert!(end.is_none());

    let stub = refused(&process, "/proxy/stub").await;
    assert_eq!(stub.code(), Code::Unavailable, "{stub:?}");
    assert!(
        stub.message().contains("Service default/x does not exist"),
        "{stub:?}"
    );
    assert_eq!(refused(&process, "/proxy/down").await.code(), Code::Unavailable);
    assert_eq!(
        refused(&process, "/proxy/nothing").await.code(),
        Code::Unimplemented
    );
}
