# The tests on a machine whose cgroups are version 2 only: a virtual machine with Debian's kernel
# and this machine's root directory, read-only. Emulated, so it needs no KVM, and is about ten
# times slower. Sourced by .ci/run.

# What the stages ask of the kernel, beside what reaches the root directory. Nothing in the virtual
# machine could load more: the root directory holds no modules for this kernel.
VM_MODULES=(virtio_pci 9pnet_virtio 9p
    overlay veth bridge dummy nf_tables nft_chain_nat nft_nat nft_masq nft_redir nft_ct nft_fib_inet
    nft_reject_inet)
VM_SECONDS=${VM_SECONDS:-900}

test_in_virtual_machine() {
    local vm=$BORROWED/vm
    mkdir "$vm"
    fetch_kernel "$vm"
    pack_initramfs "$vm"
    collect_tests "$vm"
    cp .ci/vm/init.sh "$vm"
    boot "$vm"
    judge "$vm"
}

# Debian's kernel and static busybox, unpacked and not installed.
fetch_kernel() {
    local vm=$1 kernel package
    mkdir "$vm/packages"
    kernel=$(apt-cache depends linux-image-amd64 | awk '$1 == "Depends:" { print $2 }')
    (cd "$vm/packages" && apt-get -o APT::Sandbox::User=root download --quiet --quiet \
        "$kernel" busybox-static)
    for package in "$vm"/packages/*.deb; do
        dpkg-deb --extract "$package" "$vm/unpacked"
        rm "$package"
    done
    VM_RELEASE=${kernel#linux-image-}
    # Since Debian 13, /lib is a link and packages no longer say so.
    [[ -e $vm/unpacked/lib/modules ]] || ln --symbolic usr/lib "$vm/unpacked/lib"
    find "$vm/unpacked" -path '*/bin/busybox' -exec cp {} "$vm/busybox" \;
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
            basename "${file%.xz}"
        done >"$root/modules/order"
    find "$root/modules" -name '*.xz' -exec xz --decompress {} +
    cp "$vm/busybox" "$root/bin/busybox"
    cp .ci/vm/initramfs.sh "$root/init"
    chmod 755 "$root/init"
    (cd "$root" && find . | "$vm/busybox" cpio -o -H newc) 2>/dev/null | gzip -1 >"$vm/initramfs.gz"
}

# The binaries, without what only a debugger reads, where every user can read them; and `runs`: who
# runs what, with which arguments.
collect_tests() {
    local vm=$1 stage binary
    mkdir --parents "$vm/target/deps"
    cargo build --workspace --bins --locked
    for stage in v[0-9]-*; do
        binary=$(test_binary "$stage")
        strip --strip-debug -o "$vm/target/deps/$stage" "$binary"
        strip --strip-debug -o "$vm/target/$stage" "target/debug/$stage"
        vm_arguments "$stage" | while read -r arguments; do
            echo "root $stage $arguments"
            echo "user $stage $arguments"
        done
    done >"$vm/runs"
}

test_binary() {
    cargo test --package "$1" --test container --no-run --locked 2>&1 |
        sed --quiet 's/^ *Executable .*(\(.*\))$/\1/p'
}

boot() {
    local vm=$1
    # Nothing is left of it when it has ended, and it ends when time is up, when it panics, and with
    # this script.
    timeout --foreground --kill-after=5 "$VM_SECONDS" setpriv --pdeathsig KILL \
        qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
        -machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m 3G \
        -kernel "$vm"/unpacked/boot/vmlinuz-* -initrd "$vm/initramfs.gz" \
        -append "console=ttyS0 quiet panic=-1 oops=panic CI=true TESTBED_SLOW=10 \
BUSYBOX=$vm/busybox -- /bin/bash $vm/init.sh $vm" \
        -virtfs local,path=/,mount_tag=machine,security_model=none,readonly=on,multidevs=remap \
        -serial stdio -serial "file:$vm/status" </dev/null | sed --unbuffered 's/\r$//'
}

judge() {
    local vm=$1 status
    status=$(tr --delete '\r' <"$vm/status")
    [[ $status == "passed $(wc --lines <"$vm/runs")" ]] ||
        fail "the virtual machine ended with: ${status:-no word (see above)}"
}
