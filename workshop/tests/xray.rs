//! What `cargo workshop xray` tells of containers, as root and as an ordinary user.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, with the line that did it"
)]

mod stages;

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use testbed::elsewhere::{Rule, When, install_filter};
use testbed::pace::slowed;
use testbed::running::{
    children, children_of_supervisor, descendants, link, program, send, status_line, within,
};
use testbed::{BIN, Host, Outcome, Suite};

/// Names its own process and waits until its input ends. (A shell becomes its last command.)
const TELL_AND_WAIT: &str = "echo $$; cat; true";

fn main() -> ExitCode {
    stages::build();
    Suite::of_no_stage()
        .own_cgroups()
        .both("without_containers_it_says_so", without_containers_it_says_so)
        .both("each_step_has_one_more_of_its_own", each_step_has_one_more_of_its_own)
        .both("the_number_inside_is_the_containers_own", the_number_inside_is_the_containers_own)
        .both("the_table_has_the_inodes_of_proc", the_table_has_the_inodes_of_proc)
        .both("bwrap_and_unshare_are_containers_too", bwrap_and_unshare_are_containers_too)
        .both("a_container_in_a_container_has_two_numbers", a_container_in_a_container)
        .root("the_host_is_where_number_1_is", the_host_is_where_number_1_is)
        .both("a_pod_shares_its_namespaces", a_pod_shares_its_namespaces)
        .both("mounts_and_root_are_shown", mounts_and_root_are_shown)
        .both("who_is_who_is_shown", who_is_who_is_shown)
        .both("privileges_are_shown", privileges_are_shown)
        .root("limits_are_those_asked_for", limits_are_those_asked_for)
        .both("open_ports_are_shown", open_ports_are_shown)
        .both("hostile_names_do_not_reach_the_terminal", hostile_names_do_not_reach_the_terminal)
        .both("a_zombie_is_shown", a_zombie_is_shown)
        .user("what_may_not_be_read_is_told", what_may_not_be_read_is_told)
        .both("without_such_a_process_there_is_one_line", without_such_a_process_there_is_one_line)
        .both("processes_may_end_meanwhile", processes_may_end_meanwhile)
        .both("thousands_take_no_time", thousands_take_no_time)
        .both("a_reader_may_have_enough", a_reader_may_have_enough)
        .run()
}

fn xray(host: &Host, arguments: &[&str]) -> Command {
    let mut xray = host.command(Path::new(BIN).join("workshop"));
    xray.arg("xray").args(arguments);
    xray
}

/// One line of the tree.
#[derive(Clone, Debug)]
struct Line {
    pid: u32,
    inside: String,
    own: String,
    depth: usize,
    command: String,
}

fn tree(host: &Host) -> Vec<Line> {
    let outcome = Outcome::of(&mut xray(host, &[]));
    let text = outcome.text();
    let title = text.lines().next().unwrap_or_default();
    let Some((own, command)) = title.find("OF ITS OWN").zip(title.find("COMMAND")) else {
        panic!("no title in {text}");
    };
    let line = |line: &str| {
        let (numbers, rest) = line.split_at(own);
        let (own, tree) = rest.split_at(command - own);
        let numbers: Vec<_> = numbers.split_whitespace().collect();
        let [pid, inside] = numbers[..] else { panic!("not two numbers: {line:?}") };
        let command = tree.trim_start();
        let depth = (tree.len() - command.len()) / 2 + usize::from(command.starts_with('└'));
        Line {
            pid: pid.parse().unwrap(),
            inside: inside.to_owned(),
            own: own.trim().to_owned(),
            depth,
            command: command.trim_start_matches("└ ").to_owned(),
        }
    };
    text.lines().skip(1).map(line).collect()
}

#[track_caller]
fn line_of(tree: &[Line], pid: u32) -> &Line {
    tree.iter().find(|line| line.pid == pid).unwrap_or_else(|| panic!("no {pid} in {tree:#?}"))
}

/// The table of a process.
fn table(host: &Host, pid: u32) -> String {
    Outcome::of(&mut xray(host, &[&pid.to_string()])).text().to_owned()
}

/// The lines of one part of a table, without the title.
#[track_caller]
fn part<'a>(table: &'a str, title: &str) -> Vec<&'a str> {
    let mut lines = table.lines().skip_while(|line| line.split("  ").next() != Some(title));
    let first = lines.next().unwrap_or_else(|| panic!("no {title:?} in {table}"));
    let more = lines.take_while(|line| line.starts_with("   "));
    std::iter::once(&first[title.len()..]).chain(more).map(str::trim).collect()
}

