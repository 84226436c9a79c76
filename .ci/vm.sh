# shellcheck shell=bash
# The tests on a machine whose cgroups are version 2 only: a virtual machine with the kernel of this
# distribution, Debian or Ubuntu, and this machine's root directory, read-only. Emulated, so it
# needs no KVM, and is about ten times slower. Sourced by .ci/run.

# What the kernel needs to reach the root directory. The rest it loads from there when it is asked.
VM_MODULES=(virtio_pci virtio_blk 9pnet_virtio 9p)
VM_SECONDS=${VM_SECONDS:-2400}

test_in_virtual_machine() {
    local vm=$BORROWED/vm
    [[ $(uname -m) == x86_64 ]] || fail "the virtual machine is for x86_64 only"
    mkdir "$vm"
    fetch_kernel "$vm"
    pack_initramfs "$vm"
    make_disk "$vm"
    collect_tests "$vm"
    cp .ci/vm/init.sh "$vm"
    # What the kernel calls for a module, instead of /sbin/modprobe.
    printf '#!/bin/sh\nexec modprobe --dirname %s "$@"\n' "$vm/unpacked" >"$vm/modprobe"
    chmod 755 "$vm/modprobe"
    boot "$vm" || fail "the emulator ended with $? (124: no end within $VM_SECONDS seconds)"
    judge "$vm"
}

# The distribution's kernel and static busybox, unpacked and not installed. Debian has a kernel and
# its modules in one package. Ubuntu has them in two, and before 25.10 in three; the third has what
# a virtual machine seldom needs, which may be what a test loads.
fetch_kernel() {
    local vm=$1 package
    local -a packages=(busybox-static)
    mkdir "$vm/packages"
    apt-get update --quiet --quiet
    VM_RELEASE=$(kernel_release)
    [[ -n $VM_RELEASE ]] || fail "apt knows no kernel: neither Debian's nor Ubuntu's packages"
    for package in linux-{image,modules,modules-extra}-"$VM_RELEASE"; do
        [[ -z $(apt-cache show "$package" 2>/dev/null) ]] || packages+=("$package")
    done
    (cd "$vm/packages" && apt-get -o APT::Sandbox::User=root download --quiet --quiet \
        "${packages[@]}")
    for package in "$vm"/packages/*.deb; do
        dpkg-deb --extract "$package" "$vm/unpacked"
        rm "$package"
    done
    # Since Debian 13, /lib is a link and packages no longer say so.
    [[ -e $vm/unpacked/lib/modules ]] || ln --symbolic usr/lib "$vm/unpacked/lib"
    find "$vm/unpacked" -path '*/bin/busybox' -exec cp {} "$vm/busybox" \;
}

# The release of the kernel that Debian's or Ubuntu's package without a number depends on. (Ubuntu's
# for virtual machines is the usual kernel, without the third package.)
kernel_release() {
    local package
    for package in linux-image-amd64 linux-image-virtual; do
        apt-cache depends "$package" 2>/dev/null || true
    done | sed --quiet 's/^ *Depends: linux-image-\([0-9]\)/\1/p' | sed 1q
}

# The modules, what loads them, and the first program.
pack_initramfs() {
    local vm=$1 root=$1/initramfs unpacked=$1/unpacked file
    mkdir --parents "$root"/{bin,dev,proc,modules}
    depmod --basedir "$unpacked" "$VM_RELEASE"
    modprobe --dirname "$unpacked" --set-version "$VM_RELEASE" --show-depends --all \
        "${VM_MODULES[@]}" | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
        while read -r file; do
            cp "$file" "$root/modules/"
            basename "$file" | sed 's/\.\(xz\|zst\)$//'
        done >"$root/modules/order"
    # Debian compresses them since 13, Ubuntu since 24.04.
    find "$root/modules" -name '*.xz' -exec xz --decompress {} +
    find "$root/modules" -name '*.zst' -exec zstd --decompress --quiet --rm {} +
    cp "$vm/busybox" "$root/bin/busybox"
    cp .ci/vm/initramfs.sh "$root/init"
    chmod 755 "$root/init"
    (cd "$root" && find . | "$vm/busybox" cpio -o -H newc) 2>/dev/null | gzip -1 >"$vm/initramfs.gz"
}

# What the tests write on. On a tmpfs of this kernel no ordinary user can have an overlayfs.
make_disk() {
    truncate --size 8G "$1/disk" # it has holes: what is not written takes no place
    mkfs.ext4 -q "$1/disk"
}

