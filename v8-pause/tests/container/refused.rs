//! What is wrong is told, and nothing is left behind: the leak check runs after each of these.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;

use serde_json::json;
use testbed::elsewhere::limit_memory;
use testbed::{Host, Outcome, Suite};

use crate::own_image;
use crate::pod::{Pod, launcher, manifest, run, scripts};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("a_wrong_manifest_names_file_field_and_line", a_wrong_manifest)
        .both("a_missing_file", a_missing_file)
        .both("a_manifest_without_an_end", a_manifest_without_an_end)
        .both("a_manifest_of_long_paths", a_manifest_of_long_paths)
        .both("a_manifest_from_a_pipe", a_manifest_from_a_pipe)
        .both("a_missing_host_path_is_made", a_missing_host_path_is_made)
        .both("an_error_of_a_container_names_it", an_error_of_a_container_names_it)
        .both("a_mount_point_that_cannot_be_made", a_mount_point_that_cannot_be_made)
        .both("a_runtime_directory_of_somebody_else", a_runtime_directory_of_somebody_else)
        .both("wrong_arguments", wrong_arguments)
        .user("each_subcommand_has_a_page", each_subcommand_has_a_page)
        .user("what_hands_type_by_habit", what_hands_type_by_habit)
}

fn a_wrong_manifest(host: &Host) {
    let spec = scripts("", &[("a", "true")]) + "    tty: true\n";
    run(host, &spec).assert_refused(
        125,
        &[
            "pod.yaml: spec.containers[0].tty: here it can only be false",
            "(container \"a\", line 15, column 5)",
        ],
    );
    let spec = scripts("  subdomain: a\n", &[("a", "true")]) + "    tty: true\n";
    run(host, &spec).assert_refused(
        125,
        &[
            "pod.yaml: 2 fields are not supported here: spec.subdomain (line ",
            "[0].tty (container \"a\", line 16, ",
        ],
    );
    let spec = scripts("", &[("a", "true")]) + "    resources: {limits: {memory: 12Q}}\n";
    run(host, &spec).assert_refused(125, &["limits.memory: \"12Q\" is not a quantity"]);
    run(host, "  containers: [").assert_refused(125, &["pod.yaml: it is no YAML", "line 7"]);
}

fn a_missing_file(host: &Host) {
    host.run(["run", "/none.yaml"]).assert_refused(125, &["cannot read \"/none.yaml\"", "ENOENT"]);
    host.run(["run", "/tmp"]).assert_refused(125, &["cannot read \"/tmp\"", "EISDIR"]);
    fs::write(host.dir("bytes").join("pod.yaml"), b"\xff").unwrap();
    host.run(["run", "/tmp/bytes/pod.yaml"]).assert_refused(125, &["is no UTF-8"]);
}

fn a_manifest_without_an_end(host: &Host) {
    let mut launcher = host.launcher();
    limit_memory(&mut launcher);
    let outcome = Outcome::of(launcher.args(["run", "/dev/zero"]));
    outcome.assert_refused(125, &["cannot read \"/dev/zero\"", "EFBIG"]);
}

/// Of 180 kilobytes: if each of its values kept the whole way to it, they were gigabytes.
fn a_manifest_of_long_paths(host: &Host) {
    let spec = format!("  ? {}\n  : [{}]\n", "k".repeat(20_000), "a,".repeat(80_000));
    let mut launcher = launcher(host, &spec);
    limit_memory(&mut launcher);
    Outcome::of(&mut launcher).assert_refused(125, &["spec: the field containers is missing"]);
}

/// People write `kubectl ... -o yaml | v8-pause run /dev/stdin`, and `run <(...)`.
fn a_manifest_from_a_pipe(host: &Host) {
    let path = manifest(host, &scripts("  restartPolicy: Never\n", &[("a", "echo here")]));
    let fifo = host.dir("fifo").join("pod");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o666)).unwrap();
    host.give(&fifo);
    for run in [
        "sleep 0.1; cat $1; } | $0 run --net none /dev/stdin",
        "sleep 0.1; cat $1 > $2; } & $0 run --net none $2",
    ] {
        let mut shell = host.command("/bin/sh");
        shell.args(["-c", &format!("{{ {run}")]).arg(host.launcher().get_program());
        let outcome = Outcome::of(shell.args([&path, &fifo]));
        assert!(outcome.text().ends_with("a | here\n"), "{outcome:?}");
    }
}

