//! The program as a whole, on raw sockets: a scripted operator in front, scripted backends behind.

#![allow(clippy::unwrap_used, missing_debug_implementations)]

#[path = "wire/kit.rs"]
mod kit;
#[path = "serving/objects.rs"]
mod objects;
#[path = "wire/process.rs"]
mod process;
#[path = "wire/reviews.rs"]
mod reviews;

#[path = "serving/access.rs"]
mod access;
#[path = "serving/answers.rs"]
mod answers;
#[path = "serving/attacks.rs"]
mod attacks;
#[path = "serving/bodies.rs"]
mod bodies;
#[path = "serving/client_certificate.rs"]
mod client_certificate;
#[path = "serving/configuration.rs"]
mod configuration;
#[path = "serving/grpc.rs"]
mod grpc;
#[path = "serving/health.rs"]
mod health;
#[path = "serving/identity.rs"]
mod identity;
#[path = "serving/last_known_good.rs"]
mod last_known_good;
#[path = "serving/links.rs"]
mod links;
#[path = "serving/listener.rs"]
mod listener;
#[path = "serving/logins.rs"]
mod logins;
#[path = "serving/methods.rs"]
mod methods;
#[path = "serving/own_answers.rs"]
mod own_answers;
#[path = "serving/policies.rs"]
mod policies;
#[path = "serving/requests.rs"]
mod requests;
#[path = "serving/retries.rs"]
mod retries;
#[path = "serving/rollouts.rs"]
mod rollouts;
#[path = "serving/secrets.rs"]
mod secrets;
#[path = "serving/silence.rs"]
mod silence;
#[path = "serving/strictness.rs"]
mod strictness;
#[path = "serving/tls.rs"]
mod tls;
#[path = "serving/tunnels.rs"]
mod tunnels;
#[path = "serving/uis.rs"]
mod uis;