# The binaries, where every user can read them, and `runs`: who runs what, with which arguments.
#
# Linked statically, at fixed addresses: emulated, a dynamic linker takes five times as long as all
# the rest of a launcher (measured: a start of v4 in 145 ms with it, in 25 ms without).
collect_tests() {
    local vm=$1 stage executable
    mkdir --parents "$vm/target/deps"
    build_static "$vm" | while read -r stage executable; do
        case $executable in
            */deps/*)
                cp "$executable" "$vm/target/deps/$stage"
                # In there is no network: what the tests fetch, they fetch before they start.
                [[ $stage != v8-* ]] || (cd "$stage" && "$executable" --list >/dev/null)
                ;;
            *) cp "$executable" "$vm/target/$stage" ;;
        esac
    done
    for stage in v[0-9]-*; do
        vm_runs "$stage"
    done >"$vm/runs"
    [[ -z ${VM_RUNS:-} ]] || printf '%s\n' "$VM_RUNS" >"$vm/runs"
    [[ -s $vm/runs ]] || fail "no tests for the virtual machine"
}

# Prints a line for each binary: its crate, its path.
build_static() {
    local vm=$1 stage
    local -a packages=(--package testbed --package workshop)
    for stage in v[0-9]-*; do
        [[ -z $(vm_runs "$stage") && ${VM_RUNS:-} != *$stage* ]] || packages+=(--package "$stage")
    done
    RUSTFLAGS="-C target-feature=+crt-static -C relocation-model=static" \
        CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=0 \
        cargo build "${packages[@]}" --bins --test container --test book --test xray --locked \
        --target-dir "$vm/build" --target "$(rustc --print host-tuple)" \
        --message-format json-render-diagnostics |
        sed --quiet 's|.*/\([^/]*\)/Cargo.toml".*"executable":"\([^"]*\)".*|\1 \2|p'
}

# vm_runs STAGE: lines of the form WHO STAGE [ARGUMENT...]. They are short runs, as `cargo test` is
# one, or the whole suite's trials.
#
# What depends on the kernel and on cgroups: v6 as root, and v7 as the user, for whom everything is
# harder (among them the hostile archives). v1 to v5 are in those: the tests of v6 and v7 hold all
# that the steps before them keep. Of v7 as root layers and images, by the whole suite's trials,
# because root's short run has them as the user. v8 as root, since the limits of a pod are cgroups.
vm_runs() {
    local no_load="--skip is_never_missed --skip killed_while_unpacking --skip nothing_else"
    no_load+=" --skip real_image --skip a_signal_ends"
    case $1 in
        # Also its page of the book, which shows cgroup v2, and how xray reads that; and as root
        # what an ordinary user gets: for root's tests a host has cgroups of its own, of which some
        # can be delegated.
        v6-*)
            echo "root $1 ::root $no_load"
            echo "root $1 on_v2_"
            echo "root $1 an_ordinary_user_is_told"
            echo "root testbed page/v6"
            echo "root workshop limits_are_those_asked_for"
            ;;
        v7-*)
            echo "user $1 ::user $no_load"
            echo "root_whole $1 layer $no_load --skip ::user"
            echo "root_whole $1 upper $no_load --skip ::user"
            echo "root_whole $1 image $no_load --skip ::user"
            ;;
        v8-*)
            echo "root $1 $no_load"
            ;;
    esac
}

boot() {
    local vm=$1
    # Nothing is left of it when it has ended, and it ends when time is up, when it panics, and with
    # this script.
    timeout --foreground --kill-after=5 "$VM_SECONDS" setpriv --pdeathsig KILL \
        qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
        -machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m 3G \
        -kernel "$vm"/unpacked/boot/vmlinuz-* -initrd "$vm/initramfs.gz" \
        -append "console=ttyS0 quiet panic=-1 oops=panic no_timer_check CI=true \
TESTBED_SLOW=10 TESTBED_IS_BUILT=true TESTBED_DISK=/mnt \
BUSYBOX=$vm/busybox -- /bin/bash $vm/init.sh $vm" \
        -drive "file=$vm/disk,format=raw,if=virtio,cache=unsafe" \
        -virtfs local,path=/,mount_tag=machine,security_model=none,readonly=on,multidevs=remap \
        -serial stdio -serial "file:$vm/status" </dev/null | sed --unbuffered 's/\r$//'
}

judge() {
    local vm=$1 status
    status=$(tr --delete '\r' <"$vm/status")
    [[ $status == "passed $(wc --lines <"$vm/runs")" ]] ||
        fail "the virtual machine ended with: ${status:-no word (see above)}"
}
