//! The list of all attacks, with what is claimed of each.

use super::attack::{ATTACK, Attack, Depends, Starts};
use super::who::Who;
use super::{attacker, victim};

const V1: &[usize] = &[1];
const V1_TO_V2: &[usize] = &[1, 2];
const V1_TO_V3: &[usize] = &[1, 2, 3];
const V1_TO_V4: &[usize] = &[1, 2, 3, 4];
const V1_TO_V6: &[usize] = &[1, 2, 3, 4, 5, 6];
const V6_TO_V8: &[usize] = &[6, 7, 8];
const V1_TO_V7: &[usize] = &[1, 2, 3, 4, 5, 6, 7];
const ALL_STEPS: &[usize] = &[1, 2, 3, 4, 5, 6, 7, 8];

/// What a setting of the kernel decides, for an ordinary user, in the container as on the host.
const fn by_setting(
    on: &'static str,
    places: &'static [usize],
    refusal: &'static str,
) -> Option<Depends> {
    let (leaks, is_stopped) = ("if the kernel lets", "if the kernel does not let");
    Some(Depends { who: Who::User, places, on, refusal, leaks, is_stopped })
}

/// What it decides for root whether the machine's controllers are in cgroup v1.
const fn by_cgroups(places: &'static [usize], refusal: &'static str) -> Option<Depends> {
    let (on, leaks, is_stopped) = ("cgroup v1", "with cgroup v1", "with cgroup v2");
    Some(Depends { who: Who::Root, places, on, refusal, leaks, is_stopped })
}

