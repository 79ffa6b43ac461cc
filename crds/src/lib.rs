//! The API types of genkan.
