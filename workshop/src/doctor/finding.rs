//! What a probe has found.

/// The book's pages, as a reader of the checkout finds them.
pub(super) const SETUP: &str = "book/src/setup.md";
pub(super) const ROOTLESS_TROUBLE: &str = "book/src/troubleshooting.md#root-without-root";
pub(super) const COMMAND_TROUBLE: &str = "book/src/troubleshooting.md#the-command";
pub(super) const MOUNT_TROUBLE: &str = "book/src/troubleshooting.md#mounts";
pub(super) const PROCESS_TROUBLE: &str =
    "book/src/troubleshooting.md#process-numbers-signals-the-terminal";
pub(super) const NETWORK_TROUBLE: &str = "book/src/troubleshooting.md#the-network";
pub(super) const IMAGE_TROUBLE: &str = "book/src/troubleshooting.md#layers-and-images";
pub(super) const ROOTLESS: &str = "book/src/root-without-root.md";
pub(super) const MOUNTS: &str = "book/src/v2-mountns.md";
pub(super) const CGROUP_PAGE: &str = "book/src/v6-cgroups.md";
pub(super) const CGROUP_V1: &str = "book/src/v6-cgroups.md#v1-as-history";
pub(super) const TERMINAL: &str = "book/src/v1-chroot.md";

/// How serious it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// As it should be.
    Good,
    /// Something works less well, or is worth knowing.
    Note,
    /// Something does not work.
    Bad,
}

impl State {
    pub(super) fn mark(self) -> &'static str {
        match self {
            State::Good => "ok",
            State::Note => "note",
            State::Bad => "BAD",
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            State::Good => "good",
            State::Note => "note",
            State::Bad => "bad",
        }
    }
}

/// One line of the report, and what to do about it.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) name: &'static str,
    pub(super) state: State,
    /// The symptom.
    pub(super) seen: String,
    pub(super) cause: Option<String>,
    pub(super) cure: Option<String>,
    pub(super) page: &'static str,
}

impl Finding {
    pub(super) fn good(name: &'static str, seen: impl Into<String>) -> Finding {
        Finding {
            name,
            state: State::Good,
            seen: seen.into(),
            cause: None,
            cure: None,
            page: SETUP,
        }
    }

    pub(super) fn note(name: &'static str, seen: impl Into<String>) -> Finding {
        Finding { state: State::Note, ..Finding::good(name, seen) }
    }

    pub(super) fn bad(name: &'static str, seen: impl Into<String>) -> Finding {
        Finding { state: State::Bad, ..Finding::good(name, seen) }
    }

    pub(super) fn because(self, cause: impl Into<String>) -> Finding {
        Finding { cause: Some(cause.into()), ..self }
    }

    pub(super) fn cure(self, cure: impl Into<String>) -> Finding {
        Finding { cure: Some(cure.into()), ..self }
    }

    pub(super) fn page(self, page: &'static str) -> Finding {
        Finding { page, ..self }
    }

    /// Of something that was tried. A step's error ends in what to do about it, in brackets.
    pub(super) fn of_attempt(
        name: &'static str,
        works: &str,
        attempt: Result<(), String>,
    ) -> Finding {
        let Err(text) = attempt else { return Finding::good(name, works) };
        match split_advice(&text) {
            (symptom, Some(advice)) => Finding::bad(name, symptom).cure(advice),
            (symptom, None) => Finding::bad(name, symptom),
        }
    }
}

/// Splits `what failed (what to do)`, also where something to type follows the bracket.
fn split_advice(text: &str) -> (&str, Option<String>) {
    let Some((symptom, rest)) = text.split_once(" (") else { return (text, None) };
    let advice = match rest.strip_suffix(')') {
        Some(advice) => advice.to_owned(),
        None => rest.replacen(":) ", ": ", 1),
    };
    (symptom, Some(advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_of_an_error_stands_in_its_brackets() {
        assert_eq!(split_advice("no"), ("no", None));
        assert_eq!(split_advice("no (do it)"), ("no", Some("do it".to_owned())));
        assert_eq!(split_advice("no (do (all))"), ("no", Some("do (all)".to_owned())));
        assert_eq!(split_advice("no (do:) a | b"), ("no", Some("do: a | b".to_owned())));
    }
}
