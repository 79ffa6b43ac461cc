//! The pure part of genkan's data plane: canonical requests, matching, directives.

pub mod strict;
