//! The machine itself: kernel, processor, who asks, what is around us.

use std::env;
use std::fs;
use std::path::Path;

use nix::unistd::geteuid;

use super::finding::{Finding, PROCESS_TROUBLE, ROOTLESS, ROOTLESS_TROUBLE, SETUP, TERMINAL};

/// The oldest kernel on which everything works: mount_setattr(2), openat2(2), cgroup.kill.
const OLDEST_KERNEL: (u32, u32) = (5, 14);

pub(super) fn probe_all() -> Vec<Finding> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let release = read("/proc/sys/kernel/osrelease");
    vec![
        kernel(&release),
        processor(env::consts::ARCH),
        who_asks(&status),
        surroundings(&release),
        seccomp(&status),
        apparmor(&read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")),
        terminal(&read("/proc/sys/dev/tty/legacy_tiocsti")),
        init_reaps(),
    ]
}

/// A file that may be missing; then it says nothing.
pub(super) fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn kernel(release: &str) -> Finding {
    let name = "kernel";
    let (major, minor) = OLDEST_KERNEL;
    match version(release) {
        Some(version) if version >= OLDEST_KERNEL => {
            Finding::good(name, format!("Linux {release}"))
        }
        Some(_) => Finding::bad(name, format!("Linux {release} is older than {major}.{minor}"))
            .because("the steps use system calls that it does not have")
            .cure("a newer distribution (Debian 12, Ubuntu 22.04); under WSL: wsl --update"),
        None => Finding::note(name, format!("cannot read its version from {release:?}")),
    }
}

/// Major and minor as numbers: 5.9 is older than 5.14.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn processor(architecture: &str) -> Finding {
    let name = "processor";
    match architecture {
        "x86_64" | "aarch64" => Finding::good(name, architecture),
        other => Finding::note(name, format!("{other}, on which nobody has tried this course")),
    }
}

fn who_asks(status: &str) -> Finding {
    let name = "you";
    match (geteuid().is_root(), may_administer(status)) {
        (true, true) => Finding::good(name, "root"),
        (true, false) => Finding::note(name, "root without CAP_SYS_ADMIN")
            .because("this is the root of a container or of a user namespace")
            .cure("leave it, or start that container with --privileged")
            .page(SETUP),
        (false, _) => Finding::good(name, format!("an ordinary user ({})", geteuid())),
    }
}

/// Whether the steps stay who they are: a root who lacks this becomes another one, in a user
/// namespace, as an ordinary user does.
pub(super) fn is_real_root() -> bool {
    geteuid().is_root() && may_administer(&read("/proc/self/status"))
}

/// Whether CAP_SYS_ADMIN is in the effective set (proc_pid_status(5)).
fn may_administer(status: &str) -> bool {
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & CAP_SYS_ADMIN != 0
}

/// Containers and Windows' subsystem, which the kernel does not mind but their makers restrict.
fn surroundings(release: &str) -> Finding {
    let name = "surroundings";
    let release = release.to_lowercase();
    if release.contains("microsoft") && !release.contains("wsl2") && release.starts_with("4.4") {
        return Finding::bad(name, "WSL 1").because("it is no Linux kernel").cure("WSL 2");
    }
    let is_docker = Path::new("/.dockerenv").exists();
    if is_docker || Path::new("/run/.containerenv").exists() {
        let engine = if is_docker { "Docker" } else { "Podman" };
        return Finding::note(name, format!("a container of {engine}"))
            .because("it may forbid most of what this course does; the probes below tell")
            .cure("where they fail: a virtual machine; or start that container with --privileged");
    }
    if release.contains("microsoft") {
        return Finding::good(name, "WSL 2");
    }
    Finding::good(name, "no container that one can see")
}

fn seccomp(status: &str) -> Finding {
    let name = "seccomp";
    if status.lines().any(|line| line == "Seccomp:\t2") {
        return Finding::note(name, "a filter sits between you and the kernel")
            .because("you are in a container or a sandbox; a call it forbids fails with EPERM")
            .cure("for Docker: --security-opt seccomp=unconfined")
            .page(ROOTLESS_TROUBLE);
    }
    Finding::good(name, "no filter")
}

fn apparmor(restricts: &str) -> Finding {
    let name = "AppArmor";
    if restricts == "1" {
        return Finding::note(name, "restricts user namespaces to programs with a profile")
            .because("Ubuntu 23.10 and newer do so; creation works, and all capabilities are gone")
            .cure("the commands that the probe \"user namespace\" names, if that one fails")
            .page(ROOTLESS);
    }
    Finding::good(name, "does not restrict user namespaces")
}

fn terminal(legacy_tiocsti: &str) -> Finding {
    let name = "terminal";
    if legacy_tiocsti == "0" {
        return Finding::good(name, "nobody can type into it by TIOCSTI");
    }
    Finding::note(name, "a container can type into it (TIOCSTI)")
        .because("the containers of this course share your terminal, and this kernel still has it")
        .cure("nothing for the course; run nothing in it that you do not trust")
        .page(TERMINAL)
}

/// A process that is a zombie and process 1's child: it should have been reaped long ago.
fn init_reaps() -> Finding {
    let name = "process 1";
    let mut zombies = 0;
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        if fields.next() == Some("Z") && fields.next() == Some("1") {
            zombies += 1;
        }
    }
    if zombies > 1 {
        return Finding::note(name, format!("leaves {zombies} zombies unreaped"))
            .because("it is no init, as in a container without one")
            .cure("nothing for the course; for Docker: --init")
            .page(PROCESS_TROUBLE);
    }
    Finding::good(name, "has left no orphan unreaped")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;

    #[test]
    fn versions_are_numbers() {
        assert_eq!(version("5.14.0-427.el9.x86_64"), Some((5, 14)));
        assert_eq!(kernel("6.1.0-56-cloud-amd64").state, State::Good);
        assert_eq!(kernel("5.14.0").state, State::Good);
        assert_eq!(kernel("5.9.0").state, State::Bad);
        assert_eq!(kernel("").state, State::Note);
    }

    #[test]
    fn windows_is_told_apart() {
        assert_eq!(surroundings("4.4.0-19041-Microsoft").state, State::Bad);
        assert_ne!(surroundings("5.15.153.1-microsoft-standard-WSL2").state, State::Bad);
    }

    #[test]
    fn what_restricts_is_told() {
        assert_eq!(seccomp("Seccomp:\t2").state, State::Note);
        assert_eq!(seccomp("Seccomp:\t0").state, State::Good);
        assert_eq!(apparmor("1").state, State::Note);
        assert_eq!(apparmor("").state, State::Good);
        assert_eq!(terminal("0").state, State::Good);
        assert_eq!(terminal("").state, State::Note);
        assert_eq!(processor("riscv64").state, State::Note);
    }
}
