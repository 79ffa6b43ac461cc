//! Why genkan answers itself: the values of `x-genkan-reason`, each spelled here and nowhere else. The reasons of
//! conditions are those of the API; a stub answers with them as well.

/// No rule allows it.
pub const ACCESS_DENIED: &str = "AccessDenied";
/// The API server did not say whether it is allowed.
pub const ACCESS_UNAVAILABLE: &str = "AccessUnavailable";
/// The address of the backend is one that is never dialled.
pub const ADDRESS_REFUSED: &str = "AddressRefused";
/// The backend broke off in the middle of its answer.
pub const BACKEND_BROKE: &str = "BackendBroke";
/// The backend closed the connection instead of answering.
pub const BACKEND_CLOSED: &str = "BackendClosed";
/// The backend takes no connection.
pub const BACKEND_CONNECT_FAILED: &str = "BackendConnectFailed";
/// The backend did not speak as it should.
pub const BACKEND_PROTOCOL: &str = "BackendProtocol";
/// The certificate of the backend is not what it has to be.
pub const BACKEND_TLS_VERIFY: &str = "BackendTLSVerify";
/// The backend took too long.
pub const BACKEND_TIMEOUT: &str = "BackendTimeout";
/// The host of the backend has no address.
pub const BACKEND_UNRESOLVED: &str = "BackendUnresolved";
/// A policy cannot read the body.
pub const BAD_INPUT: &str = "BadInput";
/// A redirect to the same path with a slash.
pub const BARE_PREFIX: &str = "BarePrefix";
/// There is no memory left to hold bodies for policies.
pub const BODY_MEMORY_EXHAUSTED: &str = "BodyMemoryExhausted";
/// The body of the request came too slowly.
pub const BODY_TIMEOUT: &str = "BodyTimeout";
/// The body is larger than can be put together before it is sent.
pub const BODY_TOO_LARGE: &str = "BodyTooLarge";
/// A policy looks at a body that this version cannot hold back.
pub const BODY_TOO_LONG_FOR_NOW: &str = "BodyTooLongForNow";
/// Whom a policy asks does not answer as it should.
pub const CALL_FAILED: &str = "CallFailed";
/// Whom a policy asks took too long.
pub const CALL_TIMEOUT: &str = "CallTimeout";
/// The client certificate is not one that a policy takes.
pub const CERTIFICATE_INVALID: &str = "CertificateInvalid";
/// A policy asks for a client certificate.
pub const CERTIFICATE_MISSING: &str = "CertificateMissing";
/// The client certificate is not good.
pub const CERTIFICATE_REJECTED: &str = "CertificateRejected";
/// A rule of a policy does not hold.
pub const CHECK_FAILED: &str = "CheckFailed";
/// The client went away.
pub const CLIENT_GONE: &str = "ClientGone";
/// The path names a cluster that does not exist.
pub const CLUSTER_NOT_FOUND: &str = "ClusterNotFound";
/// There is no such Connector.
pub const CONNECTOR_NOT_FOUND: &str = "ConnectorNotFound";
/// The class of the Connector is missing, or has no address for what is asked.
pub const CONNECTOR_UNRESOLVED: &str = "ConnectorUnresolved";
/// The Secret of the Connector cannot be put on a request.
pub const CREDENTIAL_UNUSABLE: &str = "CredentialUnusable";
/// `Connection` names a header that it must not.
pub const CONNECTION_REFUSED: &str = "ConnectionRefused";
/// A client certificate cannot be handed on.
pub const CREDENTIAL_NOT_FORWARDABLE: &str = "CredentialNotForwardable";
/// The credential cannot be read as one.
pub const CREDENTIAL_NOT_UNDERSTOOD: &str = "CredentialNotUnderstood";
/// A list of what is published.
pub const DISCOVERY: &str = "Discovery";
/// The request ended before anything was decided.
pub const DROPPED: &str = "Dropped";
/// A policy found nothing where it looked something up.
pub const ENRICHMENT_FAILED: &str = "EnrichmentFailed";
/// A page asked for what it finds below the prefix of its object.
pub const ESCAPED: &str = "Escaped";
/// What a policy runs is not on this data plane.
pub const EXTENSION_UNAVAILABLE: &str = "ExtensionUnavailable";
/// A filter does not take the request.
pub const FILTER_REFUSED: &str = "FilterRefused";
/// The head or the body can be read in more than one way.
pub const FRAMING: &str = "Framing";
/// The policy of a class made no credential.
pub const GENERATOR_FAILED: &str = "GeneratorFailed";
/// The head, or its trailers, are larger than is allowed.
pub const HEADER_TOO_LARGE: &str = "HeaderTooLarge";
/// There is no host, or more than one.
pub const HOST_REFUSED: &str = "HostRefused";
/// The caller cannot be written as headers.
pub const IDENTITY_NOT_SENDABLE: &str = "IdentityNotSendable";
/// The API server did not say who calls.
pub const IDENTITY_UNAVAILABLE: &str = "IdentityUnavailable";
/// Nobody acts as somebody else here.
pub const IMPERSONATION_NOT_SUPPORTED: &str = "ImpersonationNotSupported";
/// A mistake of genkan itself.
pub const INTERNAL_ERROR: &str = "InternalError";
/// The object is not valid.
pub const INVALID: &str = "Invalid";
/// The CA bundle of the object holds no certificate.
pub const INVALID_CA_BUNDLE: &str = "InvalidCABundle";
/// The API key is unknown.
pub const KEY_INVALID: &str = "KeyInvalid";
/// A policy asks for an API key.
pub const KEY_MISSING: &str = "KeyMissing";
/// A browser got its cookie on the host of a web UI, or goes to get one.
pub const LOGGED_IN: &str = "LoggedIn";
/// It is no address to log in at, or the code is not good here.
pub const LOGIN_REFUSED: &str = "LoginRefused";
/// Nobody is known yet who could be told to the host of a web UI.
pub const LOGIN_REQUIRED: &str = "LoginRequired";
/// There is no key for logging in.
pub const LOGIN_UNAVAILABLE: &str = "LoginUnavailable";
/// The request has been here before.
pub const LOOP_DETECTED: &str = "LoopDetected";
/// The method is never passed on.
pub const METHOD_REFUSED: &str = "MethodRefused";
/// The backend has no endpoint.
pub const NO_READY_ENDPOINTS: &str = "NoReadyEndpoints";
/// TLS was agreed on for another door.
pub const MISDIRECTED: &str = "Misdirected";
/// Nothing is published there.
pub const NO_ROUTE_MATCHED: &str = "NoRouteMatched";
/// There are no tables yet.
pub const NOT_CONFIGURED: &str = "NotConfigured";
/// A page of another host uses a credential that browsers send by themselves.
pub const ORIGIN_REFUSED: &str = "OriginRefused";
/// The request met a mistake of genkan itself.
pub const PANIC: &str = "Panic";
/// Name or password are wrong.
pub const PASSWORD_INVALID: &str = "PasswordInvalid";
/// A policy asks for name and password.
pub const PASSWORD_MISSING: &str = "PasswordMissing";
/// The path can be read in more than one way.
pub const PATH_REFUSED: &str = "PathRefused";
/// A policy does not allow it.
pub const POLICY_DENIED: &str = "PolicyDenied";
/// A policy could not be applied.
pub const POLICY_FAILED: &str = "PolicyFailed";
/// A policy took too long.
pub const POLICY_TIMEOUT: &str = "PolicyTimeout";
/// What a page of another host may send.
pub const PREFLIGHT: &str = "Preflight";
/// The query cannot be read.
pub const QUERY_REFUSED: &str = "QueryRefused";
/// There were too many requests.
pub const RATE_LIMITED: &str = "RateLimited";
/// A policy sends the client elsewhere.
pub const REDIRECTED: &str = "Redirected";
/// The path says nothing that Kubernetes would understand.
pub const REQUEST_NOT_UNDERSTOOD: &str = "RequestNotUnderstood";
/// The head came too slowly.
pub const REQUEST_TIMEOUT: &str = "RequestTimeout";
/// A policy answers itself.
pub const RESPONDED: &str = "Responded";
/// The directives take too long for this path.
pub const REWRITE_TOO_COSTLY: &str = "RewriteTooCostly";
/// The body does not follow its schema.
pub const SCHEMA_VIOLATION: &str = "SchemaViolation";
/// What the object needs a secret for has not come from the operator.
pub const SECRETS_UNAVAILABLE: &str = "SecretsUnavailable";
/// `OPTIONS *`, which asks about the server.
pub const SERVER_OPTIONS: &str = "ServerOptions";
/// The script of a service worker lies where it would act on what is not its own.
pub const SERVICE_WORKER_SCOPE: &str = "ServiceWorkerScope";
/// The signature is not good.
pub const SIGNATURE_INVALID: &str = "SignatureInvalid";
/// A policy asks for a signature.
pub const SIGNATURE_MISSING: &str = "SignatureMissing";
/// A policy looks at bodies, and this is a stream without an end.
pub const STREAM_WITH_BODY_POLICY: &str = "StreamWithBodyPolicy";
/// The target is longer than is allowed.
pub const TARGET_TOO_LONG: &str = "TargetTooLong";
/// A policy does not take the token.
pub const TOKEN_INVALID: &str = "TokenInvalid";
/// A policy asks for a token.
pub const TOKEN_MISSING: &str = "TokenMissing";
/// Whoever grants tokens for the class of a Connector grants none.
pub const TOKEN_NOT_GRANTED: &str = "TokenNotGranted";
/// A redirect to the host of a web UI.
pub const TO_APP: &str = "ToApp";
/// The API server does not accept the token.
pub const TOKEN_REJECTED: &str = "TokenRejected";
/// Nobody is served here without a token.
pub const TOKEN_REQUIRED: &str = "TokenRequired";
/// There are as many requests as there is room for.
pub const TOO_MANY_AT_ONCE: &str = "TooManyAtOnce";
/// This caller makes the API server answer too many questions.
pub const TOO_MANY_QUESTIONS: &str = "TooManyQuestions";
/// This caller shows too many tokens.
pub const TOO_MANY_TOKENS: &str = "TooManyTokens";
/// No coding but chunked is understood.
pub const TRANSFER_CODING: &str = "TransferCoding";
/// The reason of a condition, in the metric of answers, which has no room for each.
pub const UNAVAILABLE: &str = "Unavailable";
/// A reason that cannot stand in a header.
pub const UNKNOWN: &str = "Unknown";
/// The object needs a data plane that knows more.
pub const UNSUPPORTED: &str = "Unsupported";
/// A policy cannot read bodies of this type or coding.
pub const UNSUPPORTED_MEDIA_TYPE: &str = "UnsupportedMediaType";
/// The version of HTTP is not spoken.
pub const VERSION_REFUSED: &str = "VersionRefused";
