//! How long a container that ends again and again waits before its next start.

use std::time::Duration;

/// The first restart comes at once, the next after the first of these times, then each time after
/// twice as long, up to the second. They are kubelet's: `kubectl get pod` says CrashLoopBackOff.
const WAITS: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));

/// Who has run for so long begins anew with that.
const RUNS_WELL: Duration = Duration::from_secs(600);

// ANCHOR: back_off
/// How often a container was started again.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    restarts: u32,
}

impl BackOff {
    /// How long to wait, after it has run for so long.
    pub(super) fn next(&mut self, ran_for: Duration) -> Duration {
        if ran_for >= RUNS_WELL {
            self.restarts = 0;
        }
        let (first, longest) = WAITS;
        let wait = match self.restarts {
            0 => Duration::ZERO,
            count => first.saturating_mul(1 << (count - 1).min(16)).min(longest),
        };
        self.restarts = self.restarts.saturating_add(1);
        wait
    }
}
// ANCHOR_END: back_off

#[cfg(test)]
mod tests {
    use super::*;

    fn waits<const N: usize>(back_off: &mut BackOff, ran_for: Duration) -> [u64; N] {
        [(); N].map(|()| back_off.next(ran_for).as_secs())
    }

    #[test]
    fn each_wait_is_twice_as_long_as_the_one_before_up_to_five_minutes() {
        let mut back_off = BackOff::default();
        let found = waits(&mut back_off, Duration::from_secs(599));
        assert_eq!(found, [0, 10, 20, 40, 80, 160, 300, 300]);
        let many = (0..100_000).map(|_| back_off.next(Duration::ZERO));
        assert_eq!(many.max(), Some(Duration::from_secs(300)));
    }

    #[test]
    fn who_has_run_for_ten_minutes_begins_anew() {
        let mut back_off = BackOff::default();
        assert_eq!(waits(&mut back_off, Duration::ZERO), [0, 10, 20]);
        assert_eq!(back_off.next(Duration::from_secs(600)), Duration::ZERO);
        assert_eq!(waits(&mut back_off, Duration::from_secs(1)), [10, 20]);
    }
}
