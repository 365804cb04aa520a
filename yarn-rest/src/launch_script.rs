//! What a NodeManager's launch script does to the texts it is given.
//!
//! A NodeManager writes a bash script, `launch_container.sh`: each variable becomes
//! `export NAME="value"`, the command becomes `exec /bin/bash -c "command"`. **Nothing is escaped.** A
//! quote in a value ends the value, and the container dies with exit code 2 and a syntax error in its
//! diagnostics. Beforehand the NodeManager replaces, everywhere, `{{` by `$`, `}}` by nothing, and
//! `<LOG_DIR>`, `<CPS>` and `<ADD_OPENS>` by their meaning (`ContainerLaunch.expandEnvironment`).
//!
//! [`check_value`] and [`check_command`] find what breaks the script or is certainly lost.
//! [`check_verbatim`] is stricter: it finds everything that would arrive as something else.

/// A text the launch script would not carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} holds {fault}, which breaks YARN's launch script; {advice}")]
pub struct LaunchScriptError {
    /// Where it is: "the environment variable `X`", or "the command".
    pub place: String,
    /// What is wrong.
    pub fault: Fault,
    advice: &'static str,
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// `"`
    #[error("a double quote")]
    DoubleQuote,
    /// A line break.
    #[error("a line break")]
    LineBreak,
    /// A NUL character.
    #[error("a NUL character")]
    Nul,
    /// `{{` or `}}` that do not enclose the name of a variable.
    #[error("`{{{{` or `}}}}` that do not enclose the name of a variable")]
    Braces,
    /// A backslash at the end, which would escape the closing quote.
    #[error("a backslash at its end")]
    TrailingBackslash,
    /// A character bash acts on: `$`, a backtick or a backslash.
    #[error("a `$`, a backtick or a backslash")]
    Expansion,
    /// `<LOG_DIR>`, `<CPS>` or `<ADD_OPENS>`.
    #[error("`<LOG_DIR>`, `<CPS>` or `<ADD_OPENS>`")]
    Placeholder,
    /// Not a name for bash.
    #[error("something else than letters, digits and `_` in its name")]
    Name,
}

const ENCODE: &str = "pass it in a localized file, or encoded as base64";
const RENAME: &str = "choose another name";
const SCRIPT: &str = "put it into a localized script and run that";

/// Is `name` a name that bash can export? With any other the container ends with exit code 1.
pub fn check_name(name: &str) -> Result<(), LaunchScriptError> {
    if is_variable(name) {
        return Ok(());
    }
    Err(LaunchScriptError {
        place: variable(name),
        fault: Fault::Name,
        advice: RENAME,
    })
}

/// Does the value of the variable `name` leave the script intact? Expansions (`$HOME`, `{{HOME}}`,
/// `<LOG_DIR>`) are allowed.
pub fn check_value(name: &str, value: &str) -> Result<(), LaunchScriptError> {
    let fault = breaking(value);
    fault.map_or(Ok(()), |fault| {
        Err(LaunchScriptError {
            place: variable(name),
            fault,
            advice: ENCODE,
        })
    })
}

/// Does the value of the variable `name` arrive in the container as it is?
pub fn check_verbatim(name: &str, value: &str) -> Result<(), LaunchScriptError> {
    let fault = breaking(value).or_else(|| altering(value));
    fault.map_or(Ok(()), |fault| {
        Err(LaunchScriptError {
            place: variable(name),
            fault,
            advice: ENCODE,
        })
    })
}

/// Does this part of the command leave the script intact? Expansions are allowed.
pub fn check_command(part: &str) -> Result<(), LaunchScriptError> {
    let place = || "the command".to_owned();
    let fault = breaking(part);
    fault.map_or(Ok(()), |fault| {
        Err(LaunchScriptError {
            place: place(),
            fault,
            advice: SCRIPT,
        })
    })
}

fn variable(name: &str) -> String {
    format!("the environment variable `{name}`")
}

