//! `exec`.

use std::fs;
use std::process::{Command, Stdio};

use testbed::elsewhere::limit_memory;
use testbed::running::status_line;
use testbed::{Host, Outcome, Suite};

use crate::pod::{Pod, scripts};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("exec_enters_everything", exec_enters_everything)
        .both("exec_passes_the_exit_status_on", exec_passes_the_exit_status_on)
        .both("exec_has_the_containers_environment", exec_has_the_containers_environment)
        .both("exec_does_not_believe_a_huge_environment", exec_does_not_believe_a_huge_environment)
        .both("exec_says_what_is_wrong", exec_says_what_is_wrong)
        .both("exec_says_which_container_it_took", exec_says_which_container_it_took)
        .both("exec_reads_stdin", exec_reads_stdin)
        .both("exec_has_the_containers_null_device", exec_has_the_containers_null_device)
        .root("exec_is_the_containers_user", exec_is_the_containers_user)
        .user(
            "exec_is_the_containers_user_with_a_range",
            Host::with_subordinate_ids(exec_is_the_containers_user),
        )
        .root("root_enters_a_users_pod", root_enters_a_users_pod)
        .both("no_container_has_cap_sys_ptrace", no_container_has_cap_sys_ptrace)
        .root("no_capability_comes_from_the_caller", no_capability_comes_from_the_caller)
        .both("the_executable_is_sealed", the_executable_is_sealed)
        .both("the_demo_pod", the_demo_pod)
}

const SLEEP: &str = "echo ready; exec sleep 1000";

fn exec_enters_everything(host: &Host) {
    for more in ["", "  shareProcessNamespace: true\n"] {
        let mut pod = Pod::start_ready(host, &scripts(more, &[("a", SLEEP), ("b", SLEEP)]), 2);
        let all = "for kind in cgroup ipc mnt net pid uts user; do readlink $dir/ns/$kind; done";
        let own = pod.sh_in("b", &format!("dir=/proc/self; {all}"));
        let own_a = pod.sh(&format!("dir=/proc/self; {all}"));
        // The last sleep is that of b, whether processes are shared or not.
        let find = "for it in $(ls /proc | grep '^[0-9]' | sort -n); do
            [ $(cat /proc/$it/comm || echo) = sleep ] && dir=/proc/$it; done 2>/dev/null";
        let its = pod.sh_in("b", &format!("{find}; {all}"));
        assert_eq!(own, its);
        assert_ne!(own, own_a);
        assert_eq!(pod.sh("pwd; echo $0"), "/\nsh\n");
        pod.stop();
    }
}

fn exec_passes_the_exit_status_on(host: &Host) {
    let mut pod = Pod::start_ready(host, &scripts("", &[("a", SLEEP)]), 1);
    for status in [0, 1, 42, 255] {
        assert_eq!(pod.exec(&["--", "sh", "-c", &format!("exit {status}")]).code(), status);
    }
    assert_eq!(pod.exec(&["--", "sh", "-c", "kill -TERM $$"]).code(), 143);
    pod.exec(&["--", "nonesuch"]).assert_refused(127, &["cannot execute \"nonesuch\""]);
    pod.exec(&["--", "/etc"]).assert_refused(126, &["it is a directory"]);
    pod.stop();
}

/// With `</dev/null` and with a closed stdin; and the container may have put something else there.
fn exec_has_the_containers_null_device(host: &Host) {
    let mut pod = Pod::start_ready(host, &scripts("", &[("a", SLEEP)]), 1);
    let script = "id=$(sed -n 's/mnt_id:.//p' /proc/self/fdinfo/0)
        grep -q \"^$id \" /proc/self/mountinfo && cat && echo own";
    for redirect in ["< /dev/null", "<&-"] {
        let exec = pod.exec_command(&["--", "sh", "-c", script]);
        let mut shell = host.command("/bin/sh");
        shell.args(["-c", &format!("exec \"$0\" \"$@\" {redirect}")]);
        shell.arg(exec.get_program()).args(exec.get_args());
        let outcome = Outcome::of(&mut shell);
        assert_eq!(outcome.text(), "own\n", "{redirect} {outcome:?}");
    }
    for change in ["mkfifo /dev/null", "ln -s /proc/self/exe /dev/null", "touch /dev/null"] {
        let script = format!("umount -l /dev/null 2>&1; rm -f /dev/null; {change}");
        let mut exec = pod.exec_command(&["--", "sh", "-c", &script]);
        assert_eq!(Outcome::of(exec.stdin(Stdio::piped())).code(), 0, "{change}");
        let mut exec = pod.exec_command(&["--", "true"]);
        let outcome = Outcome::of(exec.stdin(Stdio::null()));
        outcome.assert_refused(125, &["/dev/null of the container"]);
    }
    pod.stop();
}

