/// The reason that stands for an error of DataPower's.
pub(super) fn reason(error: &str) -> &str {
    match error {
        "ConnectionError" | "OperationError" | "SOAPError" => "CallFailed",
        "ValidateError" => "SchemaViolation",
        "LimitExceeded" | "LimitExceededError" | "AssemblyRateLimitError" => "RateLimited",
        "JavaScriptError" => "ScriptFailed",
        "TransformError" => "TransformFailed",
        "RedactionError" => "RedactFailed",
        "PropertyError" => "PolicyFailed",
        "BadRequestError" | "InvalidError" => "BadRequest",
        "UnauthorizedError" => "TokenInvalid",
        "ForbiddenError" => "Forbidden",
        "default" => "*",
        other => other,
    }
}

/// The reasons that stand for some errors, each once.
pub(super) fn reasons<'a>(errors: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut reasons: Vec<String> = Vec::new();
    for error in errors {
        let reason = reason(error);
        if !reasons.iter().any(|known| known == reason) {
            reasons.push(reason.to_owned());
        }
    }
    reasons
}