/// All attacks, in the order of the steps that stop them.
pub(super) const ALL: &[Attack] = &[
    Attack {
        id: "leaked-descriptor",
        does: "read the host's files below a directory that the caller has left open",
        why: "A path needs a root directory, a descriptor needs nothing. v1 marks every \
              descriptor but 0, 1 and 2 close-on-exec before it executes the command; from v2 on \
              they are closed with the change of root.",
        attacker: attacker::leaked_descriptor,
        victim: victim::OPEN_DIRECTORY,
        ..ATTACK
    },
    Attack {
        id: "workdir-descriptor",
        does: "read the host's files from a working directory that is a descriptor of the launcher",
        why: "An image, or a manifest, can name /proc/self/fd/N as its working directory. \
              Close-on-exec is too late for that: the directory is entered before. Since v2 the \
              steps close all descriptors of the host as soon as they have changed the root. v1 \
              to v6 have no such option; there the caller stands in a directory of the host.",
        docker: "runc had this hole (CVE-2024-21626).",
        attacker: attacker::read_from_here,
        victim: victim::DIRECTORY,
        starts: Starts::InDescriptors,
        ..ATTACK
    },
    Attack {
        id: "command-link",
        does: "start a program of the host, by a command that is a link through a descriptor",
        why: "The command is looked up before the descriptors close at its execve(2). Now they \
              are closed before the look-up, and a command that is a link of the kernel's, as \
              those in /proc/PID, is refused. v1 has no /proc, so the link leads nowhere. (Root's \
              container could mount one there for the next; but it has better ways out.)",
        attacker: attacker::say_what_runs,
        victim: victim::PROGRAM,
        starts: Starts::ByLinks,
        ..ATTACK
    },
    Attack {
        id: "walk-out",
        does: "walk out of the root directory by a second chroot, and read a file of the host",
        why: "chroot moves the root directory and leaves everything else where it is. After \
              pivot_root there is nothing above the root: the host's is not mounted any more.",
        leaves_first: true,
        leaks_for_root: V1,
        leaks_for_user: V1,
        ..ATTACK
    },
    Attack {
        id: "shared-file",
        does: "read what processes of the host share by name, in /dev/shm",
        why: "Since v2 a container has a /dev, and so a /dev/shm, of its own.",
        attacker: attacker::read_shared_file,
        victim: victim::SHARED_FILE,
        leaves_first: true,
        leaks_for_root: V1,
        leaks_for_user: V1,
        ..ATTACK
    },
    Attack {
        id: "kill-process",
        does: "kill a process of the host",
        why: "What has no number cannot be named. In a PID namespace of its own, a process has \
              numbers for those in it, and no others. (One name is left that is no number of \
              anybody: see kill-group.)",
        attacker: attacker::kill_process,
        victim: victim::PROCESS_TO_KILL,
        leaks_for_root: V1_TO_V2,
        leaks_for_user: V1_TO_V2,
        ..ATTACK
    },
    Attack {
        id: "see-process",
        does: "read the command line of a process of the host",
        why: "/proc shows the processes of the PID namespace that it was mounted in. In v1 the \
              attacker has walked out, and looks at the host's; v2 mounts one that shows the \
              same.",
        attacker: attacker::see_process,
        victim: victim::PROCESS,
        leaves_first: true,
        leaks_for_root: V1_TO_V2,
        leaks_for_user: V1_TO_V2,
        ..ATTACK
    },
    Attack {
        id: "read-environment",
        does: "read the environment of a process of the host",
        why: "As above. Without root, the user namespace stops it from the first step on: who is \
              in one may not look into a process outside, not even of the same user (ptrace(2)).",
        attacker: attacker::read_environment,
        victim: victim::PROCESS,
        leaves_first: true,
        leaks_for_root: V1_TO_V2,
        ..ATTACK
    },
    Attack {
        id: "process-root",
        does: "read a file of the host through /proc/PID/root",
        why: "For root, pivot_root alone is no prison: /proc leads to the root directory of every \
              process that it shows. The PID namespace takes them out of sight.",
        attacker: attacker::read_through_root,
        victim: victim::PROCESS,
        leaves_first: true,
        leaks_for_root: V1_TO_V2,
        ..ATTACK
    },
    Attack {
        id: "read-memory",
        does: "read the memory of a process of the host (process_vm_readv)",
        why: "As with kill-process. Without root the user namespace stops it earlier.",
        attacker: attacker::read_memory,
        victim: victim::MEMORY,
        leaks_for_root: V1_TO_V2,
        ..ATTACK
    },
    Attack {
        id: "change-launcher",
        does: "change the launcher's own file, through /proc",
        why: "A root file system can hold a command that is a link to /proc/self/exe. At that \
              moment it is the launcher, a file of the host, which would then run inside, where \
              others can reach it: the steps refuse such a command. That is enough where nothing \
              else of the host is in sight; in v2 the supervisor is (/proc/PID/exe). In v1 the \
              attacker has walked out, and finds the file by its path. From v3 to v7 two \
              ways are left, which are not tried here: two containers share a rootfs, and one \
              swaps the link in between the look and the execve(2) of the other; or the host has \
              registered an interpreter by its name (binfmt_misc, without F), and the root file \
              system has a link of that name. v8 runs from a sealed copy in memory, and that is \
              what an attacker would get.",
        docker: "runc had this hole (CVE-2019-5736). Since 1.2 it shows its own file by a \
                 read-only overlay, and where it cannot, it runs from such a copy.",
        attacker: attacker::change_launcher,
        victim: victim::LAUNCHER,
        leaves_first: true,
        starts: Starts::AlsoThroughLauncher,
        leaks_for_root: V1_TO_V2,
        leaks_for_user: V1_TO_V2,
        ..ATTACK
    },
    Attack {
        id: "rename-host",
        does: "change the hostname of the machine",
        why: "In a UTS namespace of its own, the container renames itself. Without root nobody \
              could rename the machine in the first place.",
        attacker: attacker::set_hostname,
        victim: victim::HOSTNAME,
        takes_root: true,
        leaks_for_root: V1_TO_V3,
        ..ATTACK
    },
    Attack {
        id: "reach-loopback",
        does: "connect to a service that listens on the host's 127.0.0.1",
        why: "In a network namespace of its own, 127.0.0.1 is the container itself.",
        attacker: attacker::reach_loopback,
        victim: victim::LOOPBACK_SERVICE,
        leaks_for_root: V1_TO_V4,
        leaks_for_user: V1_TO_V4,
        ..ATTACK
    },
    Attack {
        id: "reach-abstract",
        does: "connect to a Unix socket of the host that has no file (containerd had such a hole)",
        why: "Sockets with a file belong to whoever sees the file. Those without one belong to \
              the network namespace.",
        attacker: attacker::reach_abstract,
        victim: victim::ABSTRACT_SERVICE,
        leaks_for_root: V1_TO_V4,
        leaks_for_user: V1_TO_V4,
        ..ATTACK
    },
    Attack {
        id: "listen-to-loopback",
        does: "listen to what processes of the host say to each other on 127.0.0.1",
        why: "A raw socket hears the devices of its own network namespace. Without root, in the \
              host's network, none can be made at all.",
        attacker: attacker::listen_to_loopback,
        victim: victim::TALK,
        takes_root: true,
        leaks_for_root: V1_TO_V4,
        ..ATTACK
    },
    Attack {
        id: "release-agent",
        does: "mount a hierarchy of cgroup v1, and name a program for the kernel to start",
        why: "Only who is in the first cgroup namespace may make a new hierarchy, and v6 leaves \
              it. With cgroup v2 that is all. Where the machine still has controllers in v1, the \
              hierarchies that exist can be mounted, and of those in which the container has no \
              cgroup of its own, the root is the host's, with the file in it. (Opened for \
              writing; nothing is written.)",
        docker: "Docker takes CAP_SYS_ADMIN away, and so mount(2).",
        attacker: attacker::open_release_agent,
        victim: victim::HIERARCHY,
        takes_root: true,
        depends_on: by_cgroups(V6_TO_V8, "EPERM"),
        leaks_for_root: ALL_STEPS,
        ..ATTACK
    },
    Attack {
        id: "eat-memory",
        does: "use 128 MiB of memory, where the host meant to give 64",
        why: "The kernel kills whoever goes above the limit of its cgroup. But root can mount the \
              hierarchy, and lift the limit first. cgroup v2 has an option against that, \
              nsdelegate, which systemd sets; v1 has none. In v8 the pod's own limit stands \
              above, out of the container's sight. (Whoever leaves by another row lifts that as \
              well.) Without root there is no limit here: it takes a cgroup that was delegated to \
              the user.",
        docker: "`docker run` gives no limit either, unless you say `-m`.",
        attacker: attacker::eat_memory,
        victim: victim::MEMORY_OF_MACHINE,
        depends_on: by_cgroups(&[6, 7], "SIGKILL"),
        leaks_for_root: V1_TO_V7,
        leaks_for_user: ALL_STEPS,
        ..ATTACK
    },
    Attack {
        id: "fork-bomb",
        does: "make 100 processes, where the host meant to give 40",
        why: "`--pids-limit` stops it, if the limit cannot be lifted, as above. v8 reads a Pod \
              manifest, in which there is no such field; in Kubernetes the kubelet of each node \
              has a setting for it. Without root there is no limit here: it takes a cgroup that \
              was delegated to the user.",
        docker: "`docker run` gives no limit either, unless you say `--pids-limit`.",
        attacker: attacker::fork_without_end,
        victim: victim::NUMBERS_OF_MACHINE,
        depends_on: by_cgroups(&[6, 7], "EAGAIN"),
        leaks_for_root: ALL_STEPS,
        leaks_for_user: ALL_STEPS,
        ..ATTACK
    },
    Attack {
        id: "spoil-files",
        does: "leave a file in the root directory of the next container",
        why: "v1 to v6 start every container in one and the same directory. Since v7, what a \
              container writes goes to a layer of its own.",
        attacker: attacker::spoil_shared_files,
        victim: victim::NEXT_CONTAINER,
        leaks_for_root: V1_TO_V6,
        leaks_for_user: V1_TO_V6,
        ..ATTACK
    },
    Attack {
        id: "system-v-memory",
        does: "read System V shared memory of the host",
        why: "It belongs to the IPC namespace. A container of v1 to v7 is in the host's; v8 makes \
              one for each pod, which all its containers share.",
        docker: "Docker makes an IPC namespace for each container.",
        attacker: attacker::read_system_v_memory,
        victim: victim::SYSTEM_V_MEMORY,
        leaks_for_root: V1_TO_V7,
        leaks_for_user: V1_TO_V7,
        ..ATTACK
    },
    Attack {
        id: "type-into-terminal",
        does: "type a letter into the terminal that the container was started from",
        why: "A container of v1 to v7 has its caller's terminal, for job control, and the kernel \
              lets it type there (TIOCSTI). It can also take the terminal's file from others, or \
              give it to them (chmod). The containers of v8 leave it. Since Linux 6.2 the kernel \
              can refuse the typing to ordinary users.",
        docker: "Docker gives a container a new pseudo-terminal, and carries letters over.",
        attacker: attacker::type_into_terminal,
        victim: victim::TERMINAL,
        needs_terminal: true,
        depends_on: by_setting("dev.tty.legacy_tiocsti", &[0, 1, 2, 3, 4, 5, 6, 7], "EIO"),
        leaks_for_root: V1_TO_V7,
        leaks_for_user: V1_TO_V7,
        ..ATTACK
    },
    Attack {
        id: "kill-group",
        does: "send a signal to the process group that the launcher was started in",
        why: "kill(2) with the number 0 needs no number of anybody. Where there is a terminal, a \
              command of v1 to v7 stays in its caller's group, for the sake of Ctrl-C, and a \
              group has members on both sides of a PID namespace. Without a terminal it gets a \
              group of its own, and so do the containers of v8 in any case.",
        docker: "Docker always makes a new session, and so a new group.",
        attacker: attacker::signal_group,
        victim: victim::GROUP,
        needs_terminal: true,
        leaks_for_root: V1_TO_V7,
        leaks_for_user: V1_TO_V7,
        ..ATTACK
    },
    Attack {
        id: "redirected-output",
        does: "read the file that the caller adds the output to (`>> log`), and empty it",
        why: "The file is the container's own standard output, as with every program. It was \
              opened for writing; through /proc/self/fd/1 it is opened for reading. (Its mode \
              can be changed there, too, and with a range of ids its owner.) A container of v8 \
              writes to a pipe, and the launcher to the file.",
        docker: "Docker carries the output over as well.",
        attacker: attacker::spoil_output,
        victim: victim::LOG,
        leaks_for_root: V1_TO_V7,
        leaks_for_user: V1_TO_V7,
        ..ATTACK
    },
    Attack {
        id: "host-null",
        does: "take all rights from the host's /dev/null, where that is the standard input",
        why: "A descriptor of a device is as good as its name: the mode can be changed by whoever \
              owns the node, and that is root, inside as outside. With `</dev/null` the caller \
              hands the host's node over. From v2 on a container has its own, and the launcher \
              puts that in its place. In a user namespace the owner is somebody else.",
        docker: "runc opens a null device that it was given anew, in the container's own /dev.",
        attacker: attacker::spoil_input,
        victim: victim::NULL,
        takes_root: true,
        leaks_for_root: V1,
        ..ATTACK
    },
    Attack {
        id: "session-keyring",
        does: "read a key of the keyring that the caller's session has",
        why: "No namespace has to do with it: a session keyring goes from parent to child, and \
              programs keep passwords and tickets there. A launcher has to join a new one, and no \
              step does.",
        docker: "Docker gives a container a new one, and forbids keyctl(2).",
        attacker: attacker::read_key,
        victim: victim::KEY,
        needs_kernel: Some(("keyrings", &["ENOSYS"])),
        leaks_for_root: ALL_STEPS,
        leaks_for_user: ALL_STEPS,
        ..ATTACK
    },
    Attack {
        id: "file-handle",
        does: "open a file of the host by its handle, without a path (\"shocker\")",
        why: "The handle of a file is its number in its file system, and can be guessed. Root may \
              open it with any descriptor of that file system in hand: no namespace is asked. \
              (Here the attacker is told the handle.) v1 to v6 start in a directory of the host. \
              The overlay of v7 takes no handles of the file system below it, but a volume is on \
              one: here there is a directory of the same file system, by `-v`, and in v8 by \
              hostPath.",
        docker: "Docker takes CAP_DAC_READ_SEARCH away.",
        attacker: attacker::open_by_handle,
        victim: victim::HANDLE,
        takes_root: true,
        starts: Starts::WithVolume,
        leaks_for_root: ALL_STEPS,
        ..ATTACK
    },
    Attack {
        id: "namespace-handle",
        does: "open the host's mount namespace by its handle, enter it, and read a file there",
        why: "Since Linux 6.18 a namespace has a handle, like a file, and needs no mount to be \
              opened from. Root enters it by setns(2), and stands at the host's root directory. \
              (The attacker is told the handle.) In a user namespace nobody may.",
        docker: "Docker takes CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH away.",
        attacker: attacker::enter_by_handle,
        victim: victim::NAMESPACE,
        takes_root: true,
        needs_kernel: Some(("handles of namespaces (Linux 6.18)", &["EBADF", "EOPNOTSUPP"])),
        leaks_for_root: ALL_STEPS,
        ..ATTACK
    },
    Attack {
        id: "reach-all-addresses",
        does: "connect to a service of the host that listens on all addresses",
        why: "Root's container is on a network with the host, by the bridge, and what listens on \
              all addresses listens there, too. Without root there is no bridge.",
        docker: "In Docker it is the same: bind services to one address, or guard the bridge.",
        attacker: attacker::reach_on_all,
        victim: victim::SERVICE_ON_ALL,
        leaks_for_root: ALL_STEPS,
        leaks_for_user: V1_TO_V4,
        ..ATTACK
    },
    Attack {
        id: "make-device",
        does: "make a device node, and read from the device",
        why: "No step takes CAP_MKNOD away or guards devices. Here the device is the kernel's \
              log; the same call makes the host's disk. In a user namespace nobody may.",
        docker: "Docker lets a container make the node, and forbids to open it: a filter of its \
                 cgroup has a list of harmless devices.",
        attacker: attacker::make_device,
        victim: victim::NOBODY,
        takes_root: true,
        leaks_for_root: ALL_STEPS,
        ..ATTACK
    },
    Attack {
        id: "mount-devices",
        does: "mount the file system with all devices of the machine, and read from one",
        why: "No step takes CAP_SYS_ADMIN away, without which nobody mounts. In a user namespace \
              only harmless file systems can be mounted.",
        docker: "Docker takes CAP_SYS_ADMIN away, and so mount(2).",
        attacker: attacker::mount_devices,
        victim: victim::NOBODY,
        takes_root: true,
        leaks_for_root: ALL_STEPS,
        ..ATTACK
    },
    Attack {
        id: "mount-kernel-filesystems",
        does: "mount /sys, debugfs and tracefs, and open a file for writing in one of them",
        why: "As above. No step gives a container the host's /sys, and it does not need that: it \
              mounts it anew, and can write to it.",
        docker: "Docker takes CAP_SYS_ADMIN away, and mounts /sys read-only.",
        attacker: attacker::mount_kernel_filesystems,
        victim: victim::NOBODY,
        takes_root: true,
        leaks_for_root: ALL_STEPS,
        ..ATTACK
    },
    Attack {
        id: "core-pattern",
        does: "open for writing the file that names a program, which the kernel starts on the host",
        why: "/proc/sys/kernel/core_pattern is the machine's, in whatever namespace one is. A \
              root in a user namespace may not write to it.",
        docker: "Docker mounts /proc/sys read-only.",
        attacker: attacker::write_core_pattern,
        victim: victim::NOBODY,
        leaves_first: true,
        takes_root: true,
        leaks_for_root: ALL_STEPS,
        ..ATTACK
    },
    Attack {
        id: "bpf",
        does: "load a program into the kernel (bpf(2))",
        why: "Such programs see what all processes do, and can change it. It takes CAP_BPF, or \
              CAP_SYS_ADMIN, of the host's user namespace, and no step takes them away. (The \
              program here does nothing.)",
        docker: "Docker takes both capabilities away.",
        attacker: attacker::load_program,
        victim: victim::NOBODY,
        takes_root: true,
        needs_kernel: Some(("programs for devices of cgroups", &["ENOSYS", "EINVAL"])),
        leaks_for_root: ALL_STEPS,
        ..ATTACK
    },
    Attack {
        id: "kernel-log",
        does: "read the kernel's log (syslog(2))",
        why: "There is one for the whole machine, with addresses and names in it. No step takes \
              CAP_SYSLOG away. A setting decides whether everybody may read it.",
        docker: "Docker takes CAP_SYSLOG away, and forbids syslog(2).",
        attacker: attacker::read_kernel_log,
        victim: victim::NOBODY,
        depends_on: by_setting("kernel.dmesg_restrict", &[0, 1, 2, 3, 4, 5, 6, 7, 8], "EPERM"),
        leaks_for_root: ALL_STEPS,
        leaks_for_user: ALL_STEPS,
        ..ATTACK
    },
    Attack {
        id: "set-clock",
        does: "set the machine's clock",
        why: "A time namespace has no wall clock of its own, so only CAP_SYS_TIME is asked for, \
              and no step takes it away. (Set here is the rate of the clock, to what it is.)",
        docker: "Docker takes CAP_SYS_TIME away.",
        attacker: attacker::set_clock,
        victim: victim::NOBODY,
        takes_root: true,
        leaks_for_root: ALL_STEPS,
        ..ATTACK
    },
    Attack {
        id: "nested-user-namespace",
        does: "make a user namespace, and have all capabilities in it",
        why: "Nothing of the host is reached by that alone. But much code of the kernel trusts \
              whoever has capabilities, and many holes were found there. (In chroot the kernel \
              refuses it; in v1 the attacker has walked out.)",
        docker: "Docker forbids it by a filter of system calls.",
        attacker: attacker::make_user_namespace,
        victim: victim::NOBODY,
        leaves_first: true,
        leaks_for_root: ALL_STEPS,
        leaks_for_user: ALL_STEPS,
        ..ATTACK
    },
    Attack {
        id: "io_uring",
        does: "make a queue through which system calls are made without being seen by a filter",
        why: "Nothing of the host is reached by that alone. It is much new code, in which many \
              holes were found, and no filter of system calls sees what goes through it.",
        docker: "Docker forbids it by a filter of system calls.",
        attacker: attacker::make_io_uring,
        victim: victim::NOBODY,
        needs_kernel: Some(("io_uring, or forbids it to all", &["ENOSYS", "EPERM"])),
        leaks_for_root: ALL_STEPS,
        leaks_for_user: ALL_STEPS,
        ..ATTACK
    },
    Attack {
        id: "vsock",
        does: "make a socket to the machine that this one is a guest of (vsock(7))",
        why: "On Linux 6.18 these sockets know no network namespace: with one, a container \
              reaches what only the host should. Here it is made, and nobody is called.",
        docker: "Docker forbids it by a filter of system calls.",
        attacker: attacker::make_vsock,
        victim: victim::NOBODY,
        needs_kernel: Some(("such sockets", &["EAFNOSUPPORT"])),
        leaks_for_root: ALL_STEPS,
        leaks_for_user: ALL_STEPS,
        ..ATTACK
    },
];

/// The attack of this name.
pub(super) fn find(id: &str) -> Option<&'static Attack> {
    ALL.iter().find(|attack| attack.id == id)
}