fn exec_has_the_containers_environment(host: &Host) {
    let spec = scripts("", &[("a", SLEEP)]) + "    env: [{name: A, value: of the pod}]\n";
    let mut pod = Pod::start_ready(host, &spec, 1);
    let mut exec = host.launcher();
    exec.env("SECRET", "of the host").args(["exec", &pod.pause.to_string(), "--", "env"]);
    let outcome = Outcome::of(&mut exec);
    let text = outcome.text();
    assert!(text.contains("A=of the pod\n") && !text.contains("SECRET"), "{text}");
    pod.stop();
}

/// A process of the container says where its environment is in its memory (PR_SET_MM): that may be
/// gigabytes that nobody has touched. With its root, it has no say in what happens outside.
fn exec_does_not_believe_a_huge_environment(host: &Host) {
    let liar = host.dir("liar").join("liar");
    fs::copy(testbed::EXE, &liar).unwrap();
    let spec = format!(
        "  terminationGracePeriodSeconds: 1
  volumes:
  - {{name: liar, hostPath: {{path: {liar}}}}}
  - {{name: lib, hostPath: {{path: /lib}}}}
  - {{name: lib64, hostPath: {{path: /lib64}}}}
  - {{name: usr, hostPath: {{path: /usr/lib}}}}
  containers:
  - name: a
    image: busybox
    command: [/liar, {LIAR}]
    volumeMounts:
    - {{name: liar, mountPath: /liar}}
    - {{name: lib, mountPath: /lib}}
    - {{name: lib64, mountPath: /lib64}}
    - {{name: usr, mountPath: /usr/lib}}
",
        liar = liar.display()
    );
    let mut pod = Pod::start(host, &spec);
    let line = pod.running.line();
    if line.ends_with("refused") {
        host.skip("this kernel has no PR_SET_MM_MAP (CONFIG_CHECKPOINT_RESTORE)");
    }
    assert_eq!(line, "a | ready");
    let mut exec = pod.exec_command(&["--", "sh", "-c", "echo in; echo $PATH"]);
    limit_memory(&mut exec);
    let outcome = Outcome::of(&mut exec);
    assert!(outcome.text().starts_with("in\n/usr/local/sbin:"), "{outcome:?}");
    let notes: Vec<_> = outcome.stderr.lines().collect();
    assert!(notes.iter().any(|it| it.contains("environment") && it.contains("EFBIG")), "{notes:?}");
    pod.stop();
}

const LIAR: &str = "--liar";

pub fn is_liar() -> bool {
    std::env::args().nth(1).is_some_and(|first| first == LIAR)
}

