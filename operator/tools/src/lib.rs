//! What `genkan` tells people beside the operator: it judges, explains, compares and forwards, each with the code that
//! serves. The operator reads folders and asks API servers by it too.

#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

pub mod cluster;
pub mod connector;
pub mod definitions;
pub mod directory;
pub mod explain;
pub mod extension;
pub mod lint;
pub mod local_proxy;
pub mod resource;
pub mod source;
