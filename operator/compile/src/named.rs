//! Names as the API server takes them. What comes from files has passed no API server, and stands in logs and labels.

/// Does it name an object: a DNS-1123 subdomain?
pub fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_word)
}

/// Does it name a namespace or a Service: a DNS-1123 label?
pub fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_word(text)
}

fn is_word(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_api_server() {
        let long = "a".repeat(63);
        for name in ["a", "1", "a-b", "a--b", &long] {
            assert!(is_label(name) && is_subdomain(name), "{name}");
        }
        let longest = [&*long, &long, &long, &long[..61]].join(".");
        for name in ["a.b", "1.2-3.c", &longest] {
            assert!(!is_label(name) && is_subdomain(name), "{name}");
        }
        for name in [
            "", "A", "a_b", "-a", "a-", "a..b", ".a", "a.", "a.-b", "a\nb", "a b", "a/b", "é", "a\u{85}b",
        ] {
            assert!(!is_label(name) && !is_subdomain(name), "{name:?}");
        }
        assert!(!is_subdomain(&format!("{longest}a")) && !is_label(&format!("{long}a")));
    }
}
