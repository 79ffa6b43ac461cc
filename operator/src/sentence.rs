use std::error::Error;

/// An error with its causes in one sentence: a cause that the ones before it have told already is left out. The outermost
/// text alone of an HTTP client says nothing.
pub fn sentence(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !told.contains(&more) {
            told = format!("{told}: {more}");
        }
        cause = error.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_not_told_again() {
        let error = anyhow::anyhow!("no route")
            .context("connect: no route")
            .context("list");
        assert_eq!(sentence(error.as_ref()), "list: connect: no route");
    }
}
