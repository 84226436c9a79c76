//! What the command finds around it: variables, working directory, identity.

use std::fs;

use crate::running::{link, within};
use crate::{Host, Outcome, Stage, Suite};
use std::time::Duration;

pub fn add(suite: Suite) -> Suite {
    let suite = match suite.stage().writable_layer {
        true => suite,
        false => suite.both("files_made_inside_belong_to_the_caller", files_made_inside),
    };
    suite
        .both("environment_is_clean_and_works", environment_is_clean_and_works)
        .both("term_is_the_callers_or_xterm", term_is_the_callers_or_xterm)
        .both("working_directory_is_the_root", working_directory_is_the_root)
        .both("a_good_start_is_silent", a_good_start_is_silent)
        .both("the_command_is_root", the_command_is_root)
        .both("only_the_stages_namespaces_are_new", only_the_stages_namespaces_are_new)
        .root("root_needs_no_user_namespace", root_needs_no_user_namespace)
        .user("one_id_is_mapped", one_id_is_mapped)
}

fn environment_is_clean_and_works(host: &Host) {
    let mut launcher = host.launcher();
    launcher.env("SECRET", "of the host").env("LD_PRELOAD", "").env("HOME", host.home());
    let outcome = Outcome::of(launcher.arg("env"));
    let mut variables: Vec<_> = outcome.text().lines().collect();
    variables.sort_unstable();
    let [home, path, term] = variables[..] else { panic!("{variables:?}") };
    assert_eq!((home, term), ("HOME=/root", "TERM=xterm"));
    assert!(path.strip_prefix("PATH=").unwrap().split(':').any(|dir| dir == "/bin"), "{path}");
    // They work: the commands are found, HOME can be entered, written and left.
    assert_eq!(host.sh("cd && pwd && echo x >file && cat file && rm file").text(), "/root\nx\n");
}

fn term_is_the_callers_or_xterm(host: &Host) {
    let print = ["sh", "-c", "echo $TERM"];
    let outcome = Outcome::of(host.launcher().env("TERM", "vt100").args(print));
    assert_eq!(outcome.text(), "vt100\n");
    let outcome = Outcome::of(host.launcher().env_remove("TERM").args(print));
    assert_eq!(outcome.text(), "xterm\n");
}

fn working_directory_is_the_root(host: &Host) {
    assert_eq!(host.run(["pwd"]).text(), "/\n");
    // ls would start with `..` if it were not.
    assert_eq!(host.sh("ls -di / /.. . | sed 's/ .*//' | uniq | wc -l").text().trim(), "1");
}

fn a_good_start_is_silent(host: &Host) {
    let outcome = host.run(["true"]);
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    let stage = host.stage_facts();
    // What works less well without root is told, in one line.
    let expected = match stage {
        _ if host.is_root() => None,
        Stage { network_namespace: true, .. } => {
            Some("nothing leads outside, but published ports lead in")
        }
        Stage { mount_namespace: true, pid_namespace: false, .. } => Some("/proc is the host's"),
        _ => None,
    };
    match (expected, &lines[..]) {
        (None, lines) => assert_eq!(lines, Vec::<&str>::new()),
        (Some(words), [note]) => assert!(note.starts_with("Note: ") && note.contains(words)),
        (Some(_), lines) => panic!("not one line: {lines:?}"),
    }
}

fn the_command_is_root(host: &Host) {
    assert_eq!(host.sh("id -u; id -g; id -un").text(), "0\n0\nroot\n");
}

fn files_made_inside(host: &Host) {
    use std::os::unix::fs::MetadataExt;
    host.sh("echo x >/tmp/made; mkdir /tmp/directory").text();
    for name in ["made", "directory"] {
        let of_file = fs::metadata(host.rootfs().join("tmp").join(name)).unwrap();
        assert_eq!((of_file.uid(), of_file.gid()), (host.uid(), host.uid()), "{name}");
    }
}

fn only_the_stages_namespaces_are_new(host: &Host) {
    let stage = host.stage_facts();
    let mut running = host.start_sleep();
    let command = running.command();
    for (namespace, is_new) in [
        ("mnt", stage.mount_namespace),
        ("pid", stage.pid_namespace),
        ("uts", stage.uts_namespace),
        ("net", stage.network_namespace),
        ("ipc", false),
        ("cgroup", stage.cgroups),
        ("time", false),
        ("user", !host.is_root()),
    ] {
        let of = |process: String| link(format!("/proc/{process}/ns/{namespace}"));
        let differs = of(command.to_string()) != of("self".to_owned());
        assert_eq!(differs, is_new, "{namespace}");
    }
    running.supervisor.kill().unwrap();
    within(Duration::from_secs(1), "the command ends", || !crate::running::is_alive(command));
}

fn root_needs_no_user_namespace(host: &Host) {
    let running = host.start_sleep();
    let map = fs::read_to_string(format!("/proc/{}/uid_map", running.command())).unwrap();
    assert_eq!(map, fs::read_to_string("/proc/self/uid_map").unwrap());
}

fn one_id_is_mapped(host: &Host) {
    let running = host.start_sleep();
    let command = running.command();
    for file in ["uid_map", "gid_map"] {
        let map = fs::read_to_string(format!("/proc/{command}/{file}")).unwrap();
        let words: Vec<_> = map.split_whitespace().collect();
        assert_eq!(words, ["0", &host.uid().to_string(), "1"], "{file}");
    }
}