/// A container whose command reads its input: it ends when that does.
struct Container {
    supervisor: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Container {
    fn start(command: &mut Command) -> Container {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut supervisor = command.spawn().expect("start the container");
        let stdin = supervisor.stdin.take();
        let stdout = BufReader::new(supervisor.stdout.take().expect("it is piped"));
        Container { supervisor, stdin, stdout }
    }

    fn of_step(host: &Host, step: &str, options: &[&str], script: &str) -> Container {
        // A bridge is no part of what is looked at here.
        let network = if step >= "v5" { &["--net", "none"][..] } else { &[] };
        let mut command = host.stage(step);
        command.args(network).args(options).args(["sh", "-c", script]);
        Container::start(&mut command)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("read from the container");
        line.trim_end().to_owned()
    }

    /// The number on the host of the process of this container that runs this program.
    #[track_caller]
    fn process(&self, name: &str) -> u32 {
        let pid = self.supervisor.id();
        let find = || [pid].into_iter().chain(descendants(pid)).find(|pid| program(*pid) == name);
        within(Duration::from_secs(10), &format!("{name} runs"), || find().is_some());
        find().expect("it was there")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.supervisor.wait();
    }
}

fn without_containers_it_says_so(host: &Host) {
    let outcome = Outcome::of(&mut xray(host, &[]));
    assert!(outcome.text().starts_with("No container: "), "{outcome:?}");
}

fn each_step_has_one_more_of_its_own(host: &Host) {
    let root = format!("root {}", host.rootfs().display());
    let steps = [
        ("v1-chroot", root.as_str()),
        ("v2-mountns", "mnt"),
        ("v3-pidns", "mnt pid"),
        ("v4-utsns", "mnt pid uts"),
        ("v5-netns", "mnt pid net uts"),
        ("v6-cgroups", "mnt pid net uts cgroup"),
        ("v7-overlay", "mnt pid net uts cgroup"),
    ];
    for (step, expected) in steps {
        let mut container = Container::of_step(host, step, &[], TELL_AND_WAIT);
        container.line();
        let tree = tree(host);
        // The supervisor, the process in between and the command may each have taken some.
        let own = tree.iter().flat_map(|line| line.own.split_whitespace());
        let mut own: Vec<_> = own.collect();
        let is_user = own.first() == Some(&"user");
        assert_eq!(is_user, !host.is_root(), "{tree:#?}");
        own.retain(|kind| *kind != "user");
        let order = ["root", &root[5..], "mnt", "pid", "net", "uts", "cgroup"];
        own.sort_by_key(|kind| order.iter().position(|it| it == kind));
        assert_eq!(own.join(" "), expected, "{step}: {tree:#?}");
    }
}

fn the_number_inside_is_the_containers_own(host: &Host) {
    for step in ["v1-chroot", "v2-mountns", "v3-pidns", "v4-utsns", "v7-overlay"] {
        // Number 1 is not the one that is asked for.
        let script = "sh -c 'echo $$; cat; true'; true";
        let mut container = Container::of_step(host, step, &[], script);
        let told = container.line();
        container.process("cat");
        let shells = descendants(container.supervisor.id());
        let shells = shells.into_iter().filter(|pid| program(*pid) == "sh").collect::<Vec<_>>();
        let [outer, inner] = shells[..] else { panic!("not two shells: {shells:?}") };
        let tree = tree(host);
        let (outer, inner) = (line_of(&tree, outer), line_of(&tree, inner));
        assert_eq!(inner.depth, outer.depth + 1, "{tree:#?}");
        assert_eq!(inner.command, "sh -c echo $$; cat; true", "{tree:#?}");
        assert_eq!(inner.own, "", "{tree:#?}");
        if step < "v3" {
            assert_eq!((inner.inside.as_str(), told), ("-", inner.pid.to_string()), "{tree:#?}");
            continue;
        }
        assert_eq!((outer.inside.as_str(), &inner.inside), ("1", &told), "{tree:#?}");
        let process = format!("{} ({told} inside): {}", inner.pid, inner.command);
        assert_eq!(part(&table(host, inner.pid), "process"), [process]);
    }
}

fn the_table_has_the_inodes_of_proc(host: &Host) {
    let mut container = Container::of_step(host, "v5-netns", &[], TELL_AND_WAIT);
    container.line();
    let (shell, cat) = (container.process("sh"), container.process("cat"));
    let table = table(host, shell);
    for kind in ["user", "mnt", "pid", "net", "uts", "ipc", "cgroup"] {
        let own = link(format!("/proc/{shell}/ns/{kind}"));
        let [line] = part(&table, kind)[..] else { panic!("not one line of {kind} in {table}") };
        let inode = line.split_whitespace().next().unwrap();
        assert_eq!(format!("{kind}:[{inode}]"), own, "{table}");
        // The ordinary user's host is what that user has.
        let learner = host.command("readlink").arg(format!("/proc/self/ns/{kind}")).output();
        let is_hosts = learner.unwrap().stdout.trim_ascii() == own.as_bytes();
        assert_eq!(line.ends_with("the host's"), is_hosts, "{table}");
        assert_eq!(line.contains("its own"), !is_hosts, "{table}");
        assert_eq!(line.contains(&format!("{cat} cat")), !is_hosts, "{table}");
        assert!(!line.contains(&format!("{shell} sh")), "it is not another: {table}");
    }
    // The process in between has made a PID namespace for its children, and is not in it.
    let between = children_of_supervisor(container.supervisor.id())[0];
    let table = self::table(host, between);
    let expected = format!("its own     {shell} sh, {cat} cat");
    assert!(part(&table, "pid")[0].ends_with("the host's"), "{table}");
    assert!(part(&table, "pid_for_children")[0].ends_with(&expected), "{table}");
}

fn bwrap_and_unshare_are_containers_too(host: &Host) {
    let unshare = ["--map-root-user", "--pid", "--fork", "sh", "-c", TELL_AND_WAIT];
    let mut container = Container::start(host.command("unshare").args(unshare));
    assert_eq!(container.line(), "1");
    let tree = tree(host);
    let shell = line_of(&tree, container.process("sh"));
    assert_eq!((shell.inside.as_str(), shell.own.as_str()), ("1", "pid"), "{tree:#?}");
    assert_eq!(line_of(&tree, container.supervisor.id()).own, "user", "{tree:#?}");
    // One that enters is shown with those whose namespaces it has joined.
    let (first, target) = (container.supervisor.id(), shell.pid);
    let mut enter = host.command("nsenter");
    enter.args(["--user", "--preserve-credentials", "--pid", &format!("--target={target}")]);
    let entered = Container::start(enter.arg("cat"));
    let cat = entered.process("cat");
    let tree = self::tree(host);
    assert_eq!(line_of(&tree, entered.supervisor.id()).own, format!("{first}'s user"), "{tree:#?}");
    assert_eq!(line_of(&tree, cat).own, format!("{target}'s pid"), "{tree:#?}");
    drop(entered);
    drop(container);

    if host.command("bwrap").arg("--version").output().is_err() {
        host.skip("no bwrap on this machine: install bubblewrap");
    }
    let bwrap = ["--ro-bind", "/", "/", "--unshare-all", "--proc", "/proc", "sh", "-c"];
    let mut container = Container::start(host.command("bwrap").args(bwrap).arg(TELL_AND_WAIT));
    let told = container.line();
    let tree = self::tree(host);
    let shell = line_of(&tree, container.process("sh"));
    assert_eq!(shell.inside, told, "{tree:#?}");
    let table = table(host, shell.pid);
    for kind in ["mnt", "pid", "net", "uts", "ipc"] {
        assert!(part(&table, kind)[0].contains("its own"), "{table}");
    }
    assert_eq!(part(&table, "no_new_privs"), ["on"], "{table}");
}

fn a_container_in_a_container(host: &Host) {
    let unshare = ["unshare", "--map-root-user", "--pid", "--fork"];
    let inner = ["unshare", "--pid", "--fork", "sh", "-c", TELL_AND_WAIT];
    let mut container = Container::start(host.command(unshare[0]).args(&unshare[1..]).args(inner));
    assert_eq!(container.line(), "1");
    let shell = container.process("sh");
    let inside = |tree: &[Line]| tree.iter().map(|line| line.inside.clone()).collect::<Vec<_>>();
    let tree = tree(host);
    assert_eq!(line_of(&tree, shell).inside, "2/1", "{tree:#?}");
    assert_eq!(line_of(&tree, shell).own, "pid", "{tree:#?}");
    assert_eq!(inside(&tree)[..3], ["-", "1", "2/1"], "{tree:#?}");
    let table = table(host, shell);
    assert!(part(&table, "process")[0].starts_with(&format!("{shell} (2/1 inside)")), "{table}");
}

fn the_host_is_where_number_1_is(host: &Host) {
    let mut unshare = host.command("unshare");
    unshare.arg("--mount").arg(Path::new(BIN).join("workshop")).arg("xray");
    let outcome = Outcome::of(&mut unshare);
    let lines: Vec<_> = outcome.text().lines().skip(1).collect();
    let [line] = lines[..] else { panic!("not one line: {outcome:?}") };
    assert!(line.contains("  mnt  ") && line.ends_with("workshop xray"), "{outcome:?}");
}

fn a_pod_shares_its_namespaces(host: &Host) {
    if host.is_root() {
        host.need_nft();
    }
    let mut pod = Container::start(&mut host.stage("v8-pause"));
    let pause: u32 = pod.line().strip_prefix("PAUSE_PID=").expect("its number").parse().unwrap();
    let (web, shell) = (pod.process("httpd"), pod.process("sh"));
    let table = table(host, pause);
    for kind in ["net", "uts", "ipc", "pid"] {
        let [line] = part(&table, kind)[..] else { panic!("not one line of {kind} in {table}") };
        assert!(line.contains("its own"), "{table}");
        assert!(line.contains(&format!("{web} httpd")) || line.contains(" more"), "{table}");
    }
    assert!(part(&table, "pid")[0].contains(&format!("{web} httpd")), "{table}");
    assert!(part(&table, "pid")[0].contains(&format!("{shell} sh")), "{table}");
    assert!(part(&table, "mnt")[0].ends_with("nobody"), "{table}");
    let caps = part(&table, "capabilities");
    assert!(caps[0].ends_with("ambient: none") && caps[0].starts_with("effective"), "{table}");
    let listens = || part(&self::table(host, web), "open ports").join(" ").contains(":80");
    within(Duration::from_secs(10), "the pod's port is shown", listens);
    let tree = tree(host);
    let web = line_of(&tree, web);
    assert!(web.own.contains(&format!("{pause}'s pid")), "{tree:#?}");
    assert!(web.own.contains("mnt"), "{tree:#?}");
    let pause = line_of(&tree, pause);
    assert_eq!((pause.inside.as_str(), pause.command.as_str()), ("1", "/pause"), "{tree:#?}");
    // As one tree, although the ordinary user may not look into what starts the containers.
    if !host.is_root() {
        assert_eq!(tree.iter().filter(|line| line.depth == 0).count(), 1, "{tree:#?}");
    }
    pod.stdin.as_mut().unwrap().write_all(b"exit\n").unwrap();
}

fn mounts_and_root_are_shown(host: &Host) {
    Outcome::of(host.stage("v1-chroot").arg("true")).text();
    let shared = host.dir("shared files");
    let volume = format!("{}:/volume:ro", shared.display());
    let mut container = Container::of_step(host, "v3-pidns", &["-v", &volume], TELL_AND_WAIT);
    container.line();
    let table = table(host, container.process("sh"));
    let rootfs = host.rootfs().file_name().unwrap().to_str().unwrap().to_owned();
    assert!(part(&table, "root")[0].contains(&format!("/{rootfs}]")), "{table}");
    let mounts = part(&table, "mounts");
    let volume = mounts.iter().find(|line| line.starts_with("/volume ")).expect("the volume");
    assert!(volume.contains("shared files]") && volume.contains("  ro"), "{table}");
    assert!(mounts.iter().any(|line| line.starts_with("/proc ") && line.contains("  proc  ")));
    drop(container);

    let mut container = Container::of_step(host, "v1-chroot", &[], TELL_AND_WAIT);
    container.line();
    let table = self::table(host, container.process("sh"));
    assert_eq!(part(&table, "root"), [format!("{} (chroot)", host.rootfs().display())]);
    assert!(part(&table, "mounts")[0].starts_with("the host's"), "{table}");
    drop(container);

    let mut container = Container::of_step(host, "v7-overlay", &[], TELL_AND_WAIT);
    container.line();
    let table = self::table(host, container.process("sh"));
    let root = part(&table, "root");
    assert!(root[0].contains("  overlay  "), "{table}");
    assert!(root.iter().any(|line| line.starts_with("lowerdir")), "{table}");
}

fn who_is_who_is_shown(host: &Host) {
    let mut container = Container::of_step(host, "v3-pidns", &[], TELL_AND_WAIT);
    container.line();
    let table = table(host, container.process("sh"));
    let own = |option| host.command("id").arg(option).output().unwrap().stdout;
    let uid = String::from_utf8(own("-u")).unwrap().trim().to_owned();
    let seen = format!("uid {uid}, gid {uid} as seen here");
    let map = format!("0 inside = {uid} outside");
    // The steps make no user namespace for root.
    let all = "all, with the same number outside".to_owned();
    let expected = if host.is_root() { all } else { map };
    let expected = [seen, format!("users: {expected}"), format!("groups: {expected}")];
    assert_eq!(part(&table, "ids"), expected, "{table}");
}

fn privileges_are_shown(host: &Host) {
    let mut command = host.command("cat");
    let filter = || {
        let rule = Rule { call: libc::SYS_swapoff, when: When::Always, errno: libc::EPERM };
        install_filter(&[rule])
    };
    // SAFETY: a body has one thread, so its child may do anything.
    unsafe { command.pre_exec(filter) };
    let container = Container::start(&mut command);
    let pid = container.process("cat");
    let table = table(host, pid);
    let count = status_line(pid, "Seccomp_filters");
    let filters = if count == "1" { "1 filter".to_owned() } else { format!("{count} filters") };
    assert_eq!(part(&table, "seccomp"), [filters], "{table}");
    assert_eq!(part(&table, "no_new_privs"), ["on"], "{table}");
    let caps = part(&table, "capabilities").join("\n");
    // What it has is known from another program: root has chown, the ordinary user nothing.
    let effective = u64::from_str_radix(&status_line(pid, "CapEff"), 16).unwrap();
    assert_eq!(effective == 0, !host.is_root(), "{effective:x}");
    assert_eq!(caps.lines().next().unwrap().ends_with(": none"), !host.is_root(), "{table}");
    drop(container);

    if !host.is_root() || Command::new("setpriv").arg("--version").output().is_err() {
        return;
    }
    let few = ["--bounding-set=-all,+kill,+net_bind_service", "cat"];
    let container = Container::start(host.command("setpriv").args(few));
    let table = self::table(host, container.process("cat"));
    let caps = part(&table, "capabilities");
    assert!(caps[0].ends_with(": kill net_bind_service"), "{table}");
    assert_eq!(part(&table, "seccomp").join(""), if count == "1" { "off" } else { "filtered" });
}

fn limits_are_those_asked_for(host: &Host) {
    if !host.has_own_cgroups() {
        host.skip("no cgroups here that root may make more in");
    }
    let limits = ["--memory", "64m", "--cpus", "0.5", "--pids-limit", "20"];
    let mut container = Container::of_step(host, "v6-cgroups", &limits, TELL_AND_WAIT);
    container.line();
    let shell = container.process("sh");
    container.process("cat"); // the second one in the cgroup
    let table = table(host, shell);
    let lines = part(&table, "limits");
    let line = |name: &str, lines: &[&str]| {
        let line = lines.iter().find(|line| line.starts_with(name));
        (*line.unwrap_or_else(|| panic!("no {name} in {lines:?}"))).to_owned()
    };
    assert!(line("memory ", &lines).contains(" MiB used, at most 64.0 MiB  /"), "{table}");
    assert!(line("cpu ", &lines).contains(" s used, at most 0.5 CPUs  /"), "{table}");
    assert!(line("pids ", &lines).contains("2 used, at most 20  /"), "{table}");
    let memory = line("memory ", &lines);
    let used: f64 = memory.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(used < 64.0, "{table}");

    // A cgroup further down has no limit of its own: that above it counts.
    let pids = line("pids ", &lines);
    let above = PathBuf::from(pids.rsplit("  ").next().unwrap());
    let below = above.join("below");
    fs::create_dir(&below).unwrap();
    fs::write(below.join("cgroup.procs"), shell.to_string()).unwrap();
    let table = self::table(host, shell);
    fs::write(above.join("cgroup.procs"), shell.to_string()).unwrap();
    fs::remove_dir(&below).unwrap();
    let pids = line("pids ", &part(&table, "limits"));
    let expected = format!("at most 20 by {}  {}", above.display(), below.display());
    assert!(pids.ends_with(&expected), "{table}");
}

fn open_ports_are_shown(host: &Host) {
    let tcp = TcpListener::bind("127.0.0.1:4711").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:4712").unwrap();
    let connected = UdpSocket::bind("127.0.0.1:4713").unwrap();
    connected.connect("127.0.0.1:4712").unwrap();
    let mut neighbour = Container::start(host.command("sh").args(["-c", TELL_AND_WAIT]));
    neighbour.line();
    let ports = part(&table(host, neighbour.supervisor.id()), "open ports").join("\n");
    assert_eq!(ports, "the host's:\ntcp  127.0.0.1:4711\nudp  127.0.0.1:4712");

    let script = "httpd -f -p 127.0.0.1:4714 & echo ready; cat; true";
    let mut container = Container::of_step(host, "v5-netns", &[], script);
    container.line();
    let shell = container.process("sh");
    let shows = || part(&table(host, shell), "open ports") == ["tcp  127.0.0.1:4714"];
    within(Duration::from_secs(10), "the container's port is shown, and no other", shows);
    drop((tcp, udp));
}

fn hostile_names_do_not_reach_the_terminal(host: &Host) {
    // A name that clears the screen and forges a line of /proc/PID/status, and arguments that
    // forge a line of the tree; C1 control characters, and bytes that are no UTF-8.
    let evil = b"\x1b[31m\n 666  1  pid  forged\r\xc2\x9b2J\xe2\x80\xae\xff";
    let script = r"printf '\033[2J\nPPid:\t1' >/proc/$$/comm; echo; cat; :";
    let mut command = host.stage("v3-pidns");
    let command = command.args(["sh", "-c", script]).arg(OsStr::from_bytes(evil));
    let mut container = Container::start(command);
    container.line();
    let cat = container.process("cat");
    let shell = descendants(container.supervisor.id())[1];
    let tree = tree(host);
    // As an ordinary user, supervisor and the process in between have a user namespace.
    assert_eq!(tree.len(), if host.is_root() { 2 } else { 4 }, "{tree:#?}");
    let line = line_of(&tree, shell);
    assert!(line.command.contains(r"\u{1b}[31m\n 666  1"), "{tree:#?}");
    // Its parent is still known.
    assert_eq!(line_of(&tree, cat).depth, line.depth + 1, "{tree:#?}");
    assert!(host.is_root() || line.depth == 2, "{tree:#?}");
    let tables = [table(host, shell), table(host, cat)];
    assert!(part(&tables[1], "pid")[0].contains(r"\u{1b}[2J\nPPid:\t1"), "{}", tables[1]);
    let outcome = Outcome::of(&mut xray(host, &[]));
    assert!(part(&tables[0], "process")[0].contains(r"\r\u{9b}2J\u{202e}\xff"), "{}", tables[0]);
    for text in tables.iter().map(String::as_str).chain([outcome.text()]) {
        let is_bad = |it: char| it != '\n' && (it.is_control() || it == '\u{202e}');
        assert!(!text.contains(is_bad), "{text:?}");
    }
}

fn a_zombie_is_shown(host: &Host) {
    let script = "sleep 0.2 & echo ready; exec cat";
    let mut container = Container::of_step(host, "v3-pidns", &[], script);
    container.line();
    let cat = container.process("cat");
    let zombie =
        || children(cat).into_iter().find(|pid| status_line(*pid, "State").starts_with('Z'));
    within(Duration::from_secs(10), "there is a zombie", || zombie().is_some());
    let zombie = zombie().unwrap();
    let tree = tree(host);
    let line = line_of(&tree, zombie);
    assert_eq!(line.inside, "2", "{tree:#?}");
    assert!(line.command.ends_with("] (zombie)"), "{tree:#?}");
    assert_eq!(part(&table(host, zombie), "process").len(), 1);
}

fn what_may_not_be_read_is_told(host: &Host) {
    // The body is root, and so are these.
    let pid = std::process::id();
    let outcome = Outcome::of(&mut xray(host, &[&pid.to_string()]));
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    let table = outcome.text();
    let refused = format!("cannot read /proc/{pid}/ns: EACCES: Permission denied");
    assert_eq!(part(table, "namespace"), [refused], "{table}");
    assert!(part(table, "root")[0].contains("EACCES"), "{table}");
    assert!(part(table, "capabilities")[0].starts_with("effective"), "{table}");
    let notes: Vec<_> = outcome.stderr.lines().collect();
    let [note] = notes[..] else { panic!("not one line: {notes:?}") };
    assert!(note.ends_with(&format!("cargo root -p workshop xray {pid})")), "{note}");

    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "sh", "-c", TELL_AND_WAIT]);
    let mut container = Container::start(&mut unshare);
    assert_eq!(container.line(), "1");
    let tree = tree(host);
    let shell = line_of(&tree, container.process("sh"));
    assert_eq!((shell.inside.as_str(), shell.own.as_str()), ("1", "? (EACCES)"), "{tree:#?}");
    let outcome = Outcome::of(&mut xray(host, &[]));
    let notes: Vec<_> = outcome.stderr.lines().collect();
    let [note] = notes[..] else { panic!("not one line: {notes:?}") };
    assert!(note.contains("may not be looked into (EACCES)"), "{note}");
}

