//! What a person reads, with everything replaced that differs from run to run, so that it can be compared with a
//! stored text.

/// The text with fixed words for what chance decides: the cluster's part of ids, ports, addresses of this machine, and
/// numbers behind each of `before`.
#[must_use]
pub fn steady(text: &str, before: &[&str]) -> String {
    let mut steady = text.replace("localhost", "HOST").replace("127.0.0.1", "HOST");
    for prefix in ["application_", "container_", "appattempt_"] {
        steady = replaced(&steady, prefix, "T", 10);
    }
    steady = replaced(&steady, "HOST:", "PORT", 10);
    steady = replaced(&steady, "drawloom-mini-", "X", 16);
    steady = replaced(&steady, "/nodes/", "PORT", 10);
    for prefix in before {
        steady = replaced(&steady, prefix, "N", 10);
    }
    steady
}

/// Every number that stands behind `prefix`, with its fraction, replaced by a word.
fn replaced(text: &str, prefix: &str, word: &str, radix: u32) -> String {
    let mut parts = text.split(prefix);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        result.push_str(prefix);
        let rest = part.trim_start_matches(|c: char| c.is_digit(radix));
        let rest = match rest.strip_prefix('.') {
            Some(fraction)
                if rest.len() < part.len() && fraction.starts_with(|c: char| c.is_ascii_digit()) =>
            {
                fraction.trim_start_matches(|c: char| c.is_ascii_digit())
            }
            _ => rest,
        };
        if rest.len() < part.len() {
            result.push_str(word);
        }
        result.push_str(rest);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::steady;

    #[test]
    fn chance_is_taken_out_and_the_rest_stays() {
        let text = "container_1700_0001_01_000002 on localhost:4711: peak 12.5 MiB of 256 MiB";
        assert_eq!(
            steady(text, &["peak "]),
            "container_T_0001_01_000002 on HOST:PORT: peak N MiB of 256 MiB"
        );
        assert_eq!(steady("127.0.0.1. peak", &["peak "]), "HOST. peak");
    }
}
