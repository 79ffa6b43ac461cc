/// Why a policy of DataPower's is never converted.
pub(super) fn why(name: &str) -> Option<&'static str> {
    Some(match name {
        "xslt" => "needs XSLT, which this version does not run",
        "oauth" => {
            "makes genkan an authorisation server, which it is not; let an OpenID provider issue tokens and use \
             jwt or introspect"
        }
        "ltpa-generate" => {
            "needs LTPA, which this version does not make; use tokenExchange with a service that does"
        }
        "wsdl" => "needs WSDL, which this version does not read",
        "validate-usernametoken" => "needs WS-Security, which this version does not read",
        "websocket-upgrade" => "is not needed: upgrades pass by themselves",
        "html-page" => "has no counterpart",
        "graphql-introspect" | "graphql-execute" => "has no counterpart in this version",
        _ => return None,
    })
}
