//! What the findings mean for each step.

use std::fmt;

use super::finding::{Finding, State};
use super::{files, machine, namespaces, network};

/// What a step loses when a probe is not good.
enum Loss {
    /// Everything: it does not run.
    All,
    /// This much.
    Part(&'static str),
}

/// Each step needs what the steps before it need, and this.
const NEEDS: [(&str, &[(&str, Loss)]); 8] = [
    (
        "v1-chroot",
        &[
            ("kernel", Loss::All),
            ("surroundings", Loss::All),
            (files::ROOTFS, Loss::All),
            (files::CACHE, Loss::All),
            (namespaces::USER, Loss::All),
            (namespaces::CHROOT, Loss::All),
        ],
    ),
    ("v2-mountns", &[(namespaces::MOUNT, Loss::All)]),
    ("v3-pidns", &[(namespaces::PID, Loss::All)]),
    ("v4-utsns", &[(namespaces::UTS, Loss::All)]),
    (
        "v5-netns",
        &[
            (namespaces::NET, Loss::All),
            (network::BRIDGE, Loss::Part("a way outside")),
            (files::NFT, Loss::Part("a way outside")),
            ("resolver", Loss::Part("names of the outside")),
        ],
    ),
    (
        "v6-cgroups",
        &[
            (files::CGROUPS, Loss::Part("limits")),
            (namespaces::CGROUP, Loss::Part("a cgroup view of its own")),
        ],
    ),
    ("v7-overlay", &[(files::OVERLAY, Loss::All)]),
    ("v8-pause", &[(namespaces::IPC, Loss::All)]),
];

/// Whether a step runs here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) step: &'static str,
    /// What it lacks, if it runs.
    pub(super) without: Vec<&'static str>,
    /// The probes because of which it does not run.
    pub(super) because: Vec<&'static str>,
}

impl Verdict {
    /// Whether a container starts, with everything or with less.
    pub(super) fn runs(&self) -> bool {
        self.because.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { step, without, because } = self;
        match (&because[..], &without[..]) {
            ([], []) => write!(f, "{step:11} runs"),
            ([], without) => write!(f, "{step:11} runs without {}", without.join(", without ")),
            (because, _) => {
                write!(f, "{step:11} does not run: see above, {}", because.join(", "))
            }
        }
    }
}

pub(super) fn of_all_steps(findings: &[Finding]) -> Vec<Verdict> {
    let is_root = machine::is_real_root();
    let (mut without, mut because) = (Vec::new(), Vec::new());
    let mut verdicts = Vec::new();
    for (step, needs) in NEEDS {
        for (probe, loss) in needs {
            let Some(finding) = findings.iter().find(|finding| finding.name == *probe) else {
                continue;
            };
            match (loss, finding.state) {
                (_, State::Good) | (Loss::All, State::Note) => {}
                (Loss::All, State::Bad) => because.push(*probe),
                (Loss::Part(part), _) if without.contains(part) => {}
                (Loss::Part(part), _) => without.push(part),
            }
        }
        let way_outside = "a way outside";
        if step == "v5-netns" && !is_root && !without.contains(&way_outside) {
            without.push("a way outside (that takes root)");
        }
        verdicts.push(Verdict { step, without: without.clone(), because: because.clone() });
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_needs_what_the_steps_before_it_need() {
        let findings = [Finding::bad(namespaces::PID, "x"), Finding::note(files::CGROUPS, "x")];
        let verdicts = of_all_steps(&findings);
        let runs: Vec<_> = verdicts.iter().map(Verdict::runs).collect();
        assert_eq!(runs, [true, true, false, false, false, false, false, false]);
        assert!(verdicts[5].without.contains(&"limits"));
        assert!(!verdicts[4].without.contains(&"limits"));
        assert_eq!(verdicts[0].to_string(), "v1-chroot   runs");
        assert!(verdicts[2].to_string().ends_with("does not run: see above, process numbers"));
    }

    #[test]
    fn what_a_step_can_do_without_is_told() {
        for (probe, step, lost) in [
            (network::BRIDGE, 4, "a way outside"),
            (files::NFT, 4, "a way outside"),
            ("resolver", 4, "names of the outside"),
            (files::CGROUPS, 5, "limits"),
            (namespaces::CGROUP, 5, "a cgroup view of its own"),
        ] {
            let verdicts = of_all_steps(&[Finding::bad(probe, "x")]);
            assert!(verdicts.iter().all(Verdict::runs), "{probe}");
            assert!(verdicts[step].without.contains(&lost), "{probe}: {verdicts:?}");
            assert!(!verdicts[step - 1].without.contains(&lost), "{probe}: {verdicts:?}");
        }
    }

    #[test]
    fn every_need_is_the_name_of_a_probe() {
        // A name that no probe has would be a need that nothing can fail.
        let findings = crate::doctor::probe_all();
        for (step, needs) in NEEDS {
            for (probe, _) in needs {
                assert!(findings.iter().any(|it| it.name == *probe), "{step}: {probe}");
            }
        }
    }
}
