//! From v5 on: a network of its own. What is seen here is seen with `ip`, `nft` and /proc.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::mount::{MsFlags, mount, umount};
use nix::sys::signal::Signal;

use crate::elsewhere::bind;
use crate::running::{is_alive, link, within};
use crate::{EXE, Host, Outcome, Outside, Running, Stage, Suite, in_network_of, tcp};

pub fn add(suite: Suite) -> Suite {
    if !suite.stage().network_namespace {
        return suite
            .both("the_network_namespace_is_the_hosts", the_network_namespace_is_the_hosts)
            .both("there_are_no_networks_yet", there_are_no_networks_yet);
    }
    suite
        .both("net_none_is_a_loopback_device", net_none_is_a_loopback_device)
        .both("net_host_is_the_hosts", net_host_is_the_hosts)
        .both("only_the_command_is_in_the_network", only_the_command_is_in_the_network)
        .user("without_root_one_note_says_what_is_missing", without_root_one_note)
        .user("a_bridge_needs_root", a_bridge_needs_root)
        .user("the_bridge_of_root_is_left_alone", the_bridge_of_root_is_left_alone)
        .root("bridge_gives_an_address_and_a_way_out", bridge_gives_an_address_and_a_way_out)
        .root("containers_reach_each_other_and_the_outside", reach_each_other_and_the_outside)
        .root("the_bridge_goes_with_the_last_container", the_bridge_goes_with_the_last_container)
        .root("subnet_is_what_was_asked_for", subnet_is_what_was_asked_for)
        .both("subnet_refused", subnet_refused)
        .short_at(&[&Stage::V5], add_state_of_the_host)
}

/// What a bridge leaves as it was, finds changed, or finds in the way.
fn add_state_of_the_host(suite: Suite) -> Suite {
    suite
        .root("forwarding_of_the_uplink_is_as_before", forwarding_of_the_uplink_is_as_before)
        .root("forwarding_is_mended_after_a_kill", forwarding_is_mended_after_a_kill)
        .root("forwarding_of_all_links_stays_on", forwarding_of_all_links_stays_on)
        .root("a_lease_of_a_dead_owner_is_free_again", a_lease_of_a_dead_owner_is_free_again)
        .root("subnet_that_overlaps_refused", subnet_that_overlaps_refused)
        .root("a_full_subnet_says_so", a_full_subnet_says_so)
        .root("a_bridge_of_somebody_else_is_left_alone", a_bridge_of_somebody_else)
        .root("a_half_made_bridge_is_made_anew", a_half_made_bridge_is_made_anew)
        .root("a_lock_of_a_dead_owner_goes", a_lock_of_a_dead_owner_goes)
        .root("a_host_that_drops_what_it_forwards", a_host_that_drops_what_it_forwards)
        .long()
        .root("every_chain_that_drops_is_named_at_once", every_chain_that_drops_is_named)
        .root("a_host_with_more_rules_than_one_reads", a_host_with_more_rules_than_one_reads)
        .long()
        .root("neighbours_reach_no_container", neighbours_reach_no_container)
        .long()
        .root("neighbours_reach_nothing_through_the_host", neighbours_reach_nothing_through_it)
        .long()
        .root("a_table_that_was_changed_is_made_anew", a_changed_table_is_made_anew)
        .root("a_bridge_that_was_changed_is_mended", a_changed_bridge_is_mended)
        .root("who_forwards_for_us_is_known_twice", who_forwards_for_us_is_known_twice)
        .long()
        .root("a_bridge_that_cannot_be_mended_says_so", a_bridge_that_cannot_be_mended)
        .root("nothing_stays_of_a_bridge_without_its_table", nothing_stays_without_its_table)
        .root("a_table_that_is_there_needs_no_nft", a_table_that_is_there_needs_no_nft)
        .root("a_lock_that_was_taken_away_is_told", a_lock_that_was_taken_away)
        .root("a_tear_down_tells_every_error", a_tear_down_tells_every_error)
        .root("no_nft", no_nft)
        .root("an_nft_that_fails", an_nft_that_fails)
}

/// Servers in containers, all with one rootfs.
pub(super) struct Servers<'a> {
    host: &'a Host,
    rootfs: PathBuf,
    probe: Vec<String>,
}

impl Servers<'_> {
    pub(super) fn new(host: &Host) -> Servers<'_> {
        let rootfs = host.own_rootfs();
        let probe = host.install_probe(&rootfs, "serve");
        Servers { host, rootfs, probe }
    }

    /// A launcher with these options that runs the server at port 80. It is not started yet.
    pub(super) fn launcher(&self, options: &[&str]) -> Command {
        let mut launcher = self.host.launcher();
        launcher.arg("--rootfs").arg(&self.rootfs).args(options).args(&self.probe).arg("80");
        launcher
    }

    /// Starts it, and waits until it can be reached.
    #[track_caller]
    pub(super) fn start(&self, options: &[&str]) -> Running {
        let mut running = self.host.follow(&mut self.launcher(options));
        running.expect_line("ready");
        running
    }
}

/// What a client says that runs in the network namespace of the process.
#[track_caller]
pub(super) fn identify_from(pid: u32, address: &str) -> String {
    let outcome = Outcome::of(in_network_of(pid, EXE).args(["--probe", "identify", address]));
    outcome.text().trim_end().to_owned()
}

/// What one says that runs in the host's.
pub(super) fn identify(address: &str) -> String {
    let address: SocketAddr = address.parse().unwrap();
    tcp::identify(address).unwrap_or_else(|error| error.to_string())
}

