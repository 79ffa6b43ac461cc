//! genkan operator.
