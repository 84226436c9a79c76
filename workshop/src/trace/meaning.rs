//! What a call is for, its manual page, and the chapter that explains it.

use super::record::Call;

/// One of the calls that make a container.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    call: &'static str,
    /// Words that its arguments or its result contain, if they decide.
    words: &'static str,
    pub(super) purpose: &'static str,
    pub(super) manual: &'static str,
    pub(super) chapter: &'static str,
}

const fn m(
    call: &'static str,
    words: &'static str,
    purpose: &'static str,
    manual: &'static str,
    chapter: &'static str,
) -> Meaning {
    Meaning { call, words, purpose, manual, chapter }
}

/// The first that fits is the one. A call that fits none does not make a container.
const MEANINGS: &[Meaning] = &[
    m(
        "unshare",
        "CLONE_NEWUSER",
        "root without root: a user namespace",
        "user_namespaces(7)",
        "root-without-root",
    ),
    m("write", "uid_map>", "my user is root in there", "user_namespaces(7)", "root-without-root"),
    m(
        "write",
        "setgroups>",
        "the price of the next line",
        "user_namespaces(7)",
        "root-without-root",
    ),
    m(
        "write",
        "gid_map>",
        "my group is root's in there",
        "user_namespaces(7)",
        "root-without-root",
    ),
    m(
        "unshare",
        "CLONE_NEWPID",
        "the next child is process 1 of a new PID namespace",
        "pid_namespaces(7)",
        "v3-pidns",
    ),
    m(
        "unshare",
        "CLONE_NEWNS|CLONE_NEWUTS",
        "mounts and a hostname of its own",
        "uts_namespaces(7)",
        "v4-utsns",
    ),
    m("unshare", "CLONE_NEWNS", "mounts of its own", "mount_namespaces(7)", "v2-mountns"),
    m("unshare", "CLONE_NEWUTS", "a hostname of its own", "uts_namespaces(7)", "v4-utsns"),
    m("unshare", "CLONE_NEWNET", "a network of its own", "network_namespaces(7)", "v5-netns"),
    m(
        "unshare",
        "CLONE_NEWCGROUP",
        "a view of cgroups of its own",
        "cgroup_namespaces(7)",
        "v6-cgroups",
    ),
    m("unshare", "CLONE_NEWIPC", "shared memory of its own", "ipc_namespaces(7)", "v8-pause"),
    m("setns", "CLONE_NEWNET", "into the network that was made for it", "setns(2)", "v5-netns"),
    m("setns", "", "into a namespace that is there already", "setns(2)", "v8-pause"),
    m("sethostname", "", "the name of the container", "sethostname(2)", "v4-utsns"),
    m("chroot", "", "a new meaning of /", "chroot(2)", "v1-chroot"),
    m(
        "pivot_root",
        "",
        "the new root below, the old one on top of it",
        "pivot_root(2)",
        "v2-mountns",
    ),
    m(
        "umount2",
        "",
        "and the old one is gone (or what was only needed for a moment)",
        "umount2(2)",
        "v2-mountns",
    ),
    m(
        "mount",
        "MS_PRIVATE",
        "what is mounted here stays here",
        "mount_namespaces(7)",
        "v2-mountns",
    ),
    m(
        "mount",
        "-1 EPERM",
        "not allowed in here: the host's is bound instead, or the launcher says why not",
        "user_namespaces(7)",
        "v2-mountns",
    ),
    m(
        "mount",
        "\"proc\"",
        "a /proc that shows the processes of this PID namespace",
        "proc(5)",
        "v2-mountns",
    ),
    m(
        "mount",
        "\"sysfs\"",
        "a /sys that shows the devices of this network",
        "sysfs(5)",
        "v5-netns",
    ),
    m("mount", "\"devpts\"", "terminals of its own", "pts(4)", "v2-mountns"),
    m("mount", "\"tmpfs\"", "a file system in memory", "tmpfs(5)", "v2-mountns"),
    m("mount", "\"overlay\"", "layers, one on top of the other", "mount(2)", "v7-overlay"),
    m("mount", "\"cgroup", "the cgroup's files, inside", "cgroups(7)", "v6-cgroups"),
    m("mount", "", "a mount", "mount(2)", "v2-mountns"),
    m("fsopen", "", "a new file system, without a place yet", "fsopen(2)", "v2-mountns"),
    m("fsmount", "", "a mount of it, whose root is held open", "fsmount(2)", "v2-mountns"),
    m(
        "open_tree",
        "CLONE",
        "a copy of a mount, without a place yet: a bind mount's first half",
        "open_tree(2)",
        "v2-mountns",
    ),
    m(
        "mount_setattr",
        "RDONLY",
        "read-only, while nobody can see it",
        "mount_setattr(2)",
        "v2-mountns",
    ),
    m("move_mount", "", "and its place: the second half of a mount", "move_mount(2)", "v2-mountns"),
    m(
        "mknodat",
        "-1 EPERM",
        "not in a user namespace: the host's device is bound instead",
        "user_namespaces(7)",
        "v2-mountns",
    ),
    m("mknodat", "", "a device", "mknod(2)", "v2-mountns"),
    m("prctl", "PR_SET_PDEATHSIG", "if my parent dies, I do", "prctl(2)", "v1-chroot"),
    m("sendto", "RTM_NEWLINK", "a new network device", "rtnetlink(7)", "v5-netns"),
    m("sendto", "RTM_SETLINK", "a network device, set up (or: may I?)", "rtnetlink(7)", "v5-netns"),
    m("sendto", "RTM_DELLINK", "a network device, gone", "rtnetlink(7)", "v5-netns"),
    m("sendto", "RTM_NEWADDR", "an address", "rtnetlink(7)", "v5-netns"),
    m("sendto", "RTM_NEWROUTE", "a way to everywhere else", "rtnetlink(7)", "v5-netns"),
    m(
        "write",
        "/forwarding>",
        "packets may pass between this link and others",
        "ip(7)",
        "v5-netns",
    ),
    m("write", "/sys/fs/cgroup/", "a limit, or a member of a cgroup", "cgroups(7)", "v6-cgroups"),
    m("listen", "", "a port of the host", "listen(2)", "v5-netns"),
    m("fork", "", "one more process", "fork(2)", "v1-chroot"),
    m("vfork", "", "one more process", "vfork(2)", "v1-chroot"),
    m("clone", "CLONE_THREAD", "a thread", "pthreads(7)", "v5-netns"),
    m("clone3", "CLONE_THREAD", "a thread", "pthreads(7)", "v5-netns"),
    m("clone", "", "one more process", "fork(2)", "v1-chroot"),
    m("clone3", "", "one more process", "fork(2)", "v1-chroot"),
    m(
        "openat2",
        "O_PATH, resolve=RESOLVE_NO_MAGICLINKS}",
        "what would be executed is looked at: no link may lead out",
        "openat2(2)",
        "v2-mountns",
    ),
    m("execve", "", "the process becomes this program", "execve(2)", "v1-chroot"),
];

/// The names of the calls that strace has to look at, each once.
pub(super) fn calls() -> Vec<&'static str> {
    let mut names: Vec<_> = MEANINGS.iter().map(|meaning| meaning.call).collect();
    names.sort_unstable();
    names.dedup();
    // Not every processor has these; strace takes a name with a question mark or leaves it.
    let optional = |name| match name {
        "fork" => "?fork",
        "vfork" => "?vfork",
        name => name,
    };
    names.into_iter().map(optional).collect()
}

/// What a call is for, if it helps to make a container.
pub(super) fn of(call: &Call) -> Option<&'static Meaning> {
    let says = |words| call.arguments.contains(words) || call.result.contains(words);
    MEANINGS.iter().find(|meaning| meaning.call == call.name && says(meaning.words))
}