/// The network namespace of a process.
#[track_caller]
pub(super) fn network_of(pid: u32) -> String {
    link(format!("/proc/{pid}/ns/net"))
}

/// A server at port 80 of the outside, for as long as the value lives.
pub(super) struct ServerOutside(Running);

impl ServerOutside {
    pub(super) fn start(host: &Host, outside: &Outside) -> ServerOutside {
        let mut command = outside.command(EXE);
        let mut server = host.follow(command.args(["--probe", "serve", "80"]));
        server.expect_line("ready");
        ServerOutside(server)
    }
}

/// Ends the trial as ignored where the bridge's table cannot be made or looked at.
pub(super) fn need(host: &Host, programs: &[&str]) {
    for program in programs {
        if Command::new(program).arg("-V").output().is_err() {
            host.skip(format_args!("there is no `{program}` here"));
        }
    }
}

/// What a command of the host prints. It must succeed.
#[track_caller]
pub(super) fn see(words: &str) -> String {
    let mut words = words.split(' ');
    let outcome = Outcome::of(Command::new(words.next().unwrap()).args(words));
    outcome.text().to_owned()
}

/// The same in the network namespace of a process.
#[track_caller]
fn see_in(pid: u32, words: &str) -> String {
    let mut words = words.split(' ');
    let outcome = Outcome::of(in_network_of(pid, words.next().unwrap()).args(words));
    outcome.text().to_owned()
}

pub(super) fn has_bridge() -> bool {
    links_of_the_host().contains(&"steps0".to_owned())
}

fn links_of_the_host() -> Vec<String> {
    let table = fs::read_to_string("/proc/self/net/dev").unwrap();
    let names = table.lines().filter_map(|line| line.split_once(':'));
    names.map(|(name, _)| name.trim().to_owned()).collect()
}

/// Whether a link of the host forwards.
#[track_caller]
pub(super) fn forwards(link: &str) -> bool {
    let path = format!("/proc/sys/net/ipv4/conf/{link}/forwarding");
    fs::read_to_string(path).unwrap().trim() == "1"
}

pub(super) fn set_forwarding(link: &str, value: &str) {
    fs::write(format!("/proc/sys/net/ipv4/conf/{link}/forwarding"), value).unwrap();
}

pub(super) fn ip_forward() -> String {
    fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap().trim().to_owned()
}

fn the_network_namespace_is_the_hosts(host: &Host) {
    let running = host.start_sleep();
    assert_eq!(network_of(running.command()), network_of(std::process::id()));
}

fn there_are_no_networks_yet(host: &Host) {
    for option in ["--net=none", "--subnet=10.0.0.0/24", "--publish=8080:80", "-p8080:80"] {
        let name = option.split('=').next().unwrap();
        host.run([option, "true"]).assert_refused(125, &[&name[..2]]);
    }
}

fn net_none_is_a_loopback_device(host: &Host) {
    need(host, &["ip"]);
    let see_all = "ls /sys/class/net; grep ' /sys ' /proc/mounts; touch /sys/x 2>&1; \
        ping -c 1 -W 2 127.0.0.1 >/dev/null && echo pong; echo ready; sleep 1000";
    let mut running = host.start(["--net", "none", "sh", "-c", see_all]);
    running.expect_line("lo");
    let mount = running.line();
    assert!(mount.contains(" /sys sysfs ro,nosuid,nodev,noexec"), "{mount}");
    running.expect_line("touch: /sys/x: Read-only file system");
    running.expect_line("pong");
    running.expect_line("ready");
    let links = see_in(running.command(), "ip -o link show");
    assert_eq!(links.lines().count(), 1, "{links}");
    assert!(links.starts_with("1: lo: <LOOPBACK,UP,LOWER_UP>"), "{links}");
    let addresses = see_in(running.command(), "ip -o -4 address show");
    assert!(addresses.contains(" lo    inet 127.0.0.1/8 "), "{addresses}");
    assert_eq!(see_in(running.command(), "ip -4 route show"), "");
    assert_eq!(links_of_the_host(), ["lo"]);
}

fn net_host_is_the_hosts(host: &Host) {
    need(host, &["ip"]);
    see("ip link add seen0 type bridge");
    let script = "ip -o link show seen0 >/dev/null && echo seen; grep -c ' /sys ' /proc/mounts; \
        echo ready; sleep 1000";
    let mut running = host.start(["--net", "host", "sh", "-c", script]);
    running.expect_line("seen");
    running.expect_line("0"); // as in v4
    running.expect_line("ready");
    assert_eq!(network_of(running.command()), network_of(std::process::id()));
    see("ip link del seen0");
}

fn only_the_command_is_in_the_network(host: &Host) {
    need(host, if host.is_root() { &["nft"] } else { &[] });
    let running = host.start_sleep();
    let own = network_of(std::process::id());
    assert_eq!(network_of(running.pid()), own, "the supervisor");
    assert_eq!(network_of(running.first_child()), own, "the process in between");
    assert_ne!(network_of(running.command()), own);
    let tasks = fs::read_dir(format!("/proc/{}/task", running.pid())).unwrap();
    assert_eq!(tasks.count(), 1, "threads of the supervisor");
}

