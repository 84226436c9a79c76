//! From v5 on: the ways outside are those of the host, whatever its routes are like.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use super::network::{
    ServerOutside, drop_orderly, forwards, has_bridge, identify_from, need, network_of,
    nft_that_can_refuse, replace_nft, see, set_forwarding, type_in,
};
use crate::pace::slowed;
use crate::running::{children, program, status_line, within};
use crate::{Host, Outside, Running, Stage, Suite};

/// An address somewhere behind both of the machines outside.
const FAR: &str = "203.0.113.1";

/// What `ip nexthop` wants to know of a new one.
const NEXTHOP: &str = " via 198.51.100.1 dev tun0";

pub fn add(suite: Suite) -> Suite {
    if !suite.stage().network_namespace {
        return suite;
    }
    suite.short_at(&[&Stage::V5], |suite| {
        suite
            .root("containers_go_where_the_host_goes", containers_go_where_the_host_goes)
            .root("a_default_route_may_move", a_default_route_may_move)
            .root("a_default_route_may_move_to_a_new_link", a_default_route_may_move_to_a_new_link)
            .root("a_watch_has_nothing_to_do_twice", a_watch_has_nothing_to_do_twice)
            .root("a_watch_survives_what_it_finds", a_watch_survives_what_it_finds)
            .root("no_uplink_is_the_neighbours", no_uplink_is_the_neighbours)
            .root("no_stray_packet_is_passed_on", no_stray_packet_is_passed_on)
            .root("a_new_name_changes_nothing", a_new_name_changes_nothing)
            .root("a_link_may_go_at_any_time", a_link_may_go_at_any_time)
            .root("uplinks_are_as_before", uplinks_are_as_before)
            .root("more_uplinks_than_can_be_noted", more_uplinks_than_can_be_noted)
            .root("wider_routes_are_no_places", wider_routes_are_no_places)
            .root("advice_of_a_subnet_is_tried", advice_of_a_subnet_is_tried)
    })
}

/// Two machines outside, each of which is the far address, with a server there. No route leads to
/// it yet.
struct Outsides {
    wan: (Outside, ServerOutside),
    tun: (Outside, ServerOutside),
}

impl Outsides {
    fn connect(host: &Host) -> Outsides {
        let at = |link, network| {
            let outside = Outside::at(host, link, network);
            outside.sh(&format!("ip address add {FAR}/32 dev lo"));
            let server = ServerOutside::start(host, &outside);
            (outside, server)
        };
        Outsides { wan: at("wan0", "192.0.2"), tun: at("tun0", "198.51.100") }
    }

    /// What a server says that is asked by the container at this address.
    #[track_caller]
    fn ask(&self, running: &Running, address: &str) -> &'static str {
        let answer = identify_from(running.command(), &format!("{address}:80"));
        let is_of = |(outside, _): &(Outside, _)| answer.contains(&network_of(outside.pid()));
        match (is_of(&self.wan), is_of(&self.tun)) {
            (true, _) => "wan",
            (_, true) => "tun",
            _ => "nobody",
        }
    }
}

