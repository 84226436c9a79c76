//! What a process may do: capabilities(7), seccomp(2), no_new_privs.

use super::process::Status;

/// The names, by their number (linux/capability.h).
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// Up to so many that are missing are named, instead of those that are there.
const FEW: usize = 6;

/// Its five sets; those that are equal on one line.
pub(super) fn capabilities(status: &Status, in_own_namespace: bool) -> Vec<String> {
    let sets = [
        ("effective", "CapEff"),
        ("permitted", "CapPrm"),
        ("bounding", "CapBnd"),
        ("inheritable", "CapInh"),
        ("ambient", "CapAmb"),
    ];
    let mut lines: Vec<(Vec<&str>, String)> = Vec::new();
    for (name, key) in sets {
        let mask = status.value(key).and_then(|mask| u64::from_str_radix(mask, 16).ok());
        let text = mask.map_or("?".to_owned(), describe);
        match lines.iter_mut().find(|(_, other)| *other == text) {
            Some((names, _)) => names.push(name),
            None => lines.push((vec![name], text)),
        }
    }
    let lines = lines.into_iter().map(|(names, text)| format!("{}: {text}", names.join(", ")));
    let scope =
        in_own_namespace.then(|| "(over its own user namespace and what that owns)".to_owned());
    lines.chain(scope).collect()
}

fn describe(mask: u64) -> String {
    let is_set = |number: &usize| mask & (1 << number) != 0;
    let name = |number: usize| match NAMES.get(number) {
        Some(name) => (*name).to_owned(),
        None => format!("number {number}"),
    };
    let list = |numbers: Vec<usize>| numbers.into_iter().map(name).collect::<Vec<_>>().join(" ");
    let set: Vec<_> = (0..64).filter(is_set).collect();
    let missing: Vec<_> = (0..NAMES.len()).filter(|number| !is_set(number)).collect();
    match (set.len(), missing.len()) {
        (0, _) => "none".to_owned(),
        (_, 0) => "all".to_owned(),
        (_, 1..=FEW) => format!("all but {}", list(missing)),
        _ => list(set),
    }
}

/// Whether its system calls are filtered, and by how many filters.
pub(super) fn seccomp(status: &Status) -> String {
    let filters = status.value("Seccomp_filters").map(str::parse::<u32>);
    match (status.value("Seccomp"), filters) {
        (Some("0"), _) => "off".to_owned(),
        (Some("1"), _) => "strict: read, write and exit only".to_owned(),
        (Some("2"), Some(Ok(1))) => "1 filter".to_owned(),
        (Some("2"), Some(Ok(count))) => format!("{count} filters"),
        (Some("2"), _) => "filtered".to_owned(),
        _ => "?".to_owned(),
    }
}

/// Whether execve(2) of a set-user-ID program gives it nothing.
pub(super) fn no_new_privs(status: &Status) -> String {
    match status.value("NoNewPrivs") {
        Some("0") => "off",
        Some("1") => "on",
        _ => "?",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_capabilities() {
        assert_eq!(describe(0), "none");
        assert_eq!(describe(0x1ff_ffff_ffff), "all");
        assert_eq!(describe(0x1ff_fef7_ffff), "all but sys_ptrace sys_resource");
        assert_eq!(describe(0x420), "kill net_bind_service");
        assert_eq!(describe(1 << 45), "number 45");
        // Docker's.
        let docker = "chown dac_override fowner fsetid kill setgid setuid setpcap \
                      net_bind_service net_raw sys_chroot mknod audit_write setfcap";
        assert_eq!(describe(0xa804_25fb), docker);
    }
}
