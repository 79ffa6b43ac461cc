//! The pure routing library.
