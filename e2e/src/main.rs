//! `genkan-e2e run`: a real control plane with genkan beside it, to try things on.

fn main() {}
