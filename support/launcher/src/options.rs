//! Options that hands type by habit, from `docker run` or from a later step, and what is said of
//! them.

use clap::{Arg, ArgAction, Command};

/// The options that each step brings, of those that start a single container. Every step keeps what
/// the ones before it have; a test compares this with the `--help` of all of them.
pub const OF_STEPS: [(&str, &[&str]); 7] = [
    ("v1-chroot", &["--rootfs"]),
    ("v2-mountns", &["-v", "--volume", "--tmpfs", "--read-only"]),
    ("v3-pidns", &["--init"]),
    ("v4-utsns", &["--hostname"]),
    ("v5-netns", &["--net", "--subnet", "-p", "--publish", "--dns", "--add-host"]),
    (
        "v6-cgroups",
        &["-m", "--memory", "--cpus", "--pids-limit", "--stats", "--cpuset-cpus", "--memory-swap"],
    ),
    (
        "v7-overlay",
        &[
            "--image",
            "--layer",
            "--upper",
            "--changes",
            "--max-size",
            "-e",
            "--env",
            "-w",
            "--workdir",
            "-u",
            "--user",
        ],
    ),
];

/// Second names, which no `--help` has, with the first ones.
const ALSO: [(&str, &str); 1] = [("--network", "--net")];

/// Options of `docker run` and `kubectl` that no step has, and what one does instead.
const ELSEWHERE: [(&[&str], &str); 8] = [
    (
        &["-d", "--detach"],
        "a container stays in the foreground: use another terminal; v8-pause exec enters a pod \
         that runs",
    ),
    (&["--name"], "nothing is kept under a name: a container is gone when it ends"),
    (&["--restart"], "the manifest of v8-pause has it: restartPolicy"),
    (&["--entrypoint"], "the manifest of v8-pause has it: command"),
    (
        &["--privileged", "--cap-add", "--cap-drop", "--security-opt"],
        "no option changes what root may do inside: no step is a sandbox",
    ),
    (&["--mount"], "v2-mountns has -v HOST:CONTAINER[:ro] and --tmpfs DIR"),
    (&["--pull"], "no step pulls: cargo workshop pull IMAGE, then v7-overlay --image IMAGE"),
    (&["-f", "--filename"], "v8-pause takes its manifest without it: v8-pause run POD.yaml"),
];

/// How a page of help is laid out. The arguments have no heading of their own: the last step, which
/// has the options of all, has no row to spare.
const PAGE: &str = "{about-with-newline}\n{usage-heading} {usage}\n{positionals}\n\n\
                    Options:\n{options}{after-help}";

/// What marks an option that can be given more than once.
pub(crate) const REPEATABLE: &str = "*";

/// Adds `--version`, and `-i`, `-t` and `--rm`, which change nothing: in any case the command has
/// the caller's terminal, and no container outlives it.
pub(crate) fn with_habits(command: Command) -> Command {
    // No width: `help` breaks the lines.
    let command = command.version(env!("CARGO_PKG_VERSION")).term_width(0);
    complete(command).mut_subcommands(complete)
}

fn complete(command: Command) -> Command {
    let habit = |long: &'static str| {
        let often = ArgAction::SetTrue;
        Arg::new(long).long(long).action(often).overrides_with(long).hide(true)
    };
    let habits = [habit("interactive").short('i'), habit("tty").short('t'), habit("rm")];
    let command = command.mut_args(mark_repeatable).args(habits);
    if command.has_subcommands() { command } else { command.help_template(PAGE) }
}

fn mark_repeatable(option: Arg) -> Arg {
    let is_repeatable = matches!(option.get_action(), ArgAction::Append);
    match option.get_help().map(ToString::to_string) {
        Some(help) if is_repeatable && !option.is_positional() => {
            option.help(format!("{help} {REPEATABLE}"))
        }
        _ => option,
    }
}

/// What to say of an option that `program` does not have.
pub(crate) fn about(option: &str, program: &str) -> Option<String> {
    let first = ALSO.iter().find(|(also, _)| *also == option).map_or(option, |(_, first)| first);
    let brought = OF_STEPS.iter().find(|(_, options)| options.contains(&first));
    match brought {
        Some((step, _)) if program == POD => {
            Some(format!("{step} has it; here the manifest says what a container gets"))
        }
        Some((step, _)) => Some(format!("{step} brings it")),
        None => {
            let told = ELSEWHERE.iter().find(|(options, _)| options.contains(&option));
            told.map(|(_, word)| (*word).to_owned())
        }
    }
}

/// The one step that does not keep the options of those before it.
const POD: &str = "v8-pause";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_in_one_place() {
        let of_steps = OF_STEPS.iter().flat_map(|(_, options)| *options);
        let elsewhere = ELSEWHERE.iter().flat_map(|(options, _)| *options);
        let also = ALSO.iter().map(|(also, _)| also);
        let mut all: Vec<_> = of_steps.chain(elsewhere).chain(also).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn of_each_option_the_right_thing_is_said() {
        let told = |option, program| about(option, program).unwrap_or_default();
        assert_eq!(told("--network", "v4-utsns"), "v5-netns brings it");
        assert!(told("-v", "v8-pause").starts_with("v2-mountns has it; here the manifest"));
        assert!(told("-d", "v1-chroot").contains("use another terminal"));
        assert_eq!(about("--no-such-option", "v1-chroot"), None);
    }
}