fn is_variable(name: &str) -> bool {
    let start = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    start && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn breaking(text: &str) -> Option<Fault> {
    let found = [
        (text.contains('"'), Fault::DoubleQuote),
        (text.contains(['\n', '\r']), Fault::LineBreak),
        (text.contains('\0'), Fault::Nul),
        (!braces_enclose_names(text), Fault::Braces),
        (ends_in_escape(text), Fault::TrailingBackslash),
    ];
    found
        .into_iter()
        .find_map(|(present, fault)| present.then_some(fault))
}

fn altering(text: &str) -> Option<Fault> {
    let placeholders = ["<LOG_DIR>", "<CPS>", "<ADD_OPENS>"];
    let found = [
        (
            text.contains(['$', '`', '\\']) || text.contains("{{"),
            Fault::Expansion,
        ),
        (
            placeholders.iter().any(|placeholder| text.contains(placeholder)),
            Fault::Placeholder,
        ),
    ];
    found
        .into_iter()
        .find_map(|(present, fault)| present.then_some(fault))
}

/// An odd number of backslashes at the end escapes the quote that follows.
fn ends_in_escape(text: &str) -> bool {
    text.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn braces_enclose_names(text: &str) -> bool {
    let mut parts = text.split("{{");
    let before = parts.next().is_none_or(|head| !head.contains("}}"));
    before
        && parts.all(|part| {
            part.split_once("}}")
                .is_some_and(|(name, rest)| encloses(name, rest))
        })
}

/// `{{HOME}}x` becomes `$HOMEx`, which is another variable.
fn encloses(name: &str, rest: &str) -> bool {
    let joined = rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    is_variable(name) && !joined && !rest.contains("}}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::{Fault, check_command, check_name, check_value, check_verbatim};

    fn fault(text: &str) -> Option<Fault> {
        check_value("X", text).err().map(|error| error.fault)
    }

    #[test]
    fn values_that_break_the_script_are_found() {
        assert_eq!(fault(r#"say "hi""#), Some(Fault::DoubleQuote));
        assert_eq!(fault("two\nlines"), Some(Fault::LineBreak));
        assert_eq!(fault("nul\0"), Some(Fault::Nul));
        assert_eq!(fault("{'a': {'b': 1}}"), Some(Fault::Braces));
        assert_eq!(fault("{{not a name}}"), Some(Fault::Braces));
        assert_eq!(fault("{{HOME"), Some(Fault::Braces));
        assert_eq!(fault("{{HOME}}dir"), Some(Fault::Braces));
        assert_eq!(fault(r"C:\"), Some(Fault::TrailingBackslash));
        assert_eq!(fault(r"C:\\"), None);
    }

    #[test]
    fn expansions_are_allowed_unless_the_value_must_arrive_verbatim() {
        for value in ["$PATH:/opt", "{{PWD}}/lib<CPS>x", "`hostname`", "<LOG_DIR>/x"] {
            assert_eq!(fault(value), None, "{value}");
            assert!(check_verbatim("X", value).is_err(), "{value}");
        }
        assert_eq!(check_verbatim("X", "plain text, with 'quotes' & more"), Ok(()));
    }

    #[test]
    fn names_bash_cannot_export_are_found() {
        for name in ["", "1A", "A-B", "A B", "Ä"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert_eq!(check_name("_A1"), Ok(()));
    }

    #[test]
    fn the_message_says_where_what_and_what_to_do() {
        let of_value = check_value("CONF", r#"{"a":1}"#).unwrap_err().to_string();
        let of_command = check_command(r#"echo "hi""#).unwrap_err().to_string();
        insta::assert_snapshot!(format!("{of_value}\n{of_command}"), @r"
        the environment variable `CONF` holds a double quote, which breaks YARN's launch script; pass it in a localized file, or encoded as base64
        the command holds a double quote, which breaks YARN's launch script; put it into a localized script and run that
        ");
    }

    proptest! {
        #[test]
        fn base64_always_passes(value in "[A-Za-z0-9+/]{0,40}={0,2}") {
            prop_assert_eq!(check_verbatim("X", &value), Ok(()));
        }
    }
}
