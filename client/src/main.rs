//! The `drawloom` program: client, and in containers of YARN ApplicationMaster and executor.

use std::process::ExitCode;

use clap::Parser;
use drawloom::cli::Cli;
use drawloom::functions::Functions;
use drawloom::roles;
use drawloom::terminal::Terminal;

fn main() -> ExitCode {
    // The roles come before anything else: they start in the time that counts.
    if let Some(ended) = roles::play(&Functions::default()) {
        return ended;
    }
    let cli = Cli::parse();
    roles::prepare_client(match cli.verbose {
        0 => "error",
        1 => "info",
        _ => "debug",
    });
    match drawloom::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!(
                "{}",
                error.painted(cli.verbose > 0, Terminal::detect(cli.color, cli.quiet))
            );
            ExitCode::from(error.exit.code())
        }
    }
}
