//! The wire contract between the operator and the data plane. Order, acknowledgement, hash and limits are
//! documented in `proto/config.proto`; this crate holds what was generated from it and the few functions
//! that both ends must share.

#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

pub mod codec;
mod hash;
mod redaction;
mod snapshot;

pub use hash::{Buckets, Hash, Hashed, resource_hash};
pub use snapshot::{
    MAX_CHUNK, MAX_FRAME, MAX_REPORTS, MAX_SNAPSHOT, PROTOCOL_VERSION, SnapshotError, compress, decompress,
};

/// Of the ServiceAccount tokens with which proxies open the stream; no other token opens it, and these open nothing else.
pub const AUDIENCE: &str = "stream.genkan.io";

/// Generated from `proto/config.proto`.
#[allow(clippy::all, clippy::pedantic, missing_debug_implementations)]
pub mod v1alpha1 {
    tonic::include_proto!("genkan.config.v1alpha1");
}
