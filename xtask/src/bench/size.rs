//! `cargo xtask bench size`: what is staged to every cluster.

use crate::steps;
use anyhow::Context;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The aim, in bytes.
const AIM: u64 = 15_000_000;

/// Prints the size of a stripped binary and the shared libraries it needs.
///
/// # Errors
/// Fails when the binary is missing, is not stripped, or `readelf` is missing.
pub(super) fn run(binary: &Path) -> anyhow::Result<()> {
    let bytes = fs::metadata(binary)
        .with_context(|| format!("cannot look at {}", binary.display()))?
        .len();
    let sections = steps::output(Command::new("readelf").arg("-SW").arg(binary))?;
    anyhow::ensure!(
        !sections.contains(".symtab"),
        "{} is not stripped",
        binary.display()
    );
    let dynamic = steps::output(Command::new("readelf").arg("-dW").arg(binary))?;
    println!("| figure | value | aim |\n|---|---|---|");
    println!(
        "| stripped release binary | {:.1} MB | {:.0} MB |",
        megabytes(bytes),
        megabytes(AIM)
    );
    println!("| libraries it needs | {} | |", needed(&dynamic).join(", "));
    Ok(())
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// The names in `readelf`'s lines `… (NEEDED) Shared library: [libc.so.6]`.
fn needed(dynamic: &str) -> Vec<&str> {
    let lines = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    lines
        .filter_map(|line| line.split_once('[')?.1.strip_suffix(']'))
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn needed_libraries_are_read_from_the_dynamic_section() {
        let text = " 0x01 (NEEDED)  Shared library: [libm.so.6]\n 0x0c (INIT)  0x1000\n 0x01 (NEEDED)  Shared library: [libc.so.6]";
        assert_eq!(super::needed(text), ["libm.so.6", "libc.so.6"]);
    }
}
