#!/bin/bash
# Process 1 of the virtual machine, in the machine's root directory: does what systemd would, runs
# the tests and switches off. A shell reaps what it adopts while it waits.
#
#   init.sh DIRECTORY       what .ci/vm.sh has put there
set -uo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb
DIRECTORY=$1
LEARNER=1000

USER_NAMESPACES_RESTRICTED=/proc/sys/kernel/apparmor_restrict_unprivileged_userns
CGROUPS=/sys/fs/cgroup
SERVICE=$CGROUPS/system.slice/container-steps.service
MANAGER=$CGROUPS/user.slice/user-$LEARNER.slice/user@$LEARNER.service
SCOPE=$MANAGER/app.slice/run-container-steps.scope

main() {
    # -e does not work below a condition, and one that fails must not start a test.
    (set -e && mount_everything && make_cgroups) || give_up "the machine cannot be set up"
    echo $$ >"$CGROUPS/init.scope/cgroup.procs" || give_up "no cgroup for process 1"
    local -i passed=0
    local identity binary arguments
    while read -r identity binary arguments <&3; do
        printf '\n--- %s: %s %s (at %d s)\n' "$identity" "$binary" "$arguments" "$SECONDS"
        # shellcheck disable=SC2086  # one word for each argument
        "run_as_$identity" "$DIRECTORY/target/deps/$binary" $arguments 2>&1 |
            tee /tmp/output || give_up "$binary as $identity"
        # A filter that no test has in its name is no success.
        grep --quiet '^test result: ok\. [1-9][0-9]* passed' /tmp/output ||
            give_up "$binary as $identity: no test has run"
        passed+=1
    done 3<"$DIRECTORY/runs"
    switch_off "passed $passed"
}

mount_everything() {
    mount -t proc proc /proc
    mount -t sysfs sys /sys
    mkdir /dev/pts /dev/shm
    mount -t devpts devpts /dev/pts
    mount -t tmpfs -o mode=1777 shm /dev/shm
    mount -t tmpfs -o mode=1777 tmp /tmp
    mount -t tmpfs -o mode=755 run /run
    mount -t tmpfs -o mode=755 cache /var/cache
    echo "$DIRECTORY/modprobe" >/proc/sys/kernel/modprobe
    # Ubuntu's kernel: user namespaces for all, as on other machines.
    [[ ! -e $USER_NAMESPACES_RESTRICTED ]] || echo 0 >"$USER_NAMESPACES_RESTRICTED"
    mount -t ext4 -o nosuid,nodev /dev/vda /mnt
    chmod 1777 /mnt
    mount --make-rshared /
    ip link set lo up
    install --directory --owner "$LEARNER" --group "$LEARNER" /run/learner
}

# Version 2 only, with systemd's mount options and its tree: processes in the leaves, controllers
# handed down to them.
make_cgroups() {
    mount -t cgroup2 -o nosuid,nodev,noexec,nsdelegate,memory_recursiveprot cgroup2 "$CGROUPS"
    mkdir -p "$CGROUPS/init.scope" "$SERVICE" "$SCOPE"
    hand_down "+cpuset +cpu +io +memory +pids" "$CGROUPS" "${SERVICE%/*}"
    # What a user's manager gets (systemd's user@.service), and a scope that it delegates as
    # `systemd-run --user --scope -p Delegate=yes` does.
    hand_down "+cpu +memory +pids" \
        "$CGROUPS/user.slice" "${MANAGER%/*}" "$MANAGER" "${SCOPE%/*}"
    local file
    chown "$LEARNER:$LEARNER" "$MANAGER"
    while read -r file; do
        [[ ! -e $MANAGER/$file ]] || chown "$LEARNER:$LEARNER" "$MANAGER/$file"
    done </sys/kernel/cgroup/delegate
    # What the manager makes is all its own, the limits too.
    chown --recursive "$LEARNER:$LEARNER" "${SCOPE%/*}"
}

# hand_down CONTROLLERS CGROUP...: to what is below each of them, from the top.
hand_down() {
    local controllers=$1 directory
    shift
    for directory in "$@"; do
        echo "$controllers" >"$directory/cgroup.subtree_control"
    done
}

run_as_root() (
    echo "$BASHPID" >"$SERVICE/cgroup.procs" && exec "$@" </dev/null
)

# The whole suite's trials, not the short run's.
run_as_root_whole() (
    export TESTBED_WHOLE=true && run_as_root "$@"
)

run_as_user() (
    echo "$BASHPID" >"$SCOPE/cgroup.procs" && export HOME=/run/learner &&
        exec setpriv --reuid "$LEARNER" --regid "$LEARNER" --clear-groups --inh-caps=-all "$@" \
            </dev/null
)

give_up() {
    echo "FAILED in the virtual machine: $*"
    switch_off "failed: $*"
}

# The second serial line is a file outside. Only what stands there counts.
switch_off() {
    echo "$*" >/dev/ttyS1
    "$DIRECTORY/busybox" poweroff -f
}

main