fn without_root_one_note(host: &Host) {
    let outcome = host.run(["true"]);
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    let lines: Vec<_> = outcome.stderr.lines().collect();
    let [note] = lines[..] else { panic!("not one line: {outcome:?}") };
    assert!(
        note.starts_with("Note: ") && note.contains("loopback") && note.contains("ports lead in")
    );
    for mode in ["none", "host"] {
        let outcome = host.run(["--net", mode, "true"]);
        assert_eq!((outcome.code(), outcome.stderr.as_str()), (0, ""), "{mode}");
    }
}

fn a_bridge_needs_root(host: &Host) {
    let outcome = host.run(["--net", "bridge", "echo", "it runs"]);
    outcome.assert_refused(125, &["bridge", "EPERM", "root", "--net none"]);
}

/// Without ports: root would remove it.
fn the_bridge_of_root_is_left_alone(host: &Host) {
    need(host, &["ip"]);
    let lock = Path::new("/run/container-steps");
    fs::create_dir(lock).unwrap();
    see("ip link add steps0 address 02:73:74:65:70:73 type bridge");
    for mode in ["none", "host"] {
        let outcome = host.run(["--net", mode, "true"]);
        assert_eq!((outcome.code(), outcome.stderr.as_str()), (0, ""), "{mode}");
        assert!(has_bridge() && lock.exists());
    }
    see("ip link del steps0");
    fs::remove_dir(lock).unwrap();
}

fn bridge_gives_an_address_and_a_way_out(host: &Host) {
    need(host, &["ip", "nft"]);
    let script = "ls /sys/class/net; touch /sys/x 2>&1; echo ready; sleep 1000";
    let mut running = host.start(["sh", "-c", script]);
    for line in ["eth0", "lo", "touch: /sys/x: Read-only file system", "ready"] {
        running.expect_line(line);
    }
    let inside = running.command();
    let address = see_in(inside, "ip -o -4 address show dev eth0");
    assert!(address.contains("inet 10.61.0.2/24 brd 10.61.0.255 scope global eth0"), "{address}");
    let routes = see_in(inside, "ip -4 route show");
    let routes: Vec<_> = routes.lines().map(str::trim).collect();
    assert_eq!(
        routes,
        [
            "default via 10.61.0.1 dev eth0",
            "10.61.0.0/24 dev eth0 proto kernel scope link src 10.61.0.2"
        ]
    );
    for link in ["lo", "eth0"] {
        let shown = see_in(inside, &format!("ip -o link show {link}"));
        assert!(shown.contains(",UP,LOWER_UP>"), "{shown}");
    }

    let bridge = see("ip -d -o link show steps0");
    assert!(bridge.contains("link/ether 02:73:74:65:70:73 "), "{bridge}");
    assert!(bridge.contains(" bridge forward_delay "), "{bridge}");
    let address = see("ip -o -4 address show dev steps0");
    assert!(address.contains("inet 10.61.0.1/24 brd 10.61.0.255 scope global steps0"), "{address}");
    let ports = see("ip -o link show master steps0");
    assert_eq!(ports.lines().count(), 1, "{ports}");
    assert!(ports.contains(": steps2@if") && ports.contains(",UP,LOWER_UP>"), "{ports}");
    // No route of a container's making: CVE-2020-10749.
    let ipv6 = fs::read_to_string("/proc/sys/net/ipv6/conf/steps0/disable_ipv6");
    assert!(ipv6.is_err() || ipv6.is_ok_and(|off| off.trim() == "1"));
    assert_eq!(see("nft list tables"), "table ip container-steps\n");
}

fn reach_each_other_and_the_outside(host: &Host) {
    need(host, &["ip", "nft"]);
    let outside = Outside::connect(host, "up0");
    let server = ServerOutside::start(host, &outside);
    let servers = Servers::new(host);
    let (first, second) = (servers.start(&[]), servers.start(&[]));
    assert_eq!(ip_forward(), "0");

    let of_first = network_of(first.command());
    let seen = identify_from(second.command(), "10.61.0.2:80");
    assert_eq!(seen, format!("{of_first} 10.61.0.3"));
    assert_eq!(identify("10.61.0.2:80"), format!("{of_first} 10.61.0.1"));
    // The outside knows nothing of 10.61.0.0/24: it sees the host.
    let seen = identify_from(second.command(), &format!("{}:80", Outside::ADDRESS));
    assert_eq!(seen, format!("{} {}", network_of(server.0.pid()), Outside::HOST));
    drop((first, second, server));
}

fn forwarding_of_the_uplink_is_as_before(host: &Host) {
    need(host, &["ip", "nft"]);
    let _outside = Outside::connect(host, "up0");
    let _other = Outside::at(host, "other0", "198.51.100");
    // Would somebody set ip_forward to 1 and back, that of all links would be off.
    set_forwarding("other0", "1");
    for before in [false, true] {
        set_forwarding("up0", if before { "1" } else { "0" });
        let first = host.start_sleep();
        let second = host.start_sleep();
        assert!(forwards("up0") && forwards("steps0"));
        drop_orderly(first);
        assert!(forwards("up0"), "one of two has ended");
        drop_orderly(second);
        assert_eq!(forwards("up0"), before);
        assert!(forwards("other0") && !forwards("lo") && ip_forward() == "0");
    }
}

/// Lets the command be killed and the supervisor end by itself.
#[track_caller]
pub(super) fn drop_orderly(mut running: Running) {
    crate::running::send(running.command(), libc::SIGKILL);
    assert_eq!(running.code(), 137);
}

