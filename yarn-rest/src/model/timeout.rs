//! Timeouts of an application.

use std::time::SystemTime;

use serde::{Deserialize, Deserializer};

use super::name::names;
use crate::{lenient, time};

names! {
    /// What a timeout limits.
    TimeoutKind {
        /// The time from submission to the end.
        Lifetime = "LIFETIME",
    }
}

/// One timeout of an application.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeout {
    /// What it limits.
    #[serde(rename = "type")]
    pub kind: TimeoutKind,
    /// When the ResourceManager ends the application; none if it never does.
    #[serde(default, deserialize_with = "expiry")]
    pub expiry_time: Option<SystemTime>,
    /// Seconds left; none without a limit.
    #[serde(
        rename = "remainingTimeInSeconds",
        default,
        deserialize_with = "lenient::some_number"
    )]
    pub remaining_seconds: Option<u64>,
}

fn expiry<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
    Ok(lenient::some_text(deserializer)?.and_then(|text| time::parse(&text)))
}
