//! Options: those a step has, and those that hands type because Docker or a later step has them.

use std::collections::BTreeSet;

use launcher::options::OF_STEPS;

use crate::{Host, Suite};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("what_hands_type_changes_nothing", what_hands_type_changes_nothing)
        .user("network_is_another_name_of_net", network_is_another_name_of_net)
        .user("the_version_is_told", the_version_is_told)
        .user("help_has_the_options_of_the_table", help_has_the_options_of_the_table)
        .user("help_fits_on_a_screen", help_fits_on_a_screen)
        .user("an_option_of_a_later_step_names_the_step", option_of_a_later_step)
        .user("an_option_of_docker_is_answered", option_of_docker)
}

fn what_hands_type_changes_nothing(host: &Host) {
    let habits: [&[&str]; 6] =
        [&["-i"], &["-t"], &["-it"], &["-ti", "--rm"], &["--interactive", "--tty"], &["-i", "-i"]];
    for options in habits {
        let outcome = host.run(options.iter().chain(&["sh", "-c", "echo $*", "sh", "-it", "--rm"]));
        assert_eq!(outcome.text(), "-it --rm\n", "{options:?}");
    }
    host.run(["--rm=false", "true"])
        .assert_refused(125, &["unexpected value 'false' for '--rm' found"]);
}

fn network_is_another_name_of_net(host: &Host) {
    if host.stage_facts().network_namespace {
        for network in [&["--network", "none"][..], &["--network=none"]] {
            let outcome = host.run(network.iter().chain(&["ls", "/sys/class/net"]));
            assert_eq!(outcome.text(), "lo\n");
        }
    }
}

fn the_version_is_told(host: &Host) {
    let expected = format!("{} {}\n", host.stage_facts().name, env!("CARGO_PKG_VERSION"));
    for option in ["--version", "-V"] {
        assert_eq!(host.run([option, "--no-such-option"]).text(), expected);
    }
    assert!(!host.cache().exists(), "--version made the rootfs");
}

/// The options that a page of help explains.
fn options_in(help: &str) -> BTreeSet<&str> {
    let indented = help.lines().filter(|line| line.starts_with(' '));
    let lines = indented.map(str::trim_start).filter(|line| line.starts_with('-'));
    let named = lines.filter_map(|line| line.split("  ").next()).flat_map(|line| line.split(", "));
    named.filter_map(|option| option.split(' ').next()).filter(|it| it.len() > 1).collect()
}

fn help_has_the_options_of_the_table(host: &Host) {
    let help = host.run(["--help"]);
    let own = host.stage_facts().name;
    let last = OF_STEPS.iter().position(|(step, _)| *step == own).unwrap();
    let mut expected: BTreeSet<_> =
        OF_STEPS[..=last].iter().flat_map(|(_, options)| options.iter().copied()).collect();
    expected.extend(["-h", "--help", "-V", "--version"]);
    assert_eq!(
        options_in(help.text()),
        expected,
        "the table is in support/launcher/src/options.rs"
    );
}

fn help_fits_on_a_screen(host: &Host) {
    host.run(["--help"]).assert_fits_on_a_screen();
}

fn option_of_a_later_step(host: &Host) {
    let own = host.stage_facts().name;
    let is_later = |(step, _): &&(&str, _)| *step > own;
    let later = OF_STEPS.iter().filter(is_later);
    let mut options: Vec<_> = later
        .flat_map(|(step, options)| options.iter().map(move |option| (*option, *step)))
        .collect();
    if !host.stage_facts().network_namespace {
        options.push(("--network", "v5-netns"));
    }
    for (option, step) in options {
        let told = format!("unexpected argument '{option}' found; {step} brings it (see --help)");
        host.run([option, "x", "sh"]).assert_refused(125, &[&told]);
        let with_value = if option.starts_with("--") { "=x" } else { "x" };
        host.run([&format!("{option}{with_value}"), "sh"]).assert_refused(125, &[&told]);
    }
    assert!(!host.cache().exists());
}

fn option_of_docker(host: &Host) {
    for (option, words) in [
        ("-d", "use another terminal"),
        ("-itd", "'-d' found; a container stays in the foreground"),
        ("--name=x", "a container is gone when it ends"),
        ("--privileged", "no step is a sandbox"),
        ("--cap-add=SYS_PTRACE", "'--cap-add' found; no option changes"),
        ("--pull=always", "v7-overlay --image IMAGE"),
    ] {
        let outcome = host.run([option, "sh"]);
        outcome.assert_refused(125, &[words, "(see --help)"]);
        assert!(!outcome.stderr.contains("use '--"), "{outcome:?}");
    }
}
