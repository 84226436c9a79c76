//! From v5 on: resolv.conf, hosts and hostname are the launcher's, mounted over the rootfs's own.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::elsewhere::{limit_memory, mount_tmpfs};
use crate::{Host, Outcome, Suite};

pub fn add(suite: Suite) -> Suite {
    if !suite.stage().network_namespace {
        return suite.both("the_files_of_etc_are_the_rootfs_own", the_files_are_the_rootfs_own);
    }
    suite
        .both("resolvers_are_the_hosts", resolvers_are_the_hosts)
        .both("resolvers_behind_systemd_resolved", resolvers_behind_systemd_resolved)
        .both("no_resolver_that_can_be_reached", no_resolver_that_can_be_reached)
        .both("hosts_and_hostname_have_the_own_name", hosts_and_hostname_have_the_own_name)
        .both("files_of_etc_can_be_written_and_are_forgotten", files_can_be_written)
        .both("files_of_etc_are_made_empty", files_are_made_empty)
        .both("files_of_etc_that_are_links_stay_inside", files_that_are_links_stay_inside)
        .both("a_volume_wins_over_the_files_of_etc", a_volume_wins)
        .both("files_of_the_host_without_an_end", files_of_the_host_without_an_end)
        .both("files_of_the_host_with_control_characters", files_with_control_characters)
        .both("files_of_the_host_in_utf_16", files_in_utf_16)
        .both("resolvers_of_the_command_line", resolvers_of_the_command_line)
        .both("hosts_of_the_command_line", hosts_of_the_command_line)
        .both("the_hosts_address_has_a_word", the_hosts_address_has_a_word)
}

const LOOPBACK_HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

const FILES: [&str; 3] = ["resolv.conf", "hosts", "hostname"];

/// A launcher with these options on a machine with this /etc/resolv.conf, and nothing else there.
fn launcher_where(host: &Host, resolv_conf: &'static str, options: &[&str]) -> Command {
    let mut launcher = host.launcher();
    host.elsewhere(&mut launcher, move || {
        mount_tmpfs("/etc")?;
        fs::write("/etc/resolv.conf", resolv_conf)?;
        fs::write("/etc/hosts", "192.0.2.99\tof-the-host\n")
    });
    launcher.args(options);
    launcher
}

/// The options of each mode that this variant may have.
fn all_modes(host: &Host) -> Vec<&'static str> {
    modes(host).iter().copied().chain(["host"]).collect()
}

/// What /etc/resolv.conf and /etc/hosts of a machine may be: a FIFO that nobody writes to, a device
/// that never ends, a file of terabytes. Each start goes on without them, and says so.
fn files_of_the_host_without_an_end(host: &Host) {
    type Make = fn(&str) -> io::Result<()>;
    let kinds: [(&str, Make); 3] = [
        ("regular", |path| Ok(mkfifo(path, Mode::from_bits_truncate(0o666))?)),
        ("regular", |path| symlink("/dev/zero", path)),
        ("EFBIG", |path| fs::File::create(path)?.set_len(1 << 42)),
    ];
    for (why, make) in kinds {
        for mode in all_modes(host) {
            let mut launcher = host.launcher();
            limit_memory(&mut launcher);
            host.elsewhere(&mut launcher, move || {
                mount_tmpfs("/etc")?;
                make("/etc/resolv.conf")?;
                make("/etc/hosts")
            });
            let outcome = Outcome::of(launcher.args(["--net", mode, "cat", "/etc/hosts"]));
            assert!(outcome.text().starts_with("127.0.0.1\tlocalhost\n"), "{outcome:?}");
            for path in ["/etc/resolv.conf", "/etc/hosts"] {
                let is_told =
                    outcome.stderr.lines().any(|it| it.contains(path) && it.contains(why));
                assert_eq!(is_told, mode == "host" || !path.ends_with("hosts"), "{outcome:?}");
            }
        }
    }
}

