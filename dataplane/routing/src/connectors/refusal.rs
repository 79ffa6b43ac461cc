//! The sentences of this API, some of which clients compare.

use super::{ApiPath, Connector, GROUP};
use crate::answer::{Refused, reason};

pub(crate) fn unknown_shape() -> Refused {
    let message = "no path of the Connector API: it is /connectors/v1alpha1/NAMESPACE/NAME/path/..., which \
                   status.api.path of the Connector begins";
    Refused::new(404, reason::NO_ROUTE_MATCHED, message)
}

pub(crate) fn write_refused(method: &str, is_known: bool) -> Refused {
    let message = if is_known {
        format!(
            "the Connector API answers {} only; enable-connector-apis-write-passthrough in the ConfigMap of feature flags \
             opens it for {method}",
            super::READ_METHODS
        )
    } else {
        format!("the method {method} is not served")
    };
    Refused::new(405, reason::METHOD_REFUSED, message)
}

pub(crate) fn dot_segment() -> Refused {
    let message = "the path behind the Connector has a dot segment, a backslash, a line end or NUL, plain or escaped, which \
                   two servers read in two ways; send the path that is meant";
    Refused::new(400, reason::PATH_REFUSED, message)
}

pub(crate) fn no_token() -> Refused {
    Refused::new(401, reason::TOKEN_REQUIRED, "a Bearer token must be provided")
}

pub(crate) fn not_a_bearer() -> Refused {
    let message = "Authorization header must use Bearer authentication";
    Refused::new(401, reason::CREDENTIAL_NOT_UNDERSTOOD, message)
}

pub(crate) fn connector_not_found(path: &ApiPath<'_>) -> Refused {
    let message = format!("connectors.{GROUP} \"{}\" not found", path.name);
    Refused::new(404, reason::CONNECTOR_NOT_FOUND, message)
}

pub(crate) fn class_not_found(class: &str) -> Refused {
    unresolved(format!("connectorclass '{class}' not found"))
}

pub(crate) fn no_api(class: &str) -> Refused {
    unresolved(format!("api address of connectorclass '{class}' is not resolved"))
}

pub(crate) fn no_proxy(class: &str) -> Refused {
    unresolved(format!(
        "proxy address of connectorclass '{class}' is not resolved"
    ))
}

pub(crate) fn bad_address(class: &str, template: &str, address: &str) -> Refused {
    unresolved(format!(
        "x-openapi-address '{address}' of '/{template}' in connectorclass '{class}' is neither an address extension that \
         this Connector has nor a URL"
    ))
}

pub(crate) fn no_such_auth<R>(connector: &Connector<R>) -> Refused {
    unusable(format!(
        "connectorclass '{}' has no auth type '{}'",
        connector.class, connector.auth
    ))
}

pub(crate) fn secret_required<R>(connector: &Connector<R>, path: &ApiPath<'_>) -> Refused {
    let (namespace, name) = (path.namespace, path.name);
    unusable(format!(
        "connector '{namespace}/{name}' names no Secret, and the auth type '{}' of connectorclass '{}' needs one",
        connector.auth, connector.class
    ))
}

pub(crate) fn unusable(message: String) -> Refused {
    Refused::new(400, reason::CREDENTIAL_UNUSABLE, message)
}

fn unresolved(message: String) -> Refused {
    Refused::new(400, reason::CONNECTOR_UNRESOLVED, message)
}
