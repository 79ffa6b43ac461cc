//! The words of the conditions of Connectors and ConnectorClasses, beside `Ready` and `Programmed` of all kinds.

/// Condition types.
pub mod kind {
    /// The API of the class can be reached, or there is none. On ConnectorClasses.
    pub const API_READY: &str = "APIReady";
    /// The proxy of the class can be reached, or there is none. On ConnectorClasses.
    pub const PROXY_READY: &str = "ProxyReady";

    /// What carries credentials of the class does so by TLS. Does not count for `Ready`. On ConnectorClasses.
    pub const CREDENTIALS_ENCRYPTED: &str = "CredentialsEncrypted";

    /// The class exists and can be used.
    pub const CONNECTOR_CLASS_READY: &str = "ConnectorClassReady";
    /// The Secret exists, may be read and is what the class asks for.
    pub const SECRET_READY: &str = "SecretReady";
    /// The tool answers.
    pub const LIVENESS_READY: &str = "LivenessReady";
    /// The tool accepts the credential.
    pub const AUTH_READY: &str = "AuthReady";
    /// The proxy has an address.
    pub const PROXY_SERVICE_READY: &str = "ProxyServiceReady";
    /// The certificates of the Connector can be used. Does not count for `Ready`.
    pub const CA_CERT_READY: &str = "CACertReady";
}

/// Values of `severity`; empty is an error.
pub mod severity {
    /// Does not count for `Ready`.
    pub const INFO: &str = "Info";
}

/// Values of `reason`. A condition that is True with nothing to say has none.
pub mod reason {
    /// `APIReady` is True: the class has no API.
    pub const NON_API: &str = "NonAPI";
    /// `ProxyReady` or `ProxyServiceReady` is True: the class has no proxy.
    pub const NON_PROXY: &str = "NonProxy";
    /// `SecretReady` is True: there is no Secret, and the class asks for none.
    pub const SECRET_OPTIONAL: &str = "SecretOptional";
    /// `LivenessReady` is True: the class has no such probe.
    pub const NON_LIVENESS_PROBE: &str = "NonLivenessProbe";
    /// `AuthReady` is True: the class has no probe of this auth type.
    pub const NON_AUTH_PROBE: &str = "NonAuthProbe";
    /// `ProxyServiceReady` is True: the class has a proxy, and no listener of this installation is one.
    pub const PROXY_NOT_ENABLED: &str = "ProxyNotEnabled";
    /// `CACertReady` is True: the certificates were read.
    pub const VALID: &str = "Valid";
    /// `CACertReady` is True: the Connector names none.
    pub const NO_CA_CERT: &str = "NoCACert";

    /// The class does not exist.
    pub const CONNECTOR_CLASS_NOT_FOUND: &str = "ConnectorClassNotFound";
    /// The Secret does not exist.
    pub const SECRET_NOT_FOUND: &str = "SecretNotFound";
    /// Nobody has allowed the operator to read Secrets of the namespace.
    pub const SECRET_NOT_PERMITTED: &str = "SecretNotPermitted";
    /// The Secret has another type than the class asks for, or may not be used as a credential.
    pub const SECRET_TYPE_MISMATCH: &str = "SecretTypeMismatch";
    /// The Secret lacks a key that the class asks for.
    pub const SECRET_KEY_MISSING: &str = "SecretKeyMissing";
    /// Nothing answers at the address.
    pub const CONNECTION_FAILED: &str = "ConnectionFailed";
    /// The tool refuses the credential.
    pub const AUTHENTICATION_FAILED: &str = "AuthenticationFailed";
    /// The Service of the proxy does not exist.
    pub const PROXY_SERVICE_NOT_FOUND: &str = "ProxyServiceNotFound";
    /// No Service can have the name that the Connector's would have.
    pub const INVALID_NAME: &str = "InvalidName";
    /// What should be certificates is something else.
    pub const INVALID_PEM: &str = "InvalidPEM";
    /// The reference leads to no address.
    pub const UNRESOLVED: &str = "Unresolved";
    /// `CredentialsEncrypted` is False: they go somewhere in plain text.
    pub const PLAIN_HTTP: &str = "PlainHTTP";
    /// The spec asks for something that this version does not know.
    pub const UNSUPPORTED_VALUE: &str = super::super::reason::UNSUPPORTED_VALUE;
    /// The spec breaks a rule that the schema does not express, or was stored before the rule existed.
    pub const INVALID: &str = super::super::reason::INVALID;

    /// The condition is Unknown: a probe is under way, or has not begun.
    pub const CHECKING: &str = "Checking";
    /// The condition is Unknown: what it would be taken from has none.
    pub const NOT_SET: &str = "NotSet";
}