fn containers_go_where_the_host_goes(host: &Host) {
    need(host, &["ip", "nft"]);
    let outsides = Outsides::connect(host);
    // Routes by a nexthop object name no link then.
    fs::write("/proc/sys/net/ipv4/nexthop_compat_mode", "0").unwrap();
    for (what, routes, far) in [
        (
            "policy routing",
            "route add default via 192.0.2.1 metric 100; \
             route add default via 198.51.100.1 table 100; rule add from 10.8.0.2 lookup 100",
            &["wan"][..],
        ),
        (
            "a rule for everybody",
            "route add default via 192.0.2.1; route add default via 198.51.100.1 table 100; \
             rule add priority 100 to 203.0.113.0/24 lookup 100",
            &["tun"],
        ),
        (
            "several next hops",
            "route add default nexthop via 192.0.2.1 nexthop via 198.51.100.1",
            &["wan", "tun"],
        ),
        (
            "a nexthop object",
            &format!("nexthop add id 7{NEXTHOP}; route add default nhid 7"),
            &["tun"],
        ),
        ("a VPN with routes of its own", "route add 203.0.113.0/24 via 198.51.100.1", &["tun"]),
        (
            "OpenVPN's def1",
            "route add default via 192.0.2.1; route add 0.0.0.0/1 via 198.51.100.1; \
             route add 128.0.0.0/1 via 198.51.100.1",
            &["tun"],
        ),
        ("no default route", "", &["nobody"]),
    ] {
        let lines: Vec<_> = routes.split("; ").filter(|line| !line.is_empty()).collect();
        lines.iter().for_each(|line| drop(see(&format!("ip {line}"))));
        let running = host.start_sleep();
        let asked = outsides.ask(&running, FAR);
        assert!(far.contains(&asked), "{what}: {asked}");
        assert_eq!(outsides.ask(&running, "192.0.2.1"), "wan", "{what}");
        assert_eq!(outsides.ask(&running, "198.51.100.1"), "tun", "{what}");
        drop_orderly(running);
        assert!(!forwards("wan0") && !forwards("tun0"), "{what}");
        for line in lines.iter().rev() {
            see(&format!("ip {}", line.replace("add", "del").replace(NEXTHOP, "")));
        }
    }
}

fn a_default_route_may_move(host: &Host) {
    need(host, &["ip", "nft"]);
    let outsides = Outsides::connect(host);
    see("ip route add default via 192.0.2.1");
    let running = host.start_sleep();
    assert_eq!(outsides.ask(&running, FAR), "wan");
    see("ip route replace default via 198.51.100.1");
    assert_eq!(outsides.ask(&running, FAR), "tun");
    see("ip route del default");
    see("ip route add default via 192.0.2.1");
    assert_eq!(outsides.ask(&running, FAR), "wan");
    drop_orderly(running);
}

/// A VPN that dials in, under containers that run.
fn a_default_route_may_move_to_a_new_link(host: &Host) {
    need(host, &["ip", "nft", "ping"]);
    let wan = Outside::connect(host, "wan0");
    wan.sh(&format!("ip address add {FAR}/32 dev lo"));
    let mut servers = vec![ServerOutside::start(host, &wan)];
    let (first, second) = (host.start_sleep(), host.start_sleep());
    for _ in 0..2 {
        let tun = Outside::at(host, "tun0", "198.51.100");
        tun.sh(&format!("ip address add {FAR}/32 dev lo; ip route add default via 198.51.100.10"));
        let tun_server = ServerOutside::start(host, &tun);
        see("ip route replace default via 198.51.100.1");
        within(Duration::from_secs(5), "it forwards", || forwards("tun0"));
        for running in [&first, &second] {
            let answer = identify_from(running.command(), &format!("{FAR}:80"));
            assert_eq!(answer, format!("{} 198.51.100.10", network_of(tun.pid())));
        }
        // It is noted like the others, and not the neighbours'.
        let table = see("nft list set ip container-steps uplinks");
        assert!(table.contains("\"tun0\"") && table.contains("\"wan0\""), "{table}");
        assert!(!pings(&tun, "192.0.2.1"));
        servers.push(tun_server); // for as long as containers run
        drop(tun);
        see("ip route add default via 192.0.2.1");
        let answer = identify_from(first.command(), &format!("{FAR}:80"));
        assert_eq!(answer, format!("{} 192.0.2.10", network_of(wan.pid())));
    }
    drop_orderly(first);
    let late = Outside::at(host, "late0", "198.51.101");
    within(Duration::from_secs(5), "it forwards", || forwards("late0"));
    drop_orderly(second);
    assert!(!forwards("wan0") && !forwards("late0") && !has_bridge());
    drop((servers, late));
}

/// The process of the container that waits for new routes.
#[track_caller]
fn watch_of(running: &Running) -> u32 {
    let all = children(running.pid());
    let found = all.into_iter().find(|pid| program(*pid) == "watch-routes");
    found.unwrap_or_else(|| panic!("no watch"))
}