fn forwarding_is_mended_after_a_kill(host: &Host) {
    need(host, &["ip", "nft"]);
    let _outside = Outside::connect(host, "up0");
    for before in [false, true] {
        set_forwarding("up0", if before { "1" } else { "0" });
        let running = host.start_sleep();
        drop(running); // by SIGKILL; then comes a start with --net none
        assert_eq!(forwards("up0"), before);
        assert!(!has_bridge());
        assert_eq!(see("nft list tables"), "");
    }
}

fn forwarding_of_all_links_stays_on(host: &Host) {
    need(host, &["ip", "nft"]);
    let _outside = Outside::connect(host, "up0");
    let running = host.start_sleep();
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    drop_orderly(running);
    assert!(forwards("up0") && ip_forward() == "1");
    fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
}

fn the_bridge_goes_with_the_last_container(host: &Host) {
    need(host, &["ip", "nft"]);
    let (first, second) = (host.start_sleep(), host.start_sleep());
    drop_orderly(first);
    assert_eq!(links_of_the_host(), ["lo", "steps0", "steps3"]);
    assert_eq!(see("nft list tables"), "table ip container-steps\n");
    drop_orderly(second);
    assert_eq!(links_of_the_host(), ["lo"]);
    assert_eq!(see("nft list tables"), "");
}

/// The address that a container finds on its eth0.
#[track_caller]
fn address_of(running: &Running) -> String {
    let shown = see_in(running.command(), "ip -o -4 address show dev eth0");
    let address = shown.split_whitespace().skip_while(|word| *word != "inet").nth(1);
    address.unwrap_or_else(|| panic!("{shown}")).to_owned()
}

fn a_lease_of_a_dead_owner_is_free_again(host: &Host) {
    need(host, &["ip", "nft"]);
    let (first, second) = (host.start_sleep(), host.start_sleep());
    assert_eq!(address_of(&first), "10.61.0.2/24");
    assert_eq!(address_of(&second), "10.61.0.3/24");
    first.signal(Signal::SIGKILL);
    let is_gone = || !links_of_the_host().contains(&"steps2".to_owned());
    within(Duration::from_secs(5), "the link goes with its owner", is_gone);
    let third = host.start_sleep();
    assert_eq!(address_of(&third), "10.61.0.2/24");
    assert!(is_alive(second.command()));
    drop_orderly(third);
    drop_orderly(second);
}

fn subnet_is_what_was_asked_for(host: &Host) {
    need(host, &["ip", "nft"]);
    let running = host.start(["--subnet", "192.168.77.64/26", "sleep", "1000"]);
    running.wait_for_program("sleep");
    let address = see_in(running.command(), "ip -o -4 address show dev eth0");
    assert!(address.contains("inet 192.168.77.66/26 brd 192.168.77.127 "), "{address}");
    let routes = see_in(running.command(), "ip -4 route show default");
    assert_eq!(routes.trim(), "default via 192.168.77.65 dev eth0");
    let address = see("ip -o -4 address show dev steps0");
    assert!(address.contains("inet 192.168.77.65/26 "), "{address}");
    drop_orderly(running);
}

fn subnet_refused(host: &Host) {
    for subnet in [
        "",
        "10.61.0.0",
        "10.61.0/24",
        "10.61.0.0/",
        "10.61.0.0/x",
        "10.61.0.0/7",
        "10.61.0.0/31",
        "10.61.0.0/32",
        "10.61.0.0/-1",
        "10.61.0.1/24",
        "256.0.0.0/24",
        "fd00::/64",
        "0.0.0.0/8",
        "127.0.0.0/8",
        "224.0.0.0/24",
        "255.255.255.0/24",
    ] {
        let outcome = host.run(["--subnet", subnet, "echo", "it runs"]);
        outcome.assert_refused(125, &["--subnet"]);
    }
}

fn subnet_that_overlaps_refused(host: &Host) {
    need(host, &["ip", "nft"]);
    let _outside = Outside::connect(host, "up0");
    see("ip address add 10.99.0.7/32 dev lo");
    see("ip route add 10.98.0.0/16 via 192.0.2.1");
    see("ip route add blackhole 10.97.0.0/30 table 77");
    for (subnet, other) in [
        ("192.0.2.0/24", "192.0.2."),
        ("192.0.0.0/16", "192.0.2."),
        ("10.99.0.0/24", "10.99.0.7/32"),
        ("10.98.0.0/16", "10.98.0.0/16"),
        ("10.97.0.0/24", "10.97.0.0/30"),
    ] {
        let outcome = host.run(["--subnet", subnet, "echo", "it runs"]);
        outcome.assert_refused(125, &[subnet, other, "--subnet"]);
        assert!(!has_bridge() && !forwards("up0"));
    }
    // The default route overlaps with everything. It does not count.
    host.run(["--subnet", "10.96.0.0/24", "true"]).text();
    see("ip address del 10.99.0.7/32 dev lo");
}

fn a_full_subnet_says_so(host: &Host) {
    need(host, &["ip", "nft"]);
    let options = ["--subnet", "10.61.0.0/30", "sleep", "1000"];
    let running = host.start(options);
    running.wait_for_program("sleep");
    host.run(options).assert_refused(125, &["no address", "10.61.0.0/30", "--subnet"]);
    assert_eq!(address_of(&running), "10.61.0.2/30");
    drop_orderly(running);
}

fn a_bridge_of_somebody_else(host: &Host) {
    need(host, &["ip", "nft"]);
    for kind in ["bridge", "veth peer name other0"] {
        see(&format!("ip link add steps0 type {kind}"));
        let before = see("ip -d -o link show steps0");
        host.run(["echo", "it runs"]).assert_refused(125, &["steps0", "--net none"]);
        host.run(["--net", "none", "true"]).text();
        assert_eq!(see("ip -d -o link show steps0"), before);
        assert_eq!(see("nft list tables"), "");
        see("ip link del steps0");
    }
}

