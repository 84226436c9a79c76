//! What containers of a pod share, who holds it, and how one gets into it.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::exercises::exercise::{Exercise, Fault};
use crate::exercises::judged::Judged;
use crate::exercises::verdict::expect;

pub(in crate::exercises) const WHO_IS_LOCALHOST: Exercise = Exercise {
    id: "who-is-localhost",
    was: &[],
    step: "v8-pause",
    title: "Who is localhost?",
    minutes: 15,
    source: include_str!("../../../exercises/who-is-localhost.rs"),
    hints: [
        "A network namespace has a loopback device of its own. How often does run make one?",
        "The file that make_network returns stands for one namespace, and any number of processes \
         can enter by it: setns(2) does not use it up.",
        "let network = make_network(&rootfs)?; and &network in both calls of start.",
    ],
    starter_fails: "each of them is in a network of its own",
    faults: &[
        Fault { name: "the-hosts", fails: "both are in the network of the host" },
        Fault { name: "wrong-number", fails: "the command is in the network of the host" },
        Fault { name: "no-loopback", fails: "the command gets no answer" },
    ],
    needs_cgroup: false,
    check: who_is_localhost,
};

fn who_is_localhost(judged: &Judged) -> Result<()> {
    // The server may need a moment before it listens: the last answer counts.
    const ASK: &str = "for i in 1 2 3 4 5 6 7 8 9 10; do
        answer=$(wget -q -O - http://127.0.0.1/www/page 2>&1) && break; sleep 0.2; done
        echo \"$answer\"";
    fs::write(judged.rootfs().join("www/page"), "hello from the pod\n")
        .context("cannot write the page")?;
    let script = format!("echo $$; {ASK}; exec sleep 100");
    let mut running = judged.start(&["sh", "-c", &script])?;
    let expected = "the web server and the command are in one network, which is not the host's";
    let look = "which network each of the two enters, and who has made it";
    let web = process_called("httpd")?;
    let seen = "the web server does not run";
    let web = network_of(&web.with_context(|| seen)?)?;
    let (command, own) = (network_of(&running.first)?, network_of("self")?);
    let seen = match (web == own, command == own) {
        (true, true) => "both are in the network of the host",
        (true, false) => "the web server is in the network of the host",
        (false, true) => "the command is in the network of the host",
        (false, false) => "each of them is in a network of its own",
    };
    expect(web == command && web != own, expected, seen, look)?;
    let answer = running.line()?;
    let expected = "the command asks 127.0.0.1, and the web server answers";
    let seen = format!("the command gets no answer: {answer}");
    let look = "whether the loopback of this network is up";
    expect(answer == "hello from the pod", expected, &seen, look)
}

/// The number of a process that runs a program of this name.
fn process_called(name: &str) -> Result<Option<String>> {
    // It executes a little after its parent is told so, and has its new name then.
    for _ in 0..100 {
        for entry in fs::read_dir("/proc").context("cannot list /proc")? {
            let entry = entry.context("cannot list /proc")?;
            let called = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            if called.trim_end() == name {
                return Ok(Some(entry.file_name().to_string_lossy().into_owned()));
            }
        }
        sleep(Duration::from_millis(20));
    }
    Ok(None)
}

fn network_of(pid: &str) -> Result<PathBuf> {
    let path = Path::new("/proc").join(pid).join("ns/net");
    fs::read_link(&path).with_context(|| format!("cannot read {path:?}"))
}

pub(in crate::exercises) const KEPT_NAMESPACE: Exercise = Exercise {
    id: "kept-namespace",
    was: &[],
    step: "v8-pause",
    title: "Who keeps the process numbers?",
    minutes: 20,
    source: include_str!("../../../exercises/kept-namespace.rs"),
    hints: [
        "pid_namespaces(7) tells what happens when process 1 of a namespace ends. Who is process 1 \
         here, and how long does it live?",
        "The first child after unshare is process 1. So before the commands, fork one that stays. \
         What should it do all day?",
        "Child::fork()? is Forked::Child in the child. There: loop { pause(); }, with \
         nix::unistd::pause. In the parent it is Forked::Parent, and goes on to the commands.",
    ],
    starter_fails: "the second run fails",
    faults: &[
        Fault { name: "each-its-own", fails: "each run is process 1" },
        Fault { name: "awake", fails: "somebody runs all the time" },
    ],
    needs_cgroup: false,
    check: kept_namespace,
};

fn kept_namespace(judged: &Judged) -> Result<()> {
    let times = |count: &str, script: &str| {
        let mut command = judged.program();
        command.arg("--rootfs").arg(judged.rootfs()).args(["--times", count, "sh", "-c", script]);
        command
    };
    let ended = judged.run_to_end(&mut times("3", "echo $$; exit 7"), "sh -c 'echo $$; exit 7'")?;
    let numbers: Vec<_> = ended.stdout.lines().collect();
    let expected = "three runs in one PID namespace, beside a process 1 that stays: 2, 3, 4";
    let seen = match numbers[..] {
        ["1", "1", "1"] => "each run is process 1".to_owned(),
        [_] => format!("the second run fails: {}", ended.stderr),
        _ => format!("{} {}", numbers.join(", "), ended.stderr),
    };
    let look = "who is born first in the namespace, and whether it still lives";
    expect(numbers == ["2", "3", "4"], expected, &seen, look)?;
    let expected = "the launcher ends as the last run, with status 7";
    let seen = format!("status {}: {}", ended.status, ended.stderr);
    expect(ended.status == 7, expected, &seen, "what is done with the status of the command")?;
    let running = judged.start_command(times("1", "echo ready; exec sleep 100"))?;
    let mut busy = 0;
    for _ in 0..20 {
        sleep(Duration::from_millis(10));
        busy += u32::from(somebody_runs()?);
    }
    drop(running);
    let seen = "somebody runs all the time";
    expect(busy < 15, "process 1 sleeps while it waits", seen, "what it does all day")
}

/// Whether a process of the host, other than this one, has or wants the CPU (state R of
/// proc_pid_stat(5)).
fn somebody_runs() -> Result<bool> {
    for entry in fs::read_dir("/proc").context("cannot list /proc")? {
        let entry = entry.context("cannot list /proc")?;
        let pid = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        if pid.is_none_or(|pid| pid == std::process::id()) {
            continue;
        }
        let Ok(text) = fs::read_to_string(entry.path().join("stat")) else { continue }; // it ended
        if text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('R')) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(in crate::exercises) const ENTER_POD: Exercise = Exercise {
    id: "enter-pod",
    was: &[],
    step: "v8-pause",
    title: "To join is not to be there",
    minutes: 15,
    source: include_str!("../../../exercises/enter-pod.rs"),
    hints: [
        "setns(2) has a paragraph of its own about PID namespaces: who is moved?",
        "Only the next child. So there is one fork too few between setns and the command; who \
         forks has to wait, and to pass on how the command ended. Step 3 has something for that.",
        "v3_pidns::fork_and_stand_between()?, behind the loop. It makes no namespace, and returns \
         in the child.",
    ],
    starter_fails: "it has a number of the host",
    faults: &[
        Fault { name: "another", fails: "it is process 1 of another namespace" },
        Fault { name: "lost-status", fails: "the launcher ended with status 0" },
    ],
    needs_cgroup: false,
    check: enter_pod,
};

fn enter_pod(judged: &Judged) -> Result<()> {
    let ended = judged.run(&["sh", "-c", "echo $$ $(hostname); exit 7"])?;
    let (number, name) = ended.stdout.split_once(' ').unwrap_or((&ended.stdout, ""));
    let expected = "beside process 1, the command is process 2";
    let seen = match number {
        "1" => "it is process 1 of another namespace".to_owned(),
        _ => format!("it has a number of the host: {number}"),
    };
    let look = "which process setns(2) moves into a PID namespace";
    expect(number == "2", expected, &seen, look)?;
    let seen = format!("the hostname is {name}");
    expect(name == "pod", "the hostname is the container's", &seen, "what was joined")?;
    let expected = "the launcher ends as the command ends, with status 7";
    let seen = format!("the launcher ended with status {}", ended.status);
    expect(ended.status == 7, expected, &seen, "who waits for the command, and what it does then")
}
