//! All exercises, in the order of the book. What each is stands with its check.

use anyhow::{Context, Result};

use super::checks::{
    v1_chroot, v2_mountns, v3_pidns, v4_utsns, v5_netns, v6_cgroups, v7_overlay, v8_pause,
};
use super::exercise::Exercise;

/// All exercises.
pub const ALL: &[Exercise] = &[
    v1_chroot::CLOSE_THE_DOOR,
    v1_chroot::EXIT_STATUS,
    v2_mountns::LEAKED_MOUNT,
    v2_mountns::OLD_ROOT,
    v3_pidns::SECOND_FORK,
    v3_pidns::GRACE_PERIOD,
    v4_utsns::WHOSE_NAME,
    v4_utsns::SETNS_THREAD,
    v5_netns::LOOPBACK,
    v5_netns::PUBLISHED_PORT,
    v6_cgroups::PIDS_LIMIT,
    v6_cgroups::LAST_ONE_OUT,
    v7_overlay::LAYER_ORDER,
    v7_overlay::WHITEOUT,
    v7_overlay::MANY_LAYERS,
    v8_pause::WHO_IS_LOCALHOST,
    v8_pause::KEPT_NAMESPACE,
    v8_pause::ENTER_POD,
];

/// The exercise with this id.
///
/// # Errors
/// If there is none.
pub fn find(id: &str) -> Result<&'static Exercise> {
    let is_named = |exercise: &&Exercise| exercise.id == id || exercise.was.contains(&id);
    ALL.iter().find(is_named).with_context(|| {
        let meant = door::nearest(id, ALL.iter().map(|exercise| exercise.id));
        let meant = meant.map(|id| format!("do you mean {id}? ")).unwrap_or_default();
        format!("there is no exercise {id:?} ({meant}cargo workshop lists them)")
    })
}

#[cfg(test)]
mod tests {
    use super::super::source::Variant;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_id_stands_for_one_exercise_for_ever() {
        let ids: Vec<_> = ALL.iter().flat_map(|it| [&[it.id], it.was].concat()).collect();
        assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "{ids:?}");
    }

    #[test]
    fn every_step_has_two_and_every_exercise_two_faults() {
        for step in crate::STEPS {
            assert!(ALL.iter().filter(|it| it.step == step).count() >= 2, "{step}");
        }
        assert!(ALL.is_sorted_by_key(|it| it.step), "the order of the book");
        for exercise in ALL {
            assert!(exercise.faults.len() >= 2, "{}", exercise.id);
            assert!((10..=60).contains(&exercise.minutes), "{}", exercise.id);
            let words: BTreeSet<_> = exercise.faults.iter().map(|fault| fault.fails).collect();
            assert_eq!(words.len(), exercise.faults.len(), "{}", exercise.id);
        }
    }

    #[test]
    fn every_heading_of_a_source_is_one_of_its_versions() {
        for exercise in ALL {
            let known: Vec<_> = Variant::all_of(exercise).map(|it| it.heading()).collect();
            let marks = exercise.source.lines().map(str::trim_start);
            let headings: Vec<_> = marks.filter_map(|line| line.strip_prefix("//[ ")).collect();
            for heading in &headings {
                assert!(known.iter().any(|it| it == heading), "{}: {heading}", exercise.id);
            }
            for known in known {
                assert!(headings.contains(&known.as_str()), "{}: no {known}", exercise.id);
            }
        }
    }
}