/// Somebody was killed between two of its steps.
fn a_half_made_bridge_is_made_anew(host: &Host) {
    need(host, &["ip", "nft"]);
    let _outside = Outside::connect(host, "up0");
    let half_made = "ip link add steps0 address 02:73:74:65:70:73 type bridge";
    see(half_made);
    let running = host.start_sleep();
    let address = see_in(running.command(), "ip -o -4 address show dev eth0");
    assert!(address.contains("inet 10.61.0.2/24 "), "{address}");
    assert_eq!(see("nft list tables"), "table ip container-steps\n");
    assert!(forwards("steps0") && forwards("up0"));
    drop_orderly(running);
    assert!(!has_bridge());

    // And without a container that needs it: it goes.
    see(half_made);
    host.run(["--net", "none", "true"]).text();
    assert!(!has_bridge());
}

/// Somebody was killed with the lock in hand, before there was a bridge.
fn a_lock_of_a_dead_owner_goes(host: &Host) {
    let lock = Path::new("/run/container-steps");
    fs::create_dir(lock).unwrap();
    host.run(["--net", "none", "true"]).text();
    assert!(!lock.exists());
}

fn a_host_that_drops_what_it_forwards(host: &Host) {
    need(host, &["ip", "nft"]);
    let outside = Outside::connect(host, "up0");
    let server = ServerOutside::start(host, &outside);
    let address = format!("{}:80", Outside::ADDRESS);
    for (table, chain, policy, rules) in [
        ("ip filter", "FORWARD", "drop", ""),
        ("inet strict", "passing", "drop", ""),
        ("inet firewalld", "filter_FORWARD", "accept", LIKE_FIREWALLD),
    ] {
        let base = format!("{{ type filter hook forward priority 0; policy {policy}; {rules} }}");
        add_table(&format!("{table} {{ {ZONES} chain {chain} {base} }}"));

        let running = host.start_sleep();
        let answer = identify_from(running.command(), &address);
        assert!(!answer.contains(Outside::HOST), "{answer}");
        drop_orderly(running);
        let outcome = host.run(["true"]);
        assert_eq!((outcome.code(), outcome.stderr.lines().count()), (0, 1), "{outcome:?}");
        assert!(outcome.stderr.starts_with("Note: "), "{outcome:?}");
        assert!(outcome.stderr.contains(chain), "{outcome:?}");
        let (_, fix) = outcome.stderr.trim_end().split_once("to permit it: ").unwrap();
        type_in(&fix.replace("sudo ", ""));

        // The fix is kept while no container runs, works, and the note is gone.
        let outcome = host.run(["true"]);
        assert_eq!((outcome.text(), outcome.stderr.as_str()), ("", ""));
        let running = host.start_sleep();
        let answer = identify_from(running.command(), &address);
        assert!(answer.ends_with(Outside::HOST), "{answer}");
        drop_orderly(running);
        see(&format!("nft delete table {table}"));
    }
    drop(server);
}

/// Chains as firewalld has them: what no zone has a rule for is rejected at the end.
const LIKE_FIREWALLD: &str = "ct state established,related accept; iifname lo accept; \
    jump filter_FORWARD_ZONES; reject with icmpx admin-prohibited;";
const ZONES: &str = "chain filter_FWD_public { jump filter_FWD_public_allow; } \
    chain filter_FWD_public_allow { } \
    chain filter_FORWARD_ZONES { goto filter_FWD_public; }";

/// Adds a table to the host's ruleset. To `nft`, a block ends with its line.
#[track_caller]
fn add_table(text: &str) {
    type_in(&format!("nft 'table {}'", text.replace('}', "}\n")));
}

/// To be let through by one of them and then dropped by the next is no help.
fn every_chain_that_drops_is_named(host: &Host) {
    need(host, &["ip", "nft"]);
    let outside = Outside::connect(host, "up0");
    let server = ServerOutside::start(host, &outside);
    for table in [
        format!("ip filter {{ chain FORWARD {{ {FORWARD} policy drop; }} }}"),
        format!("inet strict {{ chain through {{ {FORWARD} policy drop; }} }}"),
        format!(
            "inet firewalld {{ {ZONES} chain filter_FORWARD {{ {FORWARD} {LIKE_FIREWALLD} }} }}"
        ),
        format!("inet asks {{ chain some {{ {FORWARD} tcp dport 22 drop; }} }}"),
        format!("inet lets {{ chain through {{ {FORWARD} policy drop; accept; }} }}"),
        "inet other { chain incoming { type filter hook input priority 0; policy drop; } }"
            .to_owned(),
        format!("bridge b {{ chain through {{ {FORWARD} policy drop; }} }}"),
    ] {
        add_table(&table);
    }
    let outcome = host.run(["true"]);
    let (note, fix) = outcome.stderr.trim_end().split_once("to permit it: ").unwrap();
    assert_eq!((outcome.code(), outcome.stderr.lines().count()), (0, 1), "{outcome:?}");
    assert_eq!(note.matches("chain ").count(), 3, "{note}");
    for chain in ["FORWARD of the table ip filter", "through of", "filter_FORWARD of"] {
        assert!(note.contains(&format!("chain {chain}")), "{note}");
    }
    type_in(&fix.replace("sudo ", ""));
    see("nft delete table inet other"); // the answers of the probe are for this host
    see("nft delete table bridge b");
    let running = host.start_sleep();
    let answer = identify_from(running.command(), &format!("{}:80", Outside::ADDRESS));
    assert!(answer.ends_with(Outside::HOST), "{answer}");
    drop_orderly(running);
    type_in("nft flush ruleset");
    drop(server);
}