/// What its owner writes there, exec would believe.
fn a_runtime_directory_of_somebody_else(host: &Host) {
    if host.has_user_namespace() {
        host.skip("whoever runs the tests has one id");
    }
    let (parent, owner) = match host.is_root() {
        true => (PathBuf::from("/run"), 12345),
        false => (host.dir("runtime"), 0),
    };
    let ours = parent.join("container-steps");
    fs::create_dir(&ours).unwrap();
    chown(&ours, Some(owner), None).unwrap();
    let told = format!("cannot use {ours:?}: it belongs to user {owner}");
    let run = launcher(host, &scripts("", &[("a", "true")]));
    let mut exec = host.launcher();
    exec.args(["exec", "1"]);
    for mut launcher in [run, exec] {
        launcher.env("XDG_RUNTIME_DIR", &parent);
        Outcome::of(&mut launcher).assert_refused(125, &[&told, "(remove it: sudo rm -r "]);
    }
    fs::remove_dir(ours).unwrap();
}

/// As containerd makes it: with 0755, whatever the umask is. And it stays.
fn a_missing_host_path_is_made(host: &Host) {
    let place = host.dir("place");
    let more = "  restartPolicy: Never\n  volumes: [{name: v, hostPath: {path: /tmp/place/a/b}}]\n";
    let spec = scripts(more, &[("a", "echo here > /v/file")])
        + "    volumeMounts: [{name: v, mountPath: /v}]\n";
    let start = launcher(host, &spec);
    let mut shell = host.command("/bin/sh");
    shell.args(["-c", "umask 077; exec \"$0\" \"$@\""]).arg(start.get_program());
    let outcome = Outcome::of(shell.args(start.get_args()));
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    let told = "Note: made the directory \"/tmp/place/a/b\" of the host, for the volume \"v\"";
    assert!(outcome.stderr.contains(told), "{outcome:?}");
    for made in ["a", "a/b"] {
        let mode = fs::metadata(place.join(made)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755, "{made}");
    }
    assert_eq!(fs::read_to_string(place.join("a/b/file")).unwrap(), "here\n");
    let outcome = run(host, &spec);
    assert!(!outcome.stderr.contains("made the directory"), "once: {outcome:?}");
    // Where nobody can make it, that is an error, before anything has run.
    let spec = spec.replace("place/a/b", "place/a/b/file/c");
    run(host, &spec).assert_refused(
        125,
        &["container \"a\": cannot find \"/tmp/place/a/b/file/c\" of the host", "\"v\"", "ENOTDIR"],
    );
}

/// And gives no advice to use an option that is a step below's.
fn an_error_of_a_container_names_it(host: &Host) {
    own_image::make(host, "stranger", &json!({"User": "nobody"}));
    own_image::make(host, "damaged", &json!({"StopSignal": 5}));
    let not_here = "    securityContext: {runAsUser: 1000}\n";
    for (image, more, told) in [
        ("busybox", "    workingDir: /proc/self/cwd\n", "b: cannot enter the working directory"),
        ("busybox", not_here, "b: cannot become user 1000"),
        ("stranger:1", "", "b: cannot run as user \"nobody\""),
        ("damaged:1", "", "container \"b\": "),
    ] {
        if more == not_here && host.is_root() {
            continue; // who can be any user
        }
        let spec = scripts("  restartPolicy: Never\n", &[("a", "exit 0"), ("b", "exit 0")]);
        let spec = spec.replacen(
            "name: b\n    image: busybox",
            &format!("name: b\n    image: {image}"),
            1,
        );
        let mut start = launcher(host, &(spec + more));
        let outcome = Outcome::of(start.args(["--images", "/tmp/images"]));
        assert_eq!(outcome.code(), 125, "{told} {outcome:?}");
        let [line] = outcome.complaints()[..] else { panic!("{outcome:?}") };
        assert!(line.starts_with(&format!("Error: {told}")), "{line}");
        for option in [" -u", "--user", "--workdir", "--read-only", "--max-size"] {
            assert!(!line.contains(option), "{line}");
        }
    }
}

