//! genkan data plane.
