//! Gateway extensions, as far as they are reading, converting and deciding: archives of DataPower's become entries, entries
//! become revisions, and a roll-out is a machine that is told what happened. No client, no clock, no runtime.

#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

pub mod archive;
pub mod content;
pub mod diff;
pub mod digest;
pub mod glob;
pub mod join;
mod kind;
pub mod later;
mod limits;
pub mod manifest;
pub mod order;
pub mod overrides;
pub mod package;
pub mod policy;
mod refusal;
pub mod revision;
pub mod rollout;
pub mod status;
mod tree;
mod words;

pub use kind::{Deploy, Designated, EntryType, Layout, OnUnsupported};
pub use limits::Limits;
pub use package::{Options, Package, read};
pub use refusal::{Reason, Refused};