/// A line with a control character is nobody's to obey, and that it is left out is told. All
/// others are the host's, byte for byte, in whatever encoding. The container's own name stands on a
/// line of its own in any case.
fn files_with_control_characters(host: &Host) {
    for mode in all_modes(host) {
        let mut launcher = host.launcher();
        host.elsewhere(&mut launcher, || {
            mount_tmpfs("/etc")?;
            fs::write(
                "/etc/resolv.conf",
                b"# M\xfcller\nsearch \x1b[2Jlan\nnameserver\t192.0.2.1\r\n\
                  # \xc2\x9b2J\nsearch lan",
            )?;
            fs::write("/etc/hosts", b"192.0.2.9\tx\x07\n192.0.2.9\ty # \xe4\x80\n192.0.2.9\tz")
        });
        launcher.args(["--net", mode, "cat", "/etc/resolv.conf", "/etc/hosts"]);
        let outcome = Outcome::of(&mut launcher);
        assert_eq!(outcome.code(), 0, "{outcome:?}");
        let resolv_conf = b"# M\xfcller\nnameserver\t192.0.2.1\nsearch lan\n";
        let hosts = outcome.stdout.strip_prefix(resolv_conf);
        let hosts = hosts.unwrap_or_else(|| panic!("{outcome:?}"));
        assert!(outcome.stderr.contains("3 of the 5 lines of /etc/resolv.conf:"), "{outcome:?}");
        if mode == "host" {
            let own = b"192.0.2.9\ty # \xe4\x80\n192.0.2.9\tz\n127.0.1.1\tcontainer\n";
            assert_eq!(hosts, own, "{outcome:?}");
            assert!(outcome.stderr.contains("2 of the 3 lines of /etc/hosts:"), "{outcome:?}");
        } else {
            assert!(hosts.ends_with(b"\tcontainer\n"), "{outcome:?}");
        }
    }
}

/// A file in UTF-16 has a zero byte in each line: nothing of it can be used, and that is told.
fn files_in_utf_16(host: &Host) {
    for mode in all_modes(host) {
        let mut launcher = host.launcher();
        host.elsewhere(&mut launcher, || {
            mount_tmpfs("/etc")?;
            fs::write("/etc/resolv.conf", "nameserver 192.0.2.1\n")?;
            let text = "192.0.2.9\tx\n".encode_utf16().flat_map(u16::to_le_bytes);
            fs::write("/etc/hosts", text.collect::<Vec<u8>>())
        });
        let outcome = Outcome::of(launcher.args(["--net", mode, "cat", "/etc/hosts"]));
        assert!(outcome.text().starts_with("127.0.0.1\tlocalhost\n"), "{outcome:?}");
        let is_told = outcome.stderr.contains("0 of the 2 lines of /etc/hosts");
        assert_eq!(is_told, mode == "host", "{outcome:?}");
    }
}

/// `--dns` takes the place of the resolvers, and of nothing else: in each mode, as in Docker.
fn resolvers_of_the_command_line(host: &Host) {
    for mode in all_modes(host) {
        let see = ["--net", mode, "--dns", "192.0.2.7", "--dns", "2001:db8::7"];
        let resolv_conf = "search lan\nnameserver 127.0.0.53\noptions ndots:2\n";
        let mut launcher = launcher_where(host, resolv_conf, &see);
        let outcome = Outcome::of(launcher.args(["cat", "/etc/resolv.conf"]));
        let wanted = "search lan\noptions ndots:2\nnameserver 192.0.2.7\nnameserver 2001:db8::7\n";
        assert_eq!((outcome.text(), outcome.stderr.as_str()), (wanted, ""), "{mode}");
    }
    host.run(["--dns", "resolver", "true"]).assert_refused(125, &["'--dns <", "IP address"]);
}

/// `--add-host` adds lines, in their order, and twice if it is there twice: as in Docker.
fn hosts_of_the_command_line(host: &Host) {
    let options = ["--add-host", "b:192.0.2.2", "--add-host=a=[2001:db8::1]"];
    let options = options.into_iter().chain(["--add-host", "b:192.0.2.3"]);
    let lines = "192.0.2.2\tb\n2001:db8::1\ta\n192.0.2.3\tb\n";
    for mode in all_modes(host) {
        let mut launcher = launcher_where(host, "nameserver 192.0.2.53\n", &["--net", mode]);
        launcher.args(options.clone());
        let outcome = Outcome::of(launcher.args(["cat", "/etc/hosts"]));
        let (loopback, own) = match mode {
            "host" => ("192.0.2.99\tof-the-host\n", "127.0.1.1"),
            "bridge" => (LOOPBACK_HOSTS, "10.61.0.2"),
            _ => (LOOPBACK_HOSTS, "127.0.1.1"),
        };
        let wanted = format!("{loopback}{lines}{own}\tcontainer\n");
        assert_eq!((outcome.text(), outcome.stderr.as_str()), (wanted.as_str(), ""), "{mode}");
    }
    for (value, fault) in [("a", "not NAME:IP"), ("a b:192.0.2.1", "letters"), ("a:b", "neither")] {
        host.run(["--add-host", value, "true"]).assert_refused(125, &["'--add-host <", fault]);
    }
}

