//! Moments as daemons and containers write them down, as seconds since 1970.

use crate::steps;
use anyhow::Context;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Now.
pub(super) fn now() -> f64 {
    since_epoch(SystemTime::now())
}

fn since_epoch(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Processor seconds of children that have ended and were waited for: fields 16 and 17 of `stat`, in ticks of 10 ms.
pub(super) fn children_cpu() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, rest) = stat.rsplit_once(')').context("stat without a name")?;
    let ticks = rest.split_whitespace().skip(13).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / rustix::param::clock_ticks_per_second() as f64)
}

/// When a file was made: a container's shell makes its log immediately before it becomes the program that logs.
pub(super) fn birth(file: &Path) -> anyhow::Result<f64> {
    let metadata = fs::metadata(file).with_context(|| format!("cannot look at {}", file.display()))?;
    let made = metadata
        .created()
        .context("the file system keeps no time of birth")?;
    Ok(since_epoch(made))
}

/// A log whose lines begin with their time: `2026-11-21 03:38:10,574` in the zone of the machine as Hadoop's
/// daemons write it, or `2026-11-21T03:38:10.574123Z` as our processes do.
pub(super) struct Log {
    lines: Vec<(f64, String)>,
}

impl Log {
    /// Reads a log; lines without a time are left out.
    ///
    /// # Errors
    /// Fails when the file cannot be read.
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let east = seconds_east()?;
        let text = String::from_utf8_lossy(&bytes);
        let lines = text
            .lines()
            .filter_map(|line| Some((moment(line, east)?, line.to_owned())));
        Ok(Self {
            lines: lines.collect(),
        })
    }

    /// When the first line that holds all of these was written.
    ///
    /// # Errors
    /// Fails, naming them, when there is none.
    pub(super) fn first(&self, needles: &[&str]) -> anyhow::Result<f64> {
        let found = self.with(needles).next();
        found.with_context(|| format!("no line of the log holds {needles:?}"))
    }

    /// When the last such line was written.
    ///
    /// # Errors
    /// As [`Log::first`].
    pub(super) fn last(&self, needles: &[&str]) -> anyhow::Result<f64> {
        let found = self.with(needles).last();
        found.with_context(|| format!("no line of the log holds {needles:?}"))
    }

    fn with(&self, needles: &[&str]) -> impl Iterator<Item = f64> {
        let holds = |line: &str| needles.iter().all(|needle| line.contains(needle));
        self.lines
            .iter()
            .filter(move |(_, line)| holds(line))
            .map(|(at, _)| *at)
    }
}

/// How far the machine's clock on the wall is ahead of UTC.
fn seconds_east() -> anyhow::Result<f64> {
    let zone = steps::output(Command::new("date").arg("+%z"))?;
    let number: f64 = zone.parse().context("date +%z gives no number")?;
    let (hours, minutes) = ((number / 100.0).trunc(), number % 100.0);
    Ok(hours * 3600.0 + minutes * 60.0)
}

fn moment(line: &str, east: f64) -> Option<f64> {
    let field = |from: usize, to: usize| line.get(from..to)?.parse::<i64>().ok();
    let days = days_since_epoch(field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let clock = field(11, 13)? * 3600 + field(14, 16)? * 60 + field(17, 19)?;
    let digits: String = line.get(20..)?.chars().take_while(char::is_ascii_digit).collect();
    let fraction: f64 = format!("0.{digits}").parse().ok()?;
    let is_local = line.as_bytes().get(10) == Some(&b' ');
    let zone = if is_local { east } else { 0.0 };
    Some((days * 86_400 + clock) as f64 + fraction - zone)
}

/// Days of the Gregorian calendar, counted in years that begin in March, so that the leap day is the last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + in_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::{days_since_epoch, moment};

    #[test]
    fn both_forms_of_a_time_are_the_same_moment() {
        let ours = moment("2026-11-21T03:38:10.574000Z  INFO registered", 3600.0);
        let theirs = moment("2026-11-21 04:38:10,574 INFO rmcontainer", 3600.0);
        assert_eq!(ours, Some(1_795_232_290.574));
        assert_eq!(ours, theirs);
        assert_eq!(moment("\tat java.lang.Thread.run", 0.0), None);
    }

    #[test]
    fn leap_days_are_counted() {
        assert_eq!(days_since_epoch(1970, 1, 1), 0);
        assert_eq!(days_since_epoch(2000, 3, 1), 11_017);
        assert_eq!(days_since_epoch(2024, 2, 29), 19_782);
    }
}
