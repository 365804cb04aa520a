//! Errors that a person reads: what failed, why, what to do, and the exit code that goes with it.

use std::fmt;

use crate::terminal::Terminal;

/// How the program ends. The numbers are part of the command line's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Succeeded = 0,
    /// The job failed.
    JobFailed = 1,
    /// The command line or the job is invalid.
    Usage = 2,
    /// Refused before or at submission, or the cluster cannot be asked.
    Refused = 3,
    /// The application was killed.
    Killed = 4,
    /// The attempts of the ApplicationMaster are used up.
    Lost = 5,
    /// The lifetime or `--timeout` passed.
    TimedOut = 6,
    /// Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// An expected error.
#[derive(Debug)]
pub struct CommandError {
    /// How the program ends.
    pub exit: Exit,
    what: String,
    cause: Option<String>,
    help: Option<String>,
    chain: Option<anyhow::Error>,
}

impl CommandError {
    /// Something failed: a fragment like `the job file cannot be read`.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        let what = what.into();
        Self {
            exit,
            what,
            cause: None,
            help: None,
            chain: None,
        }
    }

    /// A wrong command line or job.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// Refused before or at submission.
    pub fn refused(what: impl Into<String>) -> Self {
        Self::new(Exit::Refused, what)
    }

    /// Adds why, in words that were already written for people.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Adds why, keeping the chain of sources for `-v`.
    #[must_use]
    pub fn caused_by(mut self, error: impl Into<anyhow::Error>) -> Self {
        let error = error.into();
        self.cause = Some(error.to_string());
        self.chain = Some(error);
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds what else to do, on a line of its own.
    #[must_use]
    pub(crate) fn further_help(self, help: impl fmt::Display) -> Self {
        let all = match &self.help {
            Some(first) => format!("{first}\n{help}"),
            None => help.to_string(),
        };
        self.help(all)
    }

    /// What failed.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// Why, or at least what.
    pub(crate) fn reason(&self) -> &str {
        self.cause.as_deref().unwrap_or(&self.what)
    }

    /// The text for standard error; with `verbose` the chain of sources too.
    pub fn render(&self, verbose: bool) -> String {
        let mut text = format!("error: {}\n", indented(&self.what));
        if let Some(cause) = &self.cause {
            text.push_str(&format!("cause: {}\n", indented(cause)));
        }
        if verbose {
            for source in self.chain.iter().flat_map(|error| error.chain().skip(1)) {
                text.push_str(&format!("  from: {}\n", indented(&source.to_string())));
            }
        }
        if let Some(help) = &self.help {
            text.push_str(&format!("help: {}\n", indented(help)));
        }
        text
    }

    /// [`CommandError::render`] in the colours of standard error.
    pub fn painted(&self, verbose: bool, terminal: Terminal) -> String {
        terminal.err.labels(&self.render(verbose))
    }
}

/// Keeps further lines under the first.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n       ")
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for CommandError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_why_and_what_to_do() {
        let source = anyhow::anyhow!("connection refused").context("no answer");
        let error = CommandError::refused("the ResourceManager cannot be reached")
            .caused_by(source)
            .help("start it\nor try another");
        insta::assert_snapshot!(error.render(true));
        assert!(!error.render(false).contains("from:"));
        let both = error.further_help("or ask").render(false);
        assert!(both.ends_with("or try another\n       or ask\n"), "{both}");
    }
}
