//! The last metrics of each application.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use hadoop::ids::ApplicationId;

use super::fleet::Fleet;

/// The last metrics of each application that runs, or ended not long ago.
#[derive(Debug)]
pub(crate) struct Samples {
    keep: Duration,
    last: BTreeMap<ApplicationId, Bytes>,
}

impl Samples {
    /// Keeps samples for this long after an application's end.
    pub(crate) fn new(keep: Duration) -> Self {
        Self {
            keep,
            last: BTreeMap::new(),
        }
    }

    pub(crate) fn keep(&mut self, app: ApplicationId, metrics: Bytes) {
        self.last.insert(app, metrics);
    }

    pub(crate) fn has(&self, app: ApplicationId) -> bool {
        self.last.contains_key(&app)
    }

    pub(crate) fn get(&self, app: ApplicationId) -> Option<String> {
        let bytes = self.last.get(&app)?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    /// Drops what has ended long enough ago, and what the ResourceManager does not list any more.
    pub(crate) fn forget(&mut self, now: u64, fleet: &Fleet) {
        let keep = u64::try_from(self.keep.as_millis()).unwrap_or(u64::MAX);
        self.last.retain(|app, _| {
            fleet.report(*app).is_some_and(|report| {
                !report.state.is_final() || now.saturating_sub(report.finished_time) <= keep
            })
        });
    }
}
