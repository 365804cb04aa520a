//! Waiting for what another process does: poll with a deadline, never sleep and hope.

use anyhow::bail;
use std::thread;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(50);

/// Polls until `probe` gives a value, at most for `limit`.
///
/// # Errors
/// Fails at once with the probe's error, or at the limit naming `what` was awaited.
pub fn for_value<T>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = probe()? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("waited {limit:?} in vain for {what}");
        }
        thread::sleep(PAUSE);
    }
}

/// Polls until `probe` says true, at most for `limit`.
///
/// # Errors
/// Fails at the limit naming `what` was awaited.
pub fn until(what: &str, limit: Duration, mut probe: impl FnMut() -> bool) -> anyhow::Result<()> {
    for_value(what, limit, || Ok(probe().then_some(())))
}
