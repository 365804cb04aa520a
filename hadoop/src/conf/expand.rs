//! Replacement of `${name}` in values, as `Configuration.substituteVars` does it.

use std::ops::Range;

use super::{Env, Unexpanded};

/// `Configuration.MAX_SUBST`.
const MAX_REPLACEMENTS: usize = 20;
/// The longest value a replacement may produce, in bytes.
const MAX_LENGTH: usize = 1 << 20;

/// Replaces variables in `text`, always the leftmost one first, until none is left or one cannot be replaced.
/// `lookup` knows the raw values of all variables.
///
/// Where a variable is unbound the text as far as it got is returned, as Hadoop does; where replacing cannot end,
/// the text as it was.
pub(super) fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> (String, Option<Unexpanded>) {
    let mut now = text.to_owned();
    for _ in 0..MAX_REPLACEMENTS {
        let Some(name) = leftmost_variable(&now) else {
            return (now, None);
        };
        let variable = now[name.clone()].to_owned();
        let Some(value) = lookup(&variable) else {
            return (now, Some(Unexpanded::Unbound(variable)));
        };
        let reference = name.start - 2..name.end + 1;
        if value.contains(&now[reference.clone()]) {
            return (text.to_owned(), Some(Unexpanded::Recursive(variable)));
        }
        if now.len() + value.len() > MAX_LENGTH {
            return (text.to_owned(), Some(Unexpanded::TooMuch));
        }
        now.replace_range(reference, &value);
    }
    match leftmost_variable(&now) {
        Some(_) => (text.to_owned(), Some(Unexpanded::TooMuch)),
        None => (now, None),
    }
}

/// Where the name of the leftmost `${name}` is. A name holds neither `$` nor blank nor `}`; so in `${a${b}}` it is
/// the inner one.
fn leftmost_variable(text: &str) -> Option<Range<usize>> {
    let mut from = 0;
    loop {
        let start = from + text[from..].find("${")? + 2;
        let length = text[start..].find(['}', ' ', '$'])?;
        if length > 0 && text[start + length..].starts_with('}') {
            return Some(start..start + length);
        }
        // What stopped the name may begin the next variable, unless it is the brace of an empty `${}`.
        from = start + length;
    }
}

/// The value of `${env.…}`: `NAME`, `NAME-default` (if unset) or `NAME:-default` (if unset or empty).
pub(super) fn environment(name: &str, env: &Env<'_>) -> Option<String> {
    let Some(dash) = name.find('-') else {
        return env(name);
    };
    let default = || Some(name[dash + 1..].to_owned());
    match name[..dash].strip_suffix(':') {
        Some(name) => env(name).filter(|value| !value.is_empty()).or_else(default),
        None => env(&name[..dash]).or_else(default),
    }
}

/// The Java system properties that configurations commonly refer to, from their nearest relatives here.
pub(super) fn system_property(name: &str, env: &Env<'_>) -> Option<String> {
    match name {
        "user.name" => env("USER").or_else(|| env("LOGNAME")),
        "user.home" => env("HOME"),
        "java.io.tmpdir" => Some("/tmp".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn variables_nest_and_repeat() {
        let vars = [("a", "1"), ("b", "${a}2"), ("x1", "deep"), ("n", "1")];
        let cases = [
            ("${b}-${b}", "12-12"),
            ("${x${n}}", "deep"),
            ("no variable", "no variable"),
            ("$ { ${} {a} $a }", "$ { ${} {a} $a }"),
            ("${a b} ${a}", "${a b} 1"),
            ("${${a}", "${1"),
            ("${}${a}", "${}1"),
            ("ü${a}ü", "ü1ü"),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text, &with(&vars)), (expected.to_owned(), None), "{text}");
        }
    }

    #[test]
    fn an_unbound_variable_stays_and_ends_the_expansion() {
        let (text, why) = expand("${a}/${gone}/${a}", &with(&[("a", "1")]));
        assert_eq!(text, "1/${gone}/${a}");
        assert_eq!(why, Some(Unexpanded::Unbound("gone".to_owned())));
    }

    #[test]
    fn endless_expansion_is_given_up() {
        let vars = [("self", "x${self}"), ("a", "${b}"), ("b", "${a}")];
        let (text, why) = expand("${self}", &with(&vars));
        assert_eq!(
            (text.as_str(), why),
            ("${self}", Some(Unexpanded::Recursive("self".to_owned())))
        );
        let (text, why) = expand("${a}", &with(&vars));
        assert_eq!((text.as_str(), why), ("${a}", Some(Unexpanded::TooMuch)));
    }

    #[test]
    fn twenty_replacements_are_allowed_and_no_more() {
        let vars = [("a", "1")];
        assert_eq!(expand(&"${a}".repeat(20), &with(&vars)).0, "1".repeat(20));
        assert_eq!(
            expand(&"${a}".repeat(21), &with(&vars)).1,
            Some(Unexpanded::TooMuch)
        );
    }

    #[test]
    fn environment_variables_have_two_kinds_of_default() {
        let env = |name: &str| match name {
            "SET" => Some("v".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let cases = [
            ("SET", Some("v")),
            ("NONE", None),
            ("NONE-d", Some("d")),
            ("EMPTY-d", Some("")),
            ("EMPTY:-d", Some("d")),
            ("NONE:-d-e", Some("d-e")),
            ("SET:-d", Some("v")),
            ("NONE-", Some("")),
        ];
        for (name, expected) in cases {
            assert_eq!(environment(name, &env).as_deref(), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn expansion_ends_for_any_text(text in "[${}ab ]{0,40}", a in "[${}ab]{0,12}", b in "[${}ab]{0,12}") {
            let vars = [("a", a.as_str()), ("b", b.as_str())];
            expand(&text, &with(&vars));
        }

        #[test]
        fn text_without_variables_is_untouched(text in "[^$]{0,60}") {
            prop_assert_eq!(expand(&text, &|_| None), (text, None));
        }
    }
}