const FORWARD: &str = "type filter hook forward priority 0;";

/// Nobody has to wait until all of them are read. What a chain's policy is, is known without.
fn a_host_with_more_rules_than_one_reads(host: &Host) {
    need(host, &["nft"]);
    host.warm_up_with(["--net", "none"]);
    let rules = host.dir("rules").join("text");
    let rule = "ip saddr 10.9.8.7 tcp dport 1234 counter accept comment \"one of very many\";\n";
    let text = format!(
        "table inet big {{ chain through {{ {FORWARD} policy drop;\n{}\n }}\n }}",
        rule.repeat(60_000)
    );
    fs::write(&rules, text).unwrap();
    type_in(&format!("nft -f {}", rules.display()));
    let outcome = host.run(["echo", "it runs"]);
    assert_eq!((outcome.code(), &outcome.stdout[..]), (0, &b"it runs\n"[..]), "{outcome:?}");
    assert!(outcome.stderr.contains("chain through of the table inet big"), "{outcome:?}");
    type_in("nft flush ruleset");
}

/// Types a line at the host's shell: as it is, or in the words of `nft` where there is no iptables.
#[track_caller]
pub(super) fn type_in(line: &str) {
    let has_iptables = Command::new("iptables").arg("-V").output().is_ok();
    let line = if has_iptables {
        line.to_owned()
    } else {
        line.replace("iptables -I ", "nft insert rule ip filter ")
            .replace(" -i ", " iifname ")
            .replace(" -o ", " oifname ")
            .replace(" -j ACCEPT", " accept")
    };
    let outcome = Outcome::of(Command::new("sh").args(["-ec", &line]));
    assert_eq!(outcome.code(), 0, "{line}: {outcome:?}");
}

fn neighbours_reach_no_container(host: &Host) {
    need(host, &["ip", "nft"]);
    let outside = Outside::connect(host, "up0");
    outside.sh(&format!("ip route add 10.61.0.0/24 via {}", Outside::HOST));
    let servers = Servers::new(host);
    let running = servers.start(&[]);
    let expected = network_of(running.command());
    let answer = identify_from(outside.pid(), "10.61.0.2:80");
    assert!(!answer.contains(&expected), "{answer}");
    // It is our table that keeps them out: without it they come in, up to the next start.
    see("nft flush ruleset");
    let answer = identify_from(outside.pid(), "10.61.0.2:80");
    assert_eq!(answer, format!("{expected} {}", Outside::ADDRESS));
    let second = servers.start(&[]);
    for address in ["10.61.0.2:80", "10.61.0.3:80"] {
        let answer = identify_from(outside.pid(), address);
        let inside = [&running, &second].map(|running| network_of(running.command()));
        assert!(!inside.iter().any(|network| answer.contains(network)), "{address}: {answer}");
    }
    drop_orderly(running);
    drop_orderly(second);
}

fn neighbours_reach_nothing_through_it(host: &Host) {
    need(host, &["ip", "nft"]);
    let outside = Outside::connect(host, "up0");
    let third = Outside::at(host, "third0", "198.51.100");
    set_forwarding("third0", "1"); // so that answers can come back
    third.sh("ip route add default via 198.51.100.10");
    outside.sh(&format!("ip route add 198.51.100.0/24 via {}", Outside::HOST));
    let server = ServerOutside::start(host, &third);
    let running = host.start_sleep();
    assert!(forwards("up0"));
    let expected = format!("{} {}", network_of(third.pid()), Outside::ADDRESS);
    let answer = identify_from(outside.pid(), "198.51.100.1:80");
    assert_ne!(answer, expected);
    // Containers reach it, and without our table the neighbours do.
    let seen = identify_from(running.command(), "198.51.100.1:80");
    assert_eq!(seen, format!("{} 198.51.100.10", network_of(third.pid())));
    see("nft flush ruleset");
    assert_eq!(identify_from(outside.pid(), "198.51.100.1:80"), expected);
    let second = host.start_sleep();
    let answer = identify_from(outside.pid(), "198.51.100.1:80");
    assert_ne!(answer, expected);
    drop_orderly(running);
    drop_orderly(second);
    drop(server);
}

/// The next start finds the table as it was made, whatever somebody has done to it meanwhile.
fn a_changed_table_is_made_anew(host: &Host) {
    need(host, &["ip", "nft"]);
    let _outside = Outside::connect(host, "up0");
    let table = "ip container-steps";
    let running = host.start_sleep();
    let list = format!("nft list table {table}");
    let made = see(&list);
    assert!(made.contains("\"up0\"") && made.contains("masquerade"), "{made}");
    for damage in [
        "flush ruleset".to_owned(),
        format!("delete table {table}"),
        format!("flush table {table}"),
        format!("flush chain {table} forward"),
        format!("delete element {table} uplinks {{ \"up0\" }}"),
        format!("insert rule {table} forward accept"),
        format!("add table {table} {{ flags dormant; }}"),
        format!(
            "flush ruleset; add table {table}; add chain {table} forward; \
             add set {table} uplinks {{ type ifname; }}"
        ),
    ] {
        type_in(&format!("nft '{damage}'"));
        assert_ne!(Outcome::of(Command::new("sh").args(["-c", &list])).stdout, made.as_bytes());
        let outcome = host.run(["true"]);
        assert_eq!((outcome.code(), outcome.stderr.as_str()), (0, ""), "{damage}");
        assert_eq!(see(&list), made, "{damage}");
    }
    // Of two links that forward for us, the one of before is kept.
    let _other = Outside::at(host, "other0", "198.51.100");
    see("ip route replace default via 198.51.100.1");
    see("nft flush ruleset");
    host.run(["true"]).text();
    let of_both = see(&list);
    assert!(of_both.contains("\"up0\"") && of_both.contains("\"other0\""), "{of_both}");
    drop_orderly(running);
    assert!(!forwards("up0") && !forwards("other0"));
}