/// How often a process has been on a processor (proc(5), voluntary_ctxt_switches).
fn turns_of(pid: u32) -> usize {
    status_line(pid, "voluntary_ctxt_switches").parse().unwrap()
}

/// What it changes itself, and routes by links that it knows, do not wake it for more than a look.
fn a_watch_has_nothing_to_do_twice(host: &Host) {
    need(host, &["ip", "nft"]);
    let _outside = Outside::connect(host, "up0");
    let running = host.start_sleep();
    let watch = watch_of(&running);
    assert_eq!(status_line(watch, "Threads"), "1");
    let blocked = u64::from_str_radix(&status_line(watch, "SigBlk"), 16).unwrap();
    assert_eq!(
        blocked | 1 << 8 | 1 << 18 | 3 << 31,
        u64::MAX,
        "but KILL, STOP, and libc's own two"
    );
    let _late = Outside::at(host, "late0", "198.51.100");
    within(Duration::from_secs(5), "it forwards", || forwards("late0"));
    let settled = || {
        let before = turns_of(watch);
        sleep(slowed(Duration::from_millis(500)));
        turns_of(watch) == before
    };
    within(Duration::from_secs(10), "it sleeps", settled);
    see("ip route add 203.0.113.0/24 via 198.51.100.1");
    within(Duration::from_secs(10), "it sleeps", settled);
    set_forwarding("late0", "0");
    for number in 0..100 {
        see(&format!("ip route add 203.0.113.{number}/32 via 198.51.100.1"));
    }
    within(Duration::from_secs(10), "it sleeps", settled);
    assert!(!forwards("late0"), "a known link was looked at");
    drop_orderly(running);
}

/// The bridge that was taken away, an nft that fails: it tells, and goes on.
fn a_watch_survives_what_it_finds(host: &Host) {
    need(host, &["ip", "nft"]);
    let _outside = Outside::connect(host, "up0");
    let (programs, refuses) = nft_that_can_refuse(host);
    let mut launcher = host.launcher();
    launcher.env("PATH", &programs).args(["sleep", "1000"]).stderr(Stdio::piped());
    let mut running = host.follow(&mut launcher);
    running.wait_for_program("sleep");
    let mut stderr = BufReader::new(running.supervisor.stderr.take().unwrap());

    fs::write(&refuses, "").unwrap();
    let first = Outside::at(host, "first0", "198.51.100");
    let mut told = String::new();
    stderr.read_line(&mut told).unwrap();
    assert!(told.starts_with("Note: ") && told.contains("No way"), "{told}");
    fs::remove_file(&refuses).unwrap();
    let second = Outside::at(host, "second0", "198.51.101");
    within(Duration::from_secs(5), "both forward", || forwards("first0") && forwards("second0"));
    see("ip link del steps0");
    let third = Outside::at(host, "third0", "198.51.102");
    sleep(slowed(Duration::from_millis(500)));
    assert!(!has_bridge() && !forwards("third0"));
    drop_orderly(running);
    assert_eq!(["up0", "first0", "second0"].map(forwards), [false; 3]);
    assert_eq!(see("nft list tables"), "");
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    drop((first, second, third));
}

fn pings(from: &Outside, to: &str) -> bool {
    let mut ping = from.command("ping");
    ping.args(["-q", "-c", "1", "-W", "1", to]).output().unwrap().status.success()
}

/// None of them forwards for anybody but containers, though all of them forward.
fn no_uplink_is_the_neighbours(host: &Host) {
    need(host, &["ip", "nft", "ping"]);
    let outsides = Outsides::connect(host);
    see("ip route add default nexthop via 192.0.2.1 nexthop via 198.51.100.1");
    let ((wan, _), (tun, _)) = (&outsides.wan, &outsides.tun);
    wan.sh("ip route add default via 192.0.2.10");
    tun.sh("ip route add default via 198.51.100.10");
    let running = host.start_sleep();
    assert!(forwards("wan0") && forwards("tun0"));
    assert!(!pings(wan, "198.51.100.1") && !pings(tun, "192.0.2.1"));
    // Without our table they would.
    see("nft flush ruleset");
    assert!(pings(wan, "198.51.100.1") && pings(tun, "192.0.2.1"));
    drop_orderly(running);
}

