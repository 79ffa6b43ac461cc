//! Generates the messages and the client and server of `proto/config.proto`, without protoc.

/// Messages that tools and goldens print.
const READABLE: [&str; 11] = [
    "Resource",
    "ResourceRef",
    "ReverseProxy",
    "ApiService",
    "EndpointSet",
    "Endpoint",
    "Unavailable",
    "Upstream",
    "Host",
    "Tls",
    "Directives",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/config.proto");
    println!("cargo:rerun-if-changed=build.rs");
    let files = protox::compile(["proto/config.proto"], ["proto"])?;
    let mut config = tonic_prost_build::configure()
        .bytes(".genkan.config.v1alpha1.SnapshotChunk.payload")
        .bytes(".genkan.config.v1alpha1.Snapshot.upserts");
    for message in READABLE {
        config = config.type_attribute(
            format!(".genkan.config.v1alpha1.{message}"),
            "#[derive(serde::Serialize)]",
        );
    }
    config.compile_fds(files)?;
    Ok(())
}
