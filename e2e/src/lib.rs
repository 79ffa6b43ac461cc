//! Starts a real Kubernetes control plane and the programs of genkan beside it, in a network of their own.
//!
//! [`suite::run`] is the entry of a test program: it finds or builds what is needed, starts the same program again
//! inside a private network, sets up a [`world::World`] there and carries out scenarios. [`run`] does the same for
//! people. Nothing that is started outlives the program that started it.

pub mod backend;
pub mod binaries;
pub mod browser;
pub mod callers;
pub mod control_plane;
pub mod counting;
pub mod hammer;
pub mod helm;
pub mod http1;
pub mod installation;
pub mod kubeconfig;
pub mod kubectl;
pub mod namespace;
pub mod node;
pub mod pki;
pub mod pod;
pub mod process;
pub mod product;
pub mod programs;
pub mod publish;
pub mod relay;
pub mod rogue;
pub mod run;
pub mod seeds;
pub mod service;
pub mod suite;
pub mod tokens;
pub mod wait;
pub mod world;
