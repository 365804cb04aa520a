//! Exit statuses as sentences.

use wire::failure::ExecutorLoss;

/// What YARN's exit status of a container says. Negative ones are YARN's own (`ContainerExitStatus`); above 128 a
/// shell reports death of a signal; the others are the process's, and ours are those of the executor's role.
#[must_use]
pub fn meaning(status: i32) -> String {
    let text = match status {
        -1000 => "its files could not be localized, so no process was started",
        -100 => "taken back by YARN: released, its node lost, or expired before its start",
        -101 => "too many disks of the node have failed",
        -102 => "preempted for another queue or application",
        -103 => "used more virtual memory than YARN allows",
        -104 => "used more physical memory than YARN allows",
        -105 => "stopped by the ApplicationMaster",
        -106 => "ended by the ResourceManager",
        -107 => "ended with its application",
        -108 => "ended by the NodeManager to make room for guaranteed containers",
        -109 => "wrote more logs than YARN allows",
        0 => "ended by itself, without an error",
        64 => "the executor found its environment unusable",
        69 => "the executor could not reach the ApplicationMaster",
        76 => "the executor was turned away by the ApplicationMaster",
        126 => "the program may not be executed or is of another architecture",
        127 => "the program was not found",
        154 => "the NodeManager restarted meanwhile and does not know its exit code",
        129..=159 => return ExecutorLoss::Signalled(status - 128).to_string(),
        _ => return format!("exit code {status}"),
    };
    text.to_owned()
}

/// The physical memory that YARN saw when it ended a container for it, in bytes: `ContainersMonitorImpl` writes
/// `Current usage: 731.2 MB of 512 MB physical memory used; 1.1 GB of 1.1 GB virtual memory used.`
#[must_use]
pub fn physical_usage(diagnostics: &str) -> Option<u64> {
    usage(diagnostics, "Current usage: ", " physical memory used")
}

/// The virtual memory, from the same sentence.
#[must_use]
pub fn virtual_usage(diagnostics: &str) -> Option<u64> {
    usage(diagnostics, "physical memory used; ", " virtual memory used")
}

fn usage(diagnostics: &str, before: &str, after: &str) -> Option<u64> {
    let (_, rest) = diagnostics.rsplit_once(before)?;
    let (amounts, _) = rest.split_once(after)?;
    let (used, _) = amounts.split_once(" of ")?;
    bytes(used.trim())
}

/// A number as `StringUtils.TraditionalBinaryPrefix` writes it: `731.2 MB`, `1.1 GB`, `512 B`.
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = text.split_once(' ')?;
    let shift = match unit {
        "B" => 0,
        "KB" => 10,
        "MB" => 20,
        "GB" => 30,
        "TB" => 40,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Some((number * (1_u64 << shift) as f64) as u64)
}

/// The two times that a NodeManager names when it refuses a container token that has run out
/// (`BaseContainerTokenSecretManager`): `This token is expired. current time is 1700000600000 found 1700000000000`.
/// Gives by how many milliseconds its clock is past the token's end.
#[must_use]
pub fn token_expired_by(message: &str) -> Option<u64> {
    let (_, rest) = message.split_once("current time is ")?;
    let (now, rest) = rest.split_once(" found ")?;
    let found: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let (now, found): (u64, u64) = (now.trim().parse().ok()?, found.parse().ok()?);
    now.checked_sub(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_sentences() {
        assert_eq!(meaning(137), "ended by SIGKILL");
        assert_eq!(meaning(7), "exit code 7");
        assert!(meaning(-104).contains("physical"));
    }

    #[test]
    fn usage_is_read_from_yarns_words() {
        let text = "[x]Container [pid=7,containerID=c] is running 229638144B beyond the 'PHYSICAL' memory limit. \
                    Current usage: 731.2 MB of 512 MB physical memory used; 1.5 GB of 1.1 GB virtual memory used. \
                    Killing container.";
        assert_eq!(physical_usage(text).map(|bytes| bytes >> 20), Some(731));
        assert_eq!(virtual_usage(text).map(|bytes| bytes >> 20), Some(1536));
        assert_eq!(physical_usage("nothing of it"), None);
    }

    #[test]
    fn an_expired_token_tells_the_distance_of_the_clocks() {
        let text = "Unauthorized request to start container.\nThis token is expired. current time is 1700000600000 \
                    found 1700000000000\nNote: System times on machines may be out of sync.";
        assert_eq!(token_expired_by(text), Some(600_000));
        assert_eq!(token_expired_by("nothing of it"), None);
    }
}
