//! How long to wait before the next dial: arithmetic only, no clock and no randomness, for the pure session.

use std::time::Duration;

use hadoop::retry::Backoff;

/// As long as another ApplicationMaster is likely to come up, orphans look for it more often: this many dials, with
/// [`SWIFT`] between them at most. That lasts about 20 seconds.
const SWIFT_DIALS: u32 = 48;
const SWIFT: Duration = Duration::from_millis(500);

/// The delay before dial number `attempt` (from 0): between half of what the policy says and all of it. The policy is
/// [`Backoff::GATEWAY`], in the beginning no longer than [`SWIFT`]. Where in between depends on `seed`, so that a thousand executors do not dial a new ApplicationMaster in the same
/// instant.
pub(crate) fn dial_delay(seed: u64, attempt: u32) -> Duration {
    let half = whole(attempt) / 2;
    half + half.mul_f64(spread(seed ^ u64::from(attempt)))
}

fn whole(attempt: u32) -> Duration {
    let delay = Backoff::GATEWAY.delay(attempt);
    if attempt < SWIFT_DIALS {
        delay.min(SWIFT)
    } else {
        delay
    }
}

/// A number from 0 to 1 that looks random (the finishing step of the SplitMix64 generator).
fn spread(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    f64::from((z >> 40) as u32) / f64::from(1_u32 << 24)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn delays_stay_within_their_bounds(seed: u64, attempt: u32) {
            let whole = whole(attempt);
            let delay = dial_delay(seed, attempt);
            prop_assert!(delay >= whole / 2 && delay <= whole);
        }
    }

    #[test]
    fn executors_spread_out() {
        let delays: std::collections::BTreeSet<_> = (0..100).map(|seed| dial_delay(seed, 7)).collect();
        assert!(delays.len() > 90);
    }
}