fn without_such_a_process_there_is_one_line(host: &Host) {
    let outcome = Outcome::of(&mut xray(host, &["4000000000"]));
    outcome.assert_refused(1, &["there is no process 4000000000", "ENOENT"]);
    for nonsense in ["0", "-1", "x", "../1", ""] {
        let outcome = Outcome::of(&mut xray(host, &[nonsense]));
        assert_eq!((outcome.code(), outcome.stdout.len()), (2, 0), "{outcome:?}");
    }
}

fn processes_may_end_meanwhile(host: &Host) {
    let script = "echo $$; while :; do true & true & /bin/true & wait; done & cat; kill $!";
    let mut container = Container::of_step(host, "v3-pidns", &[], script);
    container.line();
    for _ in 0..60 {
        let tree = tree(host);
        assert!(tree.iter().any(|line| line.inside == "1"), "{tree:#?}");
    }
    // One that ends while it is looked at is a table, or one line.
    let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do \
                  sleep 0.01 & echo $!; wait; done; cat";
    let mut short = Container::start(host.command("sh").args(["-c", script]));
    for _ in 0..20 {
        let outcome = Outcome::of(&mut xray(host, &[&short.line()]));
        match outcome.code() {
            0 => assert!(outcome.text().contains("open ports"), "{outcome:?}"),
            _ => outcome.assert_refused(1, &["process"]),
        }
    }
}

