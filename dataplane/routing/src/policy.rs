//! What a caller may, and which addresses are dialled.

pub mod access;
pub mod dialling;
