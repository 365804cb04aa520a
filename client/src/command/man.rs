//! `drawloom man`: the manual pages, made from the command line itself.

use std::path::Path;

use clap::CommandFactory;

use super::print;
use crate::cli::Cli;
use crate::error::CommandError;

/// What the page says besides the options.
const EXIT_STATUS: &str = ".SH \"EXIT STATUS\"\n\
    0 succeeded; 1 the job failed; 2 wrong command line or job file; 3 refused before or at submission, or the cluster \
    cannot be asked; 4 killed; 5 lost, the attempts of the ApplicationMaster are used up; 6 timed out; 130 interrupted.\n\
    .SH ENVIRONMENT\n\
    HADOOP_CONF_DIR, YARN_CONF_DIR: the cluster. HADOOP_USER_NAME: the acting user. DRAWLOOM_\\fIKEY\\fR: any setting, \
    in capitals with underscores. DRAWLOOM_LOG: what is logged. NO_COLOR: no colours.\n";

/// Prints the page of the whole command, or writes one file for each command.
///
/// # Errors
/// The directory cannot be written.
pub(crate) fn run(dir: Option<&Path>) -> Result<(), CommandError> {
    let Some(dir) = dir else {
        return print(&page()?);
    };
    let unwritable = |error: std::io::Error| {
        CommandError::refused(format!("the manual pages cannot be written to {}", dir.display()))
            .caused_by(error)
            .help("name a directory that exists and may be written")
    };
    clap_mangen::generate_to(Cli::command(), dir).map_err(unwritable)?;
    std::fs::write(dir.join("drawloom.1"), page()?).map_err(unwritable)
}

fn page() -> Result<String, CommandError> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut page)
        .map_err(|error| CommandError::refused("the manual page cannot be made").caused_by(error))?;
    Ok(String::from_utf8_lossy(&page).into_owned() + EXIT_STATUS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_the_first_one_has_the_exit_codes() {
        let dir = tempfile::tempdir().unwrap();
        run(Some(dir.path())).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        let main = read("drawloom.1");
        assert!(main.contains("EXIT STATUS") && main.contains("130"), "{main}");
        for command in Cli::command().get_subcommands() {
            let page = read(&format!("drawloom-{}.1", command.get_name()));
            assert!(page.contains(".SH SYNOPSIS"), "{page}");
            let plain = page.replace("\\-", "-");
            for flag in command.get_arguments().filter_map(|argument| argument.get_long()) {
                assert!(plain.contains(&format!("--{flag}")), "{flag} of {page}");
            }
        }
        assert!(run(Some(Path::new("/nowhere/at/all"))).is_err());
    }
}