/// What somebody did to the bridge or to the switches is undone by the next start.
fn a_changed_bridge_is_mended(host: &Host) {
    need(host, &["ip", "nft"]);
    let outside = Outside::connect(host, "up0");
    let server = ServerOutside::start(host, &outside);
    let servers = Servers::new(host);
    let first = servers.start(&[]);
    let of_first = network_of(first.command());
    let of_outside = format!("{} {}", network_of(server.0.pid()), Outside::HOST);
    for damage in [
        "ip link set steps0 down",
        "ip address flush dev steps0",
        "ip address del 10.61.0.1/24 dev steps0; ip address add 10.61.0.1/32 dev steps0",
        "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv4/ip_forward",
        "echo 0 >/proc/sys/net/ipv4/conf/steps0/forwarding",
        "echo 0 >/proc/sys/net/ipv4/conf/up0/forwarding",
        "echo 0 >/proc/sys/net/ipv6/conf/steps0/disable_ipv6",
        "ip link set steps0 alias ''; nft flush ruleset",
        "ip link set steps0 alias 'of somebody else'; nft flush ruleset",
    ] {
        if damage.contains("ipv6") && !Path::new("/proc/sys/net/ipv6").exists() {
            continue;
        }
        type_in(damage);
        let second = host.start_sleep();
        let from_second = |address| identify_from(second.command(), address);
        assert_eq!(from_second("10.61.0.2:80"), format!("{of_first} 10.61.0.3"), "{damage}");
        assert_eq!(identify("10.61.0.2:80"), format!("{of_first} 10.61.0.1"), "{damage}");
        for pid in [first.command(), second.command()] {
            let seen = identify_from(pid, &format!("{}:80", Outside::ADDRESS));
            assert_eq!(seen, of_outside, "{damage}");
        }
        let ipv6 = fs::read_to_string("/proc/sys/net/ipv6/conf/steps0/disable_ipv6");
        assert!(ipv6.is_err() || ipv6.is_ok_and(|off| off.trim() == "1"), "{damage}");
        let made = see("nft list table ip container-steps");
        assert!(made.contains("masquerade") && made.contains("@uplinks"), "{damage}: {made}");
        drop_orderly(second);
    }
    drop(server);
    drop_orderly(first);
    // The note of who forwards because of us was on the bridge, and somebody has taken it away.
    set_forwarding("up0", "0");
}

/// By the alias and by the table: one of the two is enough to keep the neighbours out, and to
/// switch off at the end what we have switched on.
fn who_forwards_for_us_is_known_twice(host: &Host) {
    need(host, &["ip", "nft"]);
    let _outside = Outside::connect(host, "up0");
    let _other = Outside::at(host, "other0", "198.51.100");
    for damage in ["ip link set steps0 alias ''", "ip link del steps0", "nft flush ruleset"] {
        for is_started_again in [true, false] {
            let running = host.start_sleep();
            see("ip route replace default via 198.51.100.1");
            host.run(["true"]).text();
            assert!(forwards("up0") && forwards("other0"));
            type_in(damage);
            if is_started_again {
                let second = host.start_sleep();
                let table = see("nft list table ip container-steps");
                let has = |name| table.contains(&format!("\"{name}\""));
                assert!(has("up0") && has("other0") && has("steps0"), "{damage}: {table}");
                drop_orderly(second);
            }
            drop_orderly(running);
            assert!(!forwards("up0") && !forwards("other0"), "{damage}");
            assert_eq!((has_bridge(), see("nft list tables")), (false, String::new()), "{damage}");
            see("ip route replace default via 192.0.2.1");
        }
    }
}

/// The address is there, and the way to the addresses beside it is not.
fn a_bridge_that_cannot_be_mended(host: &Host) {
    need(host, &["ip", "nft"]);
    let running = host.start_sleep();
    see("ip route del 10.61.0.0/24 dev steps0");
    let outcome = host.run(["echo", "it runs"]);
    outcome.assert_refused(125, &["steps0", "EEXIST", "ip route add 10.61.0.0/24 dev steps0"]);
    see("ip route add 10.61.0.0/24 dev steps0");
    host.run(["true"]).text();
    drop_orderly(running);
}

fn nothing_stays_without_its_table(host: &Host) {
    need(host, &["ip", "nft"]);
    let _outside = Outside::connect(host, "up0");
    for is_killed in [false, true] {
        let running = host.start_sleep();
        see("nft flush ruleset");
        match is_killed {
            false => drop_orderly(running),
            true => drop(running), // and a start with --net none
        }
        assert!(!has_bridge() && !forwards("up0"));
        assert_eq!(see("nft list tables"), "");
    }
}