fn thousands_take_no_time(host: &Host) {
    let many = 2000;
    let script =
        format!("i=0; while [ $i -lt {many} ]; do sleep 1000 & i=$((i+1)); done; echo ready; cat");
    let mut container = Container::of_step(host, "v3-pidns", &[], &script);
    assert_eq!(container.line(), "ready");
    let start = Instant::now();
    let tree = tree(host);
    let time = start.elapsed();
    assert!(tree.len() >= many, "{} lines", tree.len());
    let start = Instant::now();
    let table = table(host, container.process("cat"));
    let time_of_table = start.elapsed();
    assert!(part(&table, "pid")[0].contains(" more"), "{table}");
    the_end_is_told(host);
    assert!(time.max(time_of_table) < slowed(Duration::from_secs(5)), "{time:?} {time_of_table:?}");
}

/// A process that ends after xray has begun to look at it, which takes a while among thousands.
fn the_end_is_told(host: &Host) {
    let mut parent = Container::start(
        host.command("sh").args(["-c", "sleep 1000 & echo $!; wait 2>/dev/null; cat"]),
    );
    let pid: u32 = parent.line().parse().unwrap();
    let mut xray = xray(host, &[&pid.to_string()]);
    let mut xray = xray.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let directory = PathBuf::from(format!("/proc/{pid}"));
    let files = format!("/proc/{}/fd", xray.id());
    let looks = || {
        let files = fs::read_dir(&files).into_iter().flatten().flatten();
        files.into_iter().any(|file| fs::read_link(file.path()).is_ok_and(|it| it == directory))
    };
    while !looks() && xray.try_wait().unwrap().is_none() {}
    send(pid, libc::SIGKILL);
    let output = xray.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    let expected = format!("Error: process {pid} has ended while we looked at it\n");
    assert_eq!((output.status.code(), &*error), (Some(1), expected.as_str()), "{output:?}");
}

fn a_reader_may_have_enough(host: &Host) {
    Outcome::assert_ends_unread(|| xray(host, &["1"]));
}
