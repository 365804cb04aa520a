//! The bar of a waiting person's terminal: how much is done, how fast it goes and how long it will take.
//!
//! Pure: counts and times go in, text of a width comes out. What does not fit is left out, the least telling first.

use std::collections::VecDeque;
use std::time::Duration;

use am::summary::Summary;

/// Rates are those of this time.
const WINDOW: Duration = Duration::from_secs(30);
/// Looks that are kept at most: one for each second of the window.
const MOST: usize = 30;
/// Columns of the bar itself.
const LONGEST: usize = 40;
const SHORTEST: usize = 10;

/// How fast tasks end.
#[derive(Debug, Default)]
pub(super) struct Pace {
    looks: VecDeque<(Duration, u32)>,
}

impl Pace {
    /// So many tasks have ended by now.
    pub(super) fn look(&mut self, now: Duration, finished: u32) {
        // Fewer than before: other tasks, or other results that were lost.
        if self.looks.back().is_some_and(|&(_, before)| finished < before) {
            self.looks.clear();
        }
        self.looks.push_back((now, finished));
        let old = |&(at, _): &(Duration, u32)| now.saturating_sub(at) > WINDOW;
        while self.looks.len() > MOST || self.looks.front().is_some_and(old) {
            self.looks.pop_front();
        }
    }

    /// Tasks a second.
    pub(super) fn rate(&self) -> Option<f64> {
        let (&(begin, first), &(end, last)) = (self.looks.front()?, self.looks.back()?);
        let seconds = end.saturating_sub(begin).as_secs_f64();
        (last > first && seconds > 0.0).then(|| f64::from(last - first) / seconds)
    }
}

/// The bar, at most `width` characters if that is possible at all.
pub(super) fn bar(width: usize, summary: &Summary, rate: Option<f64>) -> String {
    let tasks = summary.tasks;
    let counts = format!("{}/{} tasks", tasks.finished, tasks.total);
    let left = tasks.total.saturating_sub(tasks.finished);
    let mut parts = vec![counts];
    if let Some(rate) = rate.filter(|_| left > 0) {
        parts.push(format!("{} left", duration(f64::from(left) / rate)));
        parts.push(format!("{rate:.1}/s"));
    }
    let executors = summary.executors;
    parts.push(format!("{}/{} executors", executors.registered, executors.wanted));
    if tasks.failed_attempts > 0 {
        parts.push(format!("{} failed attempts", tasks.failed_attempts));
    }
    let stages = summary.stages.iter();
    let at_work = stages.filter(|stage| stage.state == "running" || stage.state == "committing");
    parts.extend(at_work.take(1).map(|stage| stage.name.clone()));
    let length = |parts: &[String]| parts.join(", ").chars().count();
    while parts.len() > 1 && length(&parts) + SHORTEST + 3 > width {
        parts.pop();
    }
    let room = width.saturating_sub(length(&parts) + 3);
    let text = parts.join(", ");
    if room < SHORTEST {
        return text;
    }
    format!(
        "[{}] {text}",
        filled(room.min(LONGEST), tasks.finished, tasks.total)
    )
}

fn filled(columns: usize, finished: u32, total: u32) -> String {
    let done = columns * finished as usize / total.max(1) as usize;
    let head = usize::from(done < columns);
    format!(
        "{}{}{}",
        "=".repeat(done),
        ">".repeat(head),
        " ".repeat(columns - done - head)
    )
}

/// Whole seconds, minutes, hours: an estimate.
fn duration(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m {s:02}s"),
        (h, m, _) => format!("{h}h {m:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn summary(finished: u32, total: u32) -> Summary {
        let json = serde_json::json!({
            "executors": { "wanted": 3, "registered": 2 },
            "tasks": { "total": total, "finished": finished, "running": 2, "failedAttempts": 1 },
            "stages": [{ "name": "count", "state": "running", "tasks": {} }],
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_wider_the_terminal_the_more_is_said() {
        let at = |width| bar(width, &summary(45, 100), Some(12.5));
        assert_eq!(
            at(120),
            "[==================>                     ] 45/100 tasks, 5s left, 12.5/s, 2/3 executors, 1 failed attempts, count"
        );
        assert_eq!(
            at(60),
            "[=====>       ] 45/100 tasks, 5s left, 12.5/s, 2/3 executors"
        );
        assert_eq!(at(30), "[======>        ] 45/100 tasks");
        assert_eq!(at(12), "45/100 tasks");
    }

    #[test]
    fn a_full_bar_has_no_head_and_nothing_is_left() {
        assert_eq!(bar(28, &summary(8, 8), Some(1.0)), "[================] 8/8 tasks");
        assert_eq!(filled(10, 0, 0), ">         ");
    }

    #[test]
    fn the_rate_is_that_of_the_last_half_minute() {
        let mut pace = Pace::default();
        assert_eq!(pace.rate(), None);
        for second in 0..60 {
            pace.look(S(second), if second < 30 { 0 } else { second as u32 - 29 });
        }
        assert!((pace.rate().unwrap() - 1.0).abs() < 0.05, "{:?}", pace.rate());
        pace.look(S(61), 0);
        assert_eq!(pace.rate(), None, "what is counted began anew");
    }

    #[test]
    fn times_left_are_rounded_up() {
        assert_eq!([0.2, 61.0, 7260.0].map(duration), ["1s", "1m 01s", "2h 01m"]);
    }

    proptest! {
        #[test]
        fn no_bar_is_wider_than_the_terminal(
            width in 14_usize..300, finished in 0_u32..100_000, more in 0_u32..100_000, rate in 0.001_f64..1e6,
        ) {
            let text = bar(width, &summary(finished, finished + more), Some(rate));
            let least = format!("{finished}/{} tasks", finished + more).len();
            prop_assert!(text.chars().count() <= width.max(least), "{text}");
        }
    }
}