/// Puts a script in the place of `nft`, into a directory for a PATH.
pub(super) fn replace_nft(programs: &Path, script: &str) {
    let nft = programs.join("nft");
    fs::write(&nft, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&nft, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Such a directory with an nft that refuses everything, as long as the file that comes second is
/// there.
pub(super) fn nft_that_can_refuse(host: &Host) -> (PathBuf, PathBuf) {
    let programs = host.dir("programs");
    let refuses = programs.join("refuses");
    let script = format!(
        "if [ -e {refuses:?} ]; then echo 'Error: No way' >&2; exit 1; fi\n\
         PATH=/usr/sbin:/sbin exec nft \"$@\""
    );
    replace_nft(&programs, &script);
    (programs, refuses)
}

/// It costs more than all the rest of a start.
fn a_table_that_is_there_needs_no_nft(host: &Host) {
    need(host, &["ip", "nft"]);
    let programs = host.dir("programs");
    replace_nft(&programs, "echo called >&2; exit 1");
    let _outside = Outside::connect(host, "up0");
    let running = host.start_sleep();
    let run = || Outcome::of(host.launcher().env("PATH", &programs).args(["echo", "it runs"]));
    assert_eq!(run().text(), "it runs\n");
    // A change of anybody's may be one of ours.
    see("nft add table ip other");
    run().assert_refused(125, &["nft refused", "called"]);
    host.run(["true"]).text();
    assert_eq!(run().text(), "it runs\n");
    see("nft delete table ip other");
    drop_orderly(running);
}

/// Who holds a lock whose directory is no longer there is not alone.
fn a_lock_that_was_taken_away(host: &Host) {
    need(host, &["ip", "nft"]);
    let running = host.start_sleep();
    let programs = host.dir("programs");
    for meanwhile in ["rm -r", "mkdir /run/elsewhere; mv -T /run/elsewhere"] {
        see("nft add table ip other"); // so that the next start calls nft
        let script = format!(
            "{meanwhile} /run/container-steps || {{ rm -r /run/container-steps; mkdir \
             /run/container-steps; }}\nPATH=/usr/sbin:/sbin exec nft \"$@\""
        );
        replace_nft(&programs, &script);
        let path = format!("{}:/usr/bin:/bin", programs.display());
        let outcome = Outcome::of(host.launcher().env("PATH", path).args(["echo", "it runs"]));
        outcome.assert_refused(125, &["/run/container-steps", "somebody"]);
        assert_eq!(links_of_the_host(), ["lo", "steps0", "steps2"]);
        // What somebody else has made in its place is theirs to remove.
        let _ = fs::remove_dir("/run/container-steps");
        see("nft delete table ip other");
    }
    drop_orderly(running);
}

/// A switch that cannot be written is no reason to leave the table, nor the other way round.
fn a_tear_down_tells_every_error(host: &Host) {
    need(host, &["ip", "nft"]);
    let _outside = Outside::connect(host, "up0");
    let (programs, refuses) = nft_that_can_refuse(host);
    let mut launcher = host.launcher();
    launcher.env("PATH", &programs).args(["sleep", "1000"]).stderr(Stdio::piped());
    let mut running = host.follow(&mut launcher);
    running.wait_for_program("sleep");

    fs::write(&refuses, "").unwrap();
    bind("/proc/sys", "/proc/sys").unwrap();
    let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    mount(None::<&str>, "/proc/sys", None::<&str>, read_only, None::<&str>).unwrap();
    let mut stderr = running.supervisor.stderr.take().unwrap();
    drop_orderly(running);
    umount("/proc/sys").unwrap();
    fs::remove_file(&refuses).unwrap();

    let told = io::read_to_string(&mut stderr).unwrap();
    let lines: Vec<_> = told.lines().collect();
    let [switch, table] = lines[..] else { panic!("not two lines: {told}") };
    assert!(switch.starts_with("Note: left behind: ") && switch.contains("up0"), "{told}");
    assert!(switch.contains("EROFS"), "{told}");
    assert!(table.starts_with("Note: left behind: ") && table.contains("No way"), "{told}");
    // The bridge stays, and with it the note of what is to be done.
    assert!(has_bridge() && forwards("up0"));
    host.run(["--net", "none", "true"]).text();
    assert!(!has_bridge() && !forwards("up0"));
    assert_eq!(see("nft list tables"), "");
}

fn no_nft(host: &Host) {
    host.warm_up_with(["--net", "none"]);
    let mut launcher = host.launcher();
    host.elsewhere(&mut launcher, || {
        ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/bin", "/usr/local/bin"]
            .into_iter()
            .filter(|directory| Path::new(directory).exists())
            .try_for_each(crate::elsewhere::mount_tmpfs)
    });
    let outcome = Outcome::of(launcher.args(["echo", "it runs"]));
    outcome.assert_refused(125, &["nft", "ENOENT", "nftables", "--net none"]);
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    assert_eq!(links_of_the_host(), ["lo"]);
}

/// As on a kernel whose modules cannot be loaded.
fn an_nft_that_fails(host: &Host) {
    let script = "echo 'Error: Could not process rule: No way' >&2; exit 1";
    let programs = host.dir("programs");
    replace_nft(&programs, script);
    let mut launcher = host.launcher();
    launcher.env("PATH", programs).args(["echo", "it runs"]);
    let outcome = Outcome::of(&mut launcher);
    outcome.assert_refused(125, &["nft refused", "No way", "modules"]);
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    assert_eq!(links_of_the_host(), ["lo"]);
}