/// Says that its environment is six gigabytes that it has mapped, and has never touched.
pub fn lie() -> ! {
    const SIZE: usize = 6 << 30;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping wherever the kernel finds room.
    let area = unsafe { libc::mmap(std::ptr::null_mut(), SIZE, libc::PROT_READ, flags, -1, 0) };
    assert_ne!(area, libc::MAP_FAILED);
    // struct prctl_mm_map: thirteen addresses, then the auxiliary vector (none: as it is), then the
    // executable (-1: as it is). /proc/self/stat has the addresses, from proc_pid_stat(5).
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let rest = stat.rsplit_once(") ").unwrap().1;
    let fields: Vec<u64> = rest.split(' ').map(|it| it.trim().parse().unwrap_or(0)).collect();
    let field = |number: usize| fields[number - 3]; // the first behind the name is number 3
    let environment = area.addr() as u64;
    let map = [
        field(26),
        field(27), // code
        field(45),
        field(46), // data
        field(47), // the start of the heap
        field(47), // its end, which stat does not tell
        field(28), // stack
        field(48),
        field(49), // arguments
        environment,
        environment + SIZE as u64,
        0,                     // auxv
        0xffff_ffff_0000_0000, // auxv_size 0, exe_fd -1
    ];
    const PR_SET_MM_MAP: libc::c_int = 14;
    // SAFETY: the pointer is to a structure of the size that is said, which is only read.
    let result =
        unsafe { libc::prctl(libc::PR_SET_MM, PR_SET_MM_MAP, map.as_ptr(), size_of_val(&map), 0) };
    let error = std::io::Error::last_os_error();
    println!("{}", if result == 0 { "ready".to_owned() } else { format!("{error} refused") });
    std::thread::sleep(std::time::Duration::from_secs(1000));
    std::process::exit(0);
}

fn exec_says_what_is_wrong(host: &Host) {
    let mut pod = Pod::start_ready(host, &scripts("", &[("a", SLEEP), ("b", SLEEP)]), 2);
    let exec = |arguments: &[&str]| Outcome::of(host.launcher().arg("exec").args(arguments));
    let pause = pod.pause.to_string();
    exec(&["999999"]).assert_refused(125, &["no pod of yours", "999999", &pause]);
    exec(&["../.."]).assert_refused(125, &["invalid value"]);
    exec(&["-1"]).assert_refused(125, &[]);
    exec(&[]).assert_refused(125, &["PAUSE_PID"]);
    exec(&[&pause, "-c", "c"]).assert_refused(125, &["does not run a container \"c\"", "a, b"]);
    pod.stop();
    exec(&[&pause]).assert_refused(125, &["no pod of yours", "running: none"]);
}

fn exec_says_which_container_it_took(host: &Host) {
    let mut pod = Pod::start_ready(host, &scripts("", &[("a", SLEEP), ("b", SLEEP)]), 2);
    let outcome = pod.exec(&["--", "true"]);
    let told = "Note: took the container \"a\", out of a, b (-c NAME takes another)\n";
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (0, told), "{outcome:?}");
    let outcome = pod.exec(&["-c", "a", "--", "true"]);
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    // As `docker exec` takes it, too; what begins with - behind a command is the command's.
    assert_eq!(pod.exec(&["-c", "a", "sh", "-c", "exit 3"]).code(), 3);
    pod.stop();
    let mut pod = Pod::start_ready(host, &scripts("", &[("a", SLEEP)]), 1);
    let outcome = pod.exec(&["--", "true"]);
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    pod.stop();
}

fn exec_reads_stdin(host: &Host) {
    let mut pod = Pod::start_ready(host, &scripts("", &[("a", SLEEP)]), 1);
    let mut exec = host.launcher();
    exec.args(["exec", &pod.pause.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = exec.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"echo $((40 + 2))\n").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"42\n");
    pod.stop();
}

fn exec_is_the_containers_user(host: &Host) {
    let spec = scripts("", &[("a", SLEEP)]) + "    securityContext: {runAsUser: 1234}\n";
    let mut pod = Pod::start_ready(host, &spec, 1);
    assert_eq!(pod.sh("id -u; id -g; echo $HOME"), "1234\n0\n/\n");
    assert_eq!(pod.sh("tr '\\0' '\\n' </proc/1/environ | grep ^HOME"), "HOME=/\n");
    assert_eq!(pod.sh("grep ^Uid: /proc/1/status"), "Uid:\t1234\t1234\t1234\t1234\n");
    pod.stop();
}

/// With the number, root may enter the pod of a user: here by the same way, from outside of the
/// user namespace.
fn root_enters_a_users_pod(host: &Host) {
    let manifest = crate::pod::manifest(host, &scripts("", &[("a", SLEEP)]));
    let runtime = host.dir("runtime");
    let mut launcher = host.command("unshare");
    launcher.args(["--user", "--map-root-user"]).arg(format!("{}/v8-pause", testbed::BIN));
    launcher.args(["run", "--net", "none"]).arg(&manifest);
    let mut pod = Pod::follow(host, &mut launcher);
    pod.running.expect_line("a | ready");
    assert_eq!(pod.sh("id -u; cat /proc/1/comm"), "0\nsleep\n");
    drop(runtime);
    pod.stop();
}