/// The host's address as the container sees it: the bridge's, or in the host's own network the
/// loopback's. Where nothing leads to the host there is none.
fn the_hosts_address_has_a_word(host: &Host) {
    for mode in all_modes(host) {
        let options = ["--net", mode, "--add-host", "outside:host-gateway", "cat", "/etc/hosts"];
        let outcome = host.run(options);
        match mode {
            "none" => {
                let words = ["host-gateway", "loopback device only", "--net bridge"];
                outcome.assert_refused(125, &words);
            }
            "host" => assert!(outcome.text().contains("\n127.0.0.1\toutside\n"), "{outcome:?}"),
            _ => assert!(outcome.text().contains("\n10.61.0.1\toutside\n"), "{outcome:?}"),
        }
    }
}

/// The modes that this variant may have, the default among them.
fn modes(host: &Host) -> &'static [&'static str] {
    if host.is_root() { &["bridge", "none"] } else { &["none"] }
}

/// A rootfs whose /etc has these three files, each with its own name in it.
fn rootfs_with_files(host: &Host) -> std::path::PathBuf {
    let rootfs = host.own_rootfs();
    for file in FILES {
        fs::write(rootfs.join("etc").join(file), format!("the image's {file}\n")).unwrap();
        host.give(&rootfs.join("etc").join(file));
    }
    rootfs
}

fn the_files_are_the_rootfs_own(host: &Host) {
    let rootfs = rootfs_with_files(host);
    let outcome = host.run(["--rootfs", rootfs.to_str().unwrap(), "cat", "/etc/hosts"]);
    assert_eq!(outcome.text(), "the image's hosts\n");
}

fn resolvers_are_the_hosts(host: &Host) {
    let resolv_conf = "# by hand\nsearch example.org\nnameserver 127.0.0.1\n\
        nameserver 192.0.2.53\nnameserver ::1\noptions ndots:2\n";
    let reachable = "# by hand\nsearch example.org\nnameserver 192.0.2.53\noptions ndots:2\n";
    for mode in modes(host) {
        let see = ["--net", mode, "cat", "/etc/resolv.conf"];
        let outcome = Outcome::of(&mut launcher_where(host, resolv_conf, &see));
        assert_eq!((outcome.text(), outcome.stderr.as_str()), (reachable, ""), "{mode}");
    }
    let see = ["--net", "host", "cat", "/etc/resolv.conf", "/etc/hosts"];
    let outcome = Outcome::of(&mut launcher_where(host, resolv_conf, &see));
    let hosts = "192.0.2.99\tof-the-host\n127.0.1.1\tcontainer\n";
    assert_eq!((outcome.text(), outcome.stderr.as_str()), (&*format!("{resolv_conf}{hosts}"), ""));
}

fn resolvers_behind_systemd_resolved(host: &Host) {
    let directory = Path::new("/run/systemd/resolve");
    host.own("/run/systemd");
    fs::create_dir_all(directory).unwrap();
    let upstreams = "# resolved's\nnameserver 192.0.2.54\nsearch lan\n";
    fs::write(directory.join("resolv.conf"), upstreams).unwrap();
    let see = ["--net", modes(host)[0], "cat", "/etc/resolv.conf"];
    let outcome = Outcome::of(&mut launcher_where(host, "nameserver 127.0.0.53\n", &see));
    assert_eq!((outcome.text(), outcome.stderr.as_str()), (upstreams, ""));
    // It is asked only if the host's own has nobody to ask.
    let outcome = Outcome::of(&mut launcher_where(host, "nameserver 192.0.2.53\n", &see));
    assert_eq!(outcome.text(), "nameserver 192.0.2.53\n");
}

fn no_resolver_that_can_be_reached(host: &Host) {
    for resolv_conf in ["nameserver 127.0.0.53\nsearch lan\n", "search lan\n"] {
        for mode in modes(host) {
            let see = ["--net", mode, "cat", "/etc/resolv.conf"];
            let outcome = Outcome::of(&mut launcher_where(host, resolv_conf, &see));
            assert_eq!(outcome.text(), "search lan\n");
            // Without a way out there is nothing to resolve.
            let notes: Vec<_> = outcome.stderr.lines().collect();
            match (*mode, &notes[..]) {
                ("none", []) => {}
                ("bridge", [note]) => assert!(note.contains("resolver"), "{note}"),
                _ => panic!("{mode}: {outcome:?}"),
            }
        }
    }
}