/// Nor what connection tracking makes no sense of, or was told to leave alone.
fn no_stray_packet_is_passed_on(host: &Host) {
    need(host, &["ip", "nft", "ping"]);
    let outsides = Outsides::connect(host);
    let ((wan, _), (tun, _)) = (&outsides.wan, &outsides.tun);
    wan.sh("ip route add default via 192.0.2.10");
    tun.sh("ip route add default via 198.51.100.10");
    tun.sh("nft 'table ip t { chain c { type filter hook prerouting priority 0; \
            ip saddr 192.0.2.1 counter; }; }'");
    let counted = || {
        let output = tun.command("nft").args(["list", "table", "ip", "t"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        !text.contains("counter packets 0 ")
    };
    let running = host.start_sleep();
    assert!(!pings(wan, "198.51.100.1") && !counted());
    // Answers that nobody has asked for: they are no news to connection tracking, but invalid.
    wan.sh("nft 'table ip t { chain c { type filter hook output priority 0; \
            icmp type echo-request icmp type set echo-reply; }; }'");
    assert!(!pings(wan, "198.51.100.1") && !counted(), "invalid");
    wan.sh("nft delete table ip t");
    let wan_to_tun = "iifname { \"wan0\", \"tun0\" } ip daddr != 10.61.0.0/24";
    type_in(&format!(
        "nft 'table ip t {{ chain c {{ type filter hook prerouting priority raw; \
         {wan_to_tun} notrack; }}; }}'"
    ));
    assert!(!pings(wan, "198.51.100.1") && !counted(), "untracked");
    type_in("nft delete table ip t");
    assert_eq!(outsides.ask(&running, "192.0.2.1"), "wan");
    assert_eq!(outsides.ask(&running, "198.51.100.1"), "tun");
    drop_orderly(running);
}

/// What a link is called may change, and another one may be called that then. A name may also look
/// like another link's number.
fn a_new_name_changes_nothing(host: &Host) {
    need(host, &["ip", "nft", "ping"]);
    let outsides = Outsides::connect(host);
    let ((wan, _), (tun, _)) = (&outsides.wan, &outsides.tun);
    wan.sh("ip route add default via 192.0.2.10");
    tun.sh("ip route add default via 198.51.100.10");
    let running = host.start_sleep();
    let listed = see("ip -oneline link show tun0");
    let (renamed, _) = listed.split_once(':').unwrap();
    let rename = |from, to| {
        type_in(&format!(
            "ip link set {from} down; ip link set {from} name {to}; ip link set {to} up"
        ));
    };
    rename("wan0", renamed);
    type_in("ip link add wan0 type bridge");
    set_forwarding("wan0", "1");
    for damage in ["true", "ip link set steps0 alias ''", "nft flush ruleset"] {
        type_in(damage);
        host.run(["true"]).text();
        assert!(!pings(wan, "198.51.100.1") && !pings(tun, "192.0.2.1"), "{damage}");
        assert_eq!(outsides.ask(&running, "192.0.2.1"), "wan", "{damage}");
        assert_eq!(outsides.ask(&running, "198.51.100.1"), "tun", "{damage}");
    }
    drop_orderly(running);
    assert_eq!([renamed, "tun0", "wan0"].map(forwards), [false, false, true]);
    see("ip link del wan0");
    rename(renamed, "wan0");
}

/// Also between a look at it and what is done with it then.
fn a_link_may_go_at_any_time(host: &Host) {
    need(host, &["ip", "nft"]);
    let _outside = Outside::connect(host, "up0");
    see("ip link add gone0 type bridge");
    see("ip address add 198.51.100.10/24 dev gone0");
    let script = "PATH=/usr/sbin:/sbin:/usr/bin:/bin\nip link del gone0 2>/dev/null\n\
                  exec nft \"$@\"";
    let programs = host.dir("programs");
    replace_nft(&programs, script);
    let mut launcher = host.launcher();
    let running = host.follow(launcher.env("PATH", &programs).args(["sleep", "1000"]));
    running.wait_for_program("sleep");
    assert!(forwards("up0") && !fs::exists("/proc/sys/net/ipv4/conf/gone0").unwrap());
    drop_orderly(running);
    assert!(!forwards("up0") && !has_bridge());
}

fn uplinks_are_as_before(host: &Host) {
    need(host, &["ip", "nft"]);
    let outsides = Outsides::connect(host);
    let third = Outside::at(host, "third0", "203.0.114");
    set_forwarding("tun0", "1");
    for damage in ["true", "ip link set steps0 alias ''", "nft flush ruleset"] {
        let gone = Outside::at(host, "gone0", "203.0.115");
        let running = host.start_sleep();
        assert!(["wan0", "tun0", "third0", "gone0"].into_iter().all(forwards));
        let table = see("nft list set ip container-steps uplinks");
        assert!(table.contains("wan0") && !table.contains("tun0"), "{table}");
        drop(gone);
        type_in(damage);
        drop_orderly(running);
        let on = ["wan0", "tun0", "third0", "lo"].map(forwards);
        assert_eq!(on, [false, true, false, false], "{damage}");
        assert!(!has_bridge());
    }
    set_forwarding("tun0", "0");
    drop((outsides, third));
}

/// What cannot be noted cannot be undone: such a link is left as it is, and told of.
fn more_uplinks_than_can_be_noted(host: &Host) {
    need(host, &["ip", "nft"]);
    let names: Vec<_> = (10..40).map(|number| format!("uplink-nr-{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        type_in(&format!(
            "ip link add {name} type bridge; ip address add 10.1.{number}.1/24 dev {name}; \
             ip link set {name} up"
        ));
    }
    let running = host.start_sleep();
    let outcome = host.run(["true"]);
    let (on, off): (Vec<_>, Vec<_>) = names.iter().partition(|name| forwards(name));
    assert!(on.len() >= 14, "{on:?}");
    assert_eq!(outcome.stderr.lines().count(), off.len(), "{outcome:?}");
    for (line, name) in outcome.stderr.lines().zip(&off) {
        assert!(line.starts_with("Note: ") && line.contains(&format!("/{name}/forwarding=1")));
    }
    // Any of the two notes is enough.
    see("nft flush ruleset");
    drop_orderly(running);
    assert!(!names.iter().any(|name| forwards(name)));
    names.iter().for_each(|name| drop(see(&format!("ip link del {name}"))));
}

fn wider_routes_are_no_places(host: &Host) {
    need(host, &["ip", "nft"]);
    let _outside = Outside::connect(host, "up0");
    for wide in ["0.0.0.0/1", "10.0.0.0/8", "10.61.0.0/23"] {
        see(&format!("ip route add {wide} via 192.0.2.1"));
    }
    let running = host.start_sleep();
    let address = see("ip -o -4 address show dev steps0");
    assert!(address.contains("inet 10.61.0.1/24 "), "{address}");
    drop_orderly(running);
    for within in ["10.61.0.0/24", "10.61.0.128/25", "10.61.0.7/32"] {
        see(&format!("ip route add {within} via 192.0.2.1"));
        let outcome = host.run(["echo", "it runs"]);
        outcome.assert_refused(125, &["10.61.0.0/24", within, "--subnet 10.62.0.0/24"]);
        see(&format!("ip route del {within}"));
    }
}

fn advice_of_a_subnet_is_tried(host: &Host) {
    need(host, &["ip", "nft"]);
    let _outside = Outside::connect(host, "up0");
    for taken in ["10.61.0.0/24", "10.62.0.9/32", "10.63.0.0/24"] {
        see(&format!("ip route add {taken} via 192.0.2.1"));
    }
    host.run(["true"]).assert_refused(125, &["--subnet 10.64.0.0/24"]);
    host.run(["--subnet", "10.64.0.0/24", "true"]).text();
    let larger = host.run(["--subnet", "10.0.0.0/8", "true"]);
    larger.assert_refused(125, &["10.0.0.0/8", "no private one is free"]);
}