/// What is inheritable passes by the bounding set.
fn no_capability_comes_from_the_caller(host: &Host) {
    if Command::new("setpriv").arg("--version").output().is_err() {
        host.skip("no setpriv on this machine: install util-linux");
    }
    let manifest = crate::pod::manifest(host, &scripts("", &[("a", SLEEP)]));
    let mut launcher = host.command("setpriv");
    launcher.arg("--inh-caps=+sys_ptrace,+net_admin").arg(format!("{}/v8-pause", testbed::BIN));
    launcher.args(["run", "--net", "none"]).arg(&manifest);
    let mut pod = Pod::follow(host, &mut launcher);
    pod.running.expect_line("a | ready");
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status_line(pod.pause, name), "0000000000000000", "{name} of pause");
    }
    let text = pod.sh("grep ^Cap /proc/1/status");
    assert!(text.contains("CapInh:\t0000000000000000\n"), "{text}");
    for mask in text.split_whitespace().flat_map(|word| u64::from_str_radix(word, 16)) {
        assert_eq!(mask & 1 << 19, 0, "CAP_SYS_PTRACE: {text}");
    }
    pod.stop();
}

fn no_container_has_cap_sys_ptrace(host: &Host) {
    const CAP_SYS_PTRACE: u64 = 1 << 19;
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    let mut pod = Pod::start_ready(host, &scripts("", &[("a", SLEEP)]), 1);
    let check = |text: String| {
        for line in text.lines().filter(|line| line.starts_with("Cap") && !line.contains("Inh")) {
            let (name, mask) = line.split_once('\t').unwrap();
            let mask = u64::from_str_radix(mask, 16).unwrap();
            assert_eq!(mask & CAP_SYS_PTRACE, 0, "{line}");
            assert!(name == "CapAmb:" || mask & CAP_SYS_ADMIN != 0, "{line}");
        }
        assert_eq!(text.matches("Cap").count(), 5, "{text}");
    };
    check(pod.sh("grep ^Cap /proc/1/status"));
    check(pod.sh("grep ^Cap /proc/self/status"));
    pod.stop();
}

fn the_executable_is_sealed(host: &Host) {
    let mut pod = Pod::start_ready(host, &scripts("", &[("a", SLEEP)]), 1);
    let exe = |pid| format!("/proc/{pid}/exe");
    let name = testbed::running::link(exe(pod.running.pid()));
    assert_eq!(name, "/memfd:v8-pause (deleted)");
    for pid in [pod.running.pid(), pod.pause] {
        // Nobody can write to what is executed, but that is ETXTBSY; a seal holds for longer.
        let file = std::fs::File::open(exe(pid)).unwrap();
        // SAFETY: F_GET_SEALS takes no argument.
        let seals =
            unsafe { libc::fcntl(std::os::fd::AsRawFd::as_raw_fd(&file), libc::F_GET_SEALS) };
        let all = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
        assert_eq!(seals & all, all);
    }
    assert_eq!(status_line(pod.running.pid(), "Name"), "v8-pause");
    pod.stop();
}

fn the_demo_pod(host: &Host) {
    let mut launcher = host.launcher();
    launcher.args(["--net", "none"]).stdin(Stdio::piped());
    let mut pod = Pod::follow(host, &mut launcher);
    let script =
        b"hostname; cat /proc/1/comm; until wget -qO- localhost; do sleep 0.1; done; exit 9\n";
    std::io::Write::write_all(&mut pod.running.supervisor.stdin.take().unwrap(), script).unwrap();
    assert!(pod.running.line().starts_with("A pod runs: a web server in the container `web`"));
    while pod.running.line() != "`exit` ends the pod." {}
    for line in ["", "demo", "pause", "This page is from the pod demo."] {
        assert_eq!(pod.running.line(), line);
    }
    assert_eq!(pod.running.code(), 9);
}