fn hosts_and_hostname_have_the_own_name(host: &Host) {
    for mode in modes(host) {
        let address = if *mode == "bridge" { "10.61.0.2" } else { "127.0.1.1" };
        let see = "cat /etc/hostname; cat /etc/hosts";
        let outcome = host.run(["--net", mode, "--hostname", "web", "sh", "-c", see]);
        let loopback = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
        assert_eq!(outcome.text(), format!("web\n{loopback}{address}\tweb\n"), "{mode}");
    }
}

fn files_can_be_written(host: &Host) {
    let rootfs = rootfs_with_files(host);
    let run = |script: &str| {
        host.run(["--rootfs", rootfs.to_str().unwrap(), "sh", "-c", script]).text().to_owned()
    };
    let write = "cd /etc; for f in resolv.conf hosts hostname; do echo mine >> $f || echo no; \
        done; cat *";
    let written = run(write);
    assert_eq!(written.matches("mine").count(), 3, "{written}");
    assert!(!written.contains("image's"), "{written}");
    assert!(!run("cat /etc/*").contains("mine"));
    for file in FILES {
        let left = fs::read_to_string(rootfs.join("etc").join(file)).unwrap();
        assert_eq!(left, format!("the image's {file}\n"));
    }
}

/// What is in a directory, sorted.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn files_are_made_empty(host: &Host) {
    let rootfs = host.own_rootfs();
    fs::remove_dir(rootfs.join("etc")).unwrap();
    let before = names(&rootfs);
    let see = ["--rootfs", rootfs.to_str().unwrap(), "cat", "/etc/hostname"];
    assert_eq!(host.run(see).text(), "container\n");
    if host.stage_facts().writable_layer {
        assert_eq!(names(&rootfs), before, "a layer below never changes");
        return;
    }
    assert_eq!(names(&rootfs.join("etc")), ["hostname", "hosts", "resolv.conf"]);
    for file in FILES {
        assert_eq!(fs::read(rootfs.join("etc").join(file)).unwrap(), b"", "{file}");
    }
    let new: Vec<_> = names(&rootfs).into_iter().filter(|name| !before.contains(name)).collect();
    assert_eq!(new, ["etc", "sys"], "mount points, and no more");
    assert_eq!(names(&rootfs.join("sys")), Vec::<String>::new());
}

fn files_that_are_links_stay_inside(host: &Host) {
    let rootfs = host.own_rootfs();
    let outside = host.dir("outside");
    fs::write(outside.join("hosts"), "of the host\n").unwrap();
    // The first as in every image of Ubuntu; the second leads out, by its absolute name.
    symlink("../run/systemd/resolve/stub.conf", rootfs.join("etc/resolv.conf")).unwrap();
    symlink(outside.join("hosts"), rootfs.join("etc/hosts")).unwrap();
    symlink("../../../../../../etc/the-name", rootfs.join("etc/hostname")).unwrap();
    let script = "cat /etc/hosts /etc/hostname && echo mine | cat > /etc/hosts && \
        echo mine > /etc/resolv.conf && cat /run/systemd/resolve/stub.conf /etc/the-name";
    let outcome = host.run(["--rootfs", rootfs.to_str().unwrap(), "sh", "-c", script]);
    let text = outcome.text();
    assert!(text.starts_with("127.0.0.1\tlocalhost\n"), "{text}");
    assert!(text.ends_with("\tcontainer\ncontainer\nmine\ncontainer\n"), "{text}");
    assert_eq!(fs::read_to_string(outside.join("hosts")).unwrap(), "of the host\n");
    assert!(!Path::new("/run/systemd").exists() && !Path::new("/etc/the-name").exists());
}

fn a_volume_wins(host: &Host) {
    let file = host.dir("volume").join("hosts");
    fs::write(&file, "192.0.2.5\tby-hand\n").unwrap();
    host.give(&file);
    let volume = format!("{}:/etc/hosts", file.display());
    let outcome = host.run(["-v", &volume, "sh", "-c", "cat /etc/hosts /etc/hostname"]);
    assert_eq!(outcome.text(), "192.0.2.5\tby-hand\ncontainer\n");
}
