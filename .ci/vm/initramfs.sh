#!/bin/busybox sh
# The first program of the virtual machine, in its initramfs (busybox): finds the root directory
# and goes there. Nothing can be tested here: pivot_root refuses to leave an initramfs.
set -e
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
exec >/dev/console 2>&1
# Each after those it needs.
while read -r module; do insmod "/modules/$module"; done </modules/order

# The machine's own root directory, read-only (9p: the emulator reads the files for us). `loose`:
# nobody changes them meanwhile, so what was read once stays in memory.
mkdir /machine
mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=524288 machine /machine
umount /proc
mount -o move /dev /machine/dev
exec switch_root -c /dev/console /machine "$@"
