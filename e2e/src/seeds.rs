//! Manifests as the documentation of KubeSphere prints them, to the byte.

/// An APIService of `http://employee-api.default.svc:8080`.
pub const EMPLOYEE: &str = include_str!("../seeds/employee.yaml");
/// A ReverseProxy of `http://weave-scope-app.weave.svc`.
pub const WEAVE_SCOPE: &str = include_str!("../seeds/weave-scope.yaml");
/// An APIService of `http://apiserver.example.svc`.
pub const EXAMPLE: &str = include_str!("../seeds/example.yaml");
/// A ReverseProxy of `http://app.weave.svc`, with the same name as [`WEAVE_SCOPE`].
pub const WEAVE_WORKS: &str = include_str!("../seeds/weave-works.yaml");