/// It is the directory in which it is missing that is read-only.
fn a_mount_point_that_cannot_be_made(host: &Host) {
    let more = "  restartPolicy: Never\n  volumes: [{name: outer}, {name: inner}]\n";
    let mounts = "    volumeMounts:\n    - {name: outer, mountPath: /data, readOnly: true}\n    \
                  - {name: inner, mountPath: /data/sub/more}\n";
    let outcome = run(host, &(scripts(more, &[("a", "true")]) + mounts));
    let told = "Error: a: cannot make the mount point \"/data/sub/more\": EROFS: Read-only file \
                system (make it yourself: \"/data\" is read-only)";
    assert_eq!((outcome.code(), outcome.complaints()), (125, vec![told]), "{outcome:?}");
}

fn wrong_arguments(host: &Host) {
    host.run(["walk"]).assert_refused(125, &["walk", "--help"]);
    host.run(["run", "--bogus"]).assert_refused(125, &["--bogus"]);
    host.run(["run", "a", "b"]).assert_refused(125, &["b"]);
    // Not the demo pod, in which what one types would go nowhere.
    host.run(["run"]).assert_refused(125, &["<POD.yaml>", "usage: v8-pause run <POD"]);
    let help = host.run(["--help"]);
    assert!(help.text().contains("exec") && help.text().contains("no sandbox"), "{help:?}");
}

/// However it is asked for: as users of clap ask, and as those of docker.
fn each_subcommand_has_a_page(host: &Host) {
    for (what, usage, example) in [
        ("run", "Usage: v8-pause run [OPTIONS] <POD.yaml>", "v8-pause run pod.yaml"),
        ("exec", "Usage: v8-pause exec [OPTIONS] <PAUSE_PID>", "v8-pause exec 4711 -c web -- ps"),
    ] {
        let ways: [&[&str]; 5] =
            [&[what, "--help"], &[what, "-h"], &["help", what], &["--help", what], &["-h", what]];
        for words in ways {
            let help = host.run(words);
            let text = help.text();
            assert!(text.contains(usage) && text.contains(example), "{words:?}: {text}");
            assert!(!text.contains("Commands:"), "{words:?}: {text}");
            assert!(text.contains("troubleshooting.md"), "{words:?}: {text}");
            help.assert_fits_on_a_screen();
        }
    }
    for words in [&["help"][..], &["--help"], &["--help", "walk"]] {
        let help = host.run(words);
        assert!(help.text().contains("Commands:"), "{words:?}");
        help.assert_fits_on_a_screen();
    }
}

fn what_hands_type_by_habit(host: &Host) {
    let spec = scripts("  restartPolicy: Never\n", &[("a", "echo here")]);
    let path = manifest(host, &spec);
    let path = path.to_str().unwrap();
    let outcome = host.run(["run", "-it", "--rm", "--network", "none", path]);
    assert!(outcome.text().ends_with("a | here\n"), "{outcome:?}");
    let mut pod = Pod::start_ready(host, &scripts("", &[("a", "echo ready; sleep 1000")]), 1);
    for options in [&["-it"][..], &["-i", "-t", "--"], &["-itc", "a"]] {
        let words = [options, &["echo", "-it"]].concat();
        assert_eq!(pod.exec(&words).text(), "-it\n", "{options:?}");
    }
    pod.stop();
    assert!(host.run(["--version"]).text().starts_with("v8-pause 0."));
    for (words, told) in [
        (&["-v", "/a:/b"][..], "v2-mountns has it; here the manifest says what a container gets"),
        (&["run", "--hostname=x", path], "v4-utsns has it; here the manifest"),
        (&["run", "-d", path], "'-d' found; a container stays in the foreground: use another"),
        (&["run", "-f", path], "'-f' found; v8-pause takes its manifest without it"),
        (&["exec", "-u", "0", "1"], "v7-overlay has it; here the manifest"),
    ] {
        host.run(words).assert_refused(125, &[told]);
    }
}
