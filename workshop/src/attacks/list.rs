//! The list of all attacks, with what is claimed of each.

use super::attack::{ATTACK, Attack};
use super::{attacker, victim};

const V1: &[usize] = &[1];
const V1_TO_V2: &[usize] = &[1, 2];
const V1_TO_V3: &[usize] = &[1, 2, 3];
const V1_TO_V4: &[usize] = &[1, 2, 3, 4];
const V1_TO_V5: &[usize] = &[1, 2, 3, 4, 5];
const V1_TO_V6: &[usize] = &[1, 2, 3, 4, 5, 6];
const V1_TO_V7: &[usize] = &[1, 2, 3, 4, 5, 6, 7];
const ALL_STEPS: &[usize] = &[1, 2, 3, 4, 5, 6, 7, 8];

/// All attacks, in the order of the steps that stop them.
pub(super) const ALL: &[Attack] = &[
    Attack {
        id: "leaked-descriptor",
        does: "read the host's files below a directory that the caller has left open",
        why: "A path needs a root directory, a descriptor needs nothing. All steps mark every \
              descriptor but 0, 1 and 2 close-on-exec before they execute the command.",
        attacker: attacker::leaked_descriptor,
        victim: victim::OPEN_DIRECTORY,
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
              numbers for those in it, and no others.",
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
              attacker has walked out, and looks at the host's; v2 mounts one that shows the same.",
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
        why: "Sockets with a file belong to whoever sees the file. Those without one belong to the \
              network namespace.",
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
              it. On a host that still has controllers in v1 this is no help: there the existing \
              hierarchies can be mounted, and some lead to the host's root cgroup.",
        docker: "Docker takes CAP_SYS_ADMIN away, and so mount(2).",
        attacker: attacker::write_release_agent,
        victim: victim::HIERARCHY,
        takes_root: true,
        leaks_for_root: V1_TO_V5,
        ..ATTACK
    },
    Attack {
        id: "eat-memory",
        does: "use 128 MiB of memory, where the host meant to give 64",
        why: "The kernel kills whoever goes above the limit of its cgroup. Without root there is \
              no limit here: it takes a cgroup that was delegated to the user.",
        docker: "`docker run` gives no limit either, unless you say `-m`.",
        attacker: attacker::eat_memory,
        victim: victim::MEMORY_OF_MACHINE,
        leaks_for_root: V1_TO_V5,
        leaks_for_user: ALL_STEPS,
        ..ATTACK
    },
    Attack {
        id: "fork-bomb",
        does: "make 100 processes, where the host meant to give 40",
        why: "`--pids-limit` stops it. v8 reads a Pod manifest, in which there is no such field; \
              in Kubernetes the kubelet of each node has a setting for it. Without root there is \
              no limit here: it takes a cgroup that was delegated to the user.",
        docker: "`docker run` gives no limit either, unless you say `--pids-limit`.",
        attacker: attacker::fork_without_end,
        victim: victim::NUMBERS_OF_MACHINE,
        leaks_for_root: &[1, 2, 3, 4, 5, 8],
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
        id: "file-handle",
        does: "open a file of the host by its handle, without a path (\"shocker\")",
        why: "The handle of a file is its number in its file system, and can be guessed. Root may \
              open it with any descriptor of that file system in hand: no namespace is asked. \
              (Here the attacker is told the handle.) The overlay of v7 takes no handles of the \
              file system below it.",
        docker: "Docker takes CAP_DAC_READ_SEARCH away.",
        attacker: attacker::open_by_handle,
        victim: victim::HANDLE,
        takes_root: true,
        leaks_for_root: V1_TO_V6,
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
              lets it type there (TIOCSTI). The containers of v8 leave it. Since Linux 6.2 the \
              kernel can refuse it to ordinary users.",
        docker: "Docker gives a container a new pseudo-terminal, and carries letters over.",
        attacker: attacker::type_into_terminal,
        victim: victim::TERMINAL,
        needs_terminal: true,
        depends_on: Some(("dev.tty.legacy_tiocsti", "EIO")),
        leaks_for_root: V1_TO_V7,
        leaks_for_user: V1_TO_V7,
        ..ATTACK
    },
    Attack {
        id: "change-launcher",
        does: "change the launcher's own file through /proc, where it is started in the container",
        why: "A root file system can hold a command that is a link to /proc/self/exe. At that \
              moment it is the launcher, a file of the host, which then runs inside, where \
              others can reach it. (In v1 the attacker has walked out, and finds it by its path.) \
              v8 runs from a sealed copy in memory, and that is what the attacker gets.",
        docker: "runc had this hole (CVE-2019-5736), and runs from such a copy since.",
        attacker: attacker::change_launcher,
        victim: victim::LAUNCHER,
        leaves_first: true,
        leaks_for_root: V1_TO_V7,
        leaks_for_user: V1_TO_V7,
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
        id: "core-pattern",
        does: "open for writing the file that names a program, which the kernel starts on the host",
        why: "/proc/sys/kernel/core_pattern is the machine's, in whatever namespace one is. Who \
              is root only in a user namespace may not write to it.",
        docker: "Docker mounts /proc/sys read-only.",
        attacker: attacker::write_core_pattern,
        victim: victim::NOBODY,
        leaves_first: true,
        takes_root: true,
        leaks_for_root: ALL_STEPS,
        ..ATTACK
    },
];
