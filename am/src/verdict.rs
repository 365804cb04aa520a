//! How the application ends, in the words that the ResourceManager keeps.

use driver::event::Verdict;
use yarn_rpc::session::FinalStatus;

/// The longest diagnostics, in characters.
pub const DIAGNOSTICS: usize = 2000;

/// The final status that goes with a verdict (H).
#[must_use]
pub fn final_status(verdict: &Verdict) -> FinalStatus {
    match verdict {
        Verdict::Succeeded => FinalStatus::Succeeded,
        Verdict::Failed(_) => FinalStatus::Failed,
        Verdict::Killed(_) => FinalStatus::Killed,
    }
}

/// The exit code of the process that goes with a verdict (H).
#[must_use]
pub fn exit_code(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Succeeded => 0,
        Verdict::Failed(_) => 1,
        Verdict::Killed(_) => 4,
    }
}

/// The verdict in one word, as pages show it.
#[must_use]
pub fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Succeeded => "succeeded",
        Verdict::Failed(_) => "failed",
        Verdict::Killed(_) => "killed",
    }
}

/// The text for the ResourceManager: verdict and cause first, then `summary`, at most 2,000 characters. What is too
/// long loses its middle, because the cause is at the start and the last lines of a log at the end.
#[must_use]
pub fn diagnostics(verdict: &Verdict, summary: &str) -> String {
    match verdict {
        Verdict::Succeeded => format!("succeeded: {summary}"),
        Verdict::Failed(cause) => shortened(&format!("failed: {cause}\n{summary}")),
        Verdict::Killed(by) => shortened(&format!("killed: {by}\n{summary}")),
    }
}

fn shortened(text: &str) -> String {
    let length = text.chars().count();
    if length <= DIAGNOSTICS {
        return text.to_owned();
    }
    let gap = "\n[…]\n";
    let room = DIAGNOSTICS - gap.chars().count();
    let (head, tail) = (room / 2, room - room / 2);
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(length - tail).collect();
    start + gap + &end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_comes_first() {
        let verdict = Verdict::Failed("stage count, task 3 failed 4 times: exit code 7".into());
        let text = diagnostics(&verdict, "12 of 40 tasks done");
        assert_eq!(
            text,
            "failed: stage count, task 3 failed 4 times: exit code 7\n12 of 40 tasks done"
        );
    }

    #[test]
    fn long_causes_keep_their_start_and_their_end() {
        let cause = format!("stage count{}last line", "é".repeat(5000));
        let text = diagnostics(&Verdict::Failed(cause), "s");
        assert_eq!(text.chars().count(), DIAGNOSTICS);
        assert!(text.starts_with("failed: stage count") && text.ends_with("last line\ns"));
    }

    #[test]
    fn status_code_and_words_agree() {
        let all = [
            (Verdict::Succeeded, FinalStatus::Succeeded, 0, "succeeded"),
            (Verdict::Failed(String::new()), FinalStatus::Failed, 1, "failed"),
            (Verdict::Killed(String::new()), FinalStatus::Killed, 4, "killed"),
        ];
        for (verdict, status, code, text) in all {
            assert_eq!(
                (final_status(&verdict), exit_code(&verdict), word(&verdict)),
                (status, code, text)
            );
        }
    }
}
