# shellcheck shell=bash
# The README's promise on a machine that has Rust and nothing else: a minimal Debian root,
# without busybox and without package lists. Sourced by .ci/run.

RELEASE=bookworm

test_in_minimal_debian() {
    copy_toolchain
    local root=$BORROWED/debian
    make_debian_root "$root"
    inside "$root" useradd --create-home --shell /bin/bash learner

    give_checkout "$root/home/learner"
    inside "$root" chown --recursive learner: /home/learner
    # Root takes what the learner has built.
    inside "$root" ln --symbolic /home/learner/steps /home/learner/.cargo /root/

    echo "--- as an ordinary user, without sudo"
    follow_readme "$root" learner
    echo "--- as root"
    follow_readme "$root" root
    echo "--- what a dev container and Lima install"
    run_install_steps "$root"
}

# As root and as an ordinary user, and once more, as Lima does at every start. (Rust itself is
# there: what rustup would fetch is not tried.)
run_install_steps() {
    local root=$1 script=steps/.devcontainer/install.sh time
    for time in first second; do
        inside "$root" sh "/root/$script" >"$BORROWED/install.log" 2>&1 ||
            { tail "$BORROWED/install.log"; return 1; }
        as_learner "$root" learner "sh ~/$script; /usr/sbin/nft --version; gcc --version" ||
            fail "the $time run of $script"
    done
    tail --lines 1 "$BORROWED/install.log" | grep --line-regexp "all packages are here" ||
        fail "$script installs what is there already"
}

# What rustup asks for (a linker, libc's headers, certificates), on top of the smallest Debian.
# debootstrap mounts things in the root; in a mount namespace they go away with it.
make_debian_root() {
    local root=$1
    unshare --mount --propagation private debootstrap --variant=minbase \
        --include=gcc,libc6-dev,ca-certificates "$RELEASE" "$root" "$(debian_mirror)" \
        >"$BORROWED/debootstrap.log" || { tail "$BORROWED/debootstrap.log"; return 1; }
    rm --recursive --force "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*
    # The way to the archive is the machine's: its proxy, and the certificates it trusts.
    apt-config dump | grep --extended-regexp '^Acquire::(https?::|ftp::Proxy|Check|Retries)' \
        >"$root/etc/apt/apt.conf.d/99machine" || true
    cp --dereference /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    cp --dereference /etc/resolv.conf "$root/etc/resolv.conf"
    mkdir "$root/opt/rust"
    [[ -z $(find "$root" -name 'busybox*' -not -path "$root/usr/share/*") ]] ||
        fail "the minimal root has a busybox: then the test proves nothing"
}

# A tar archive of the smallest Debian, and where it is.
debian_root_archive() {
    local root=$BORROWED/debian-image
    unshare --mount --propagation private debootstrap --variant=minbase \
        "$RELEASE" "$root" "$(debian_mirror)" \
        >"$BORROWED/debootstrap.log" || { tail "$BORROWED/debootstrap.log" >&2; return 1; }
    tar --xattrs --numeric-owner --directory "$root" --create --file "$root.tar" .
    rm --recursive --force "$root"
    printf '%s\n' "$root.tar"
}

# The mirror that this machine uses for Debian, else the public one.
debian_mirror() {
    local mirror
    # shellcheck disable=SC2016  # apt's variables
    mirror=$(apt-get indextargets --format '$(SITE) $(CODENAME) $(CREATED_BY)' 2>/dev/null |
        awk -v release="$RELEASE" '$2 == release && $3 == "Packages" { print $1; exit }')
    printf '%s\n' "${mirror:-http://deb.debian.org/debian}"
}

# Runs a command in the root. bwrap enters it by pivot_root: in a plain chroot the kernel refuses
# user namespaces. unshare gives it a /proc of its own without anything laid over it (that, too,
# would be refused later), and kills what is left at the end.
inside() {
    local root=$1
    shift
    timeout --foreground --kill-after=5 1800 \
        unshare --pid --fork --kill-child --mount-proc \
        bwrap --cap-add ALL --dev-bind "$root" / --dev-bind /proc /proc --dev-bind /sys /sys \
        --dev /dev --tmpfs /run --ro-bind "$TOOLCHAIN" /opt/rust --chdir / \
        --clearenv --setenv PATH /usr/sbin:/usr/bin:/sbin:/bin --setenv TERM xterm -- "$@"
}

# As somebody, in that person's copy of the checkout, with the toolchain on PATH.
as_learner() {
    local root=$1 user=$2 script=$3
    inside "$root" setpriv --reuid "$user" --regid "$user" --init-groups --reset-env \
        bash -euo pipefail -c \
        "export PATH=/opt/rust/bin:\$PATH CARGO_TERM_COLOR=never; cd ~/steps; $script"
}

follow_readme() {
    local root=$1 user=$2 run tests session
    local -i start=$SECONDS
    run=$(readme_command run)
    tests=$(readme_command test)

    # A person at a terminal: script(1) makes one and types what comes through the pipe.
    echo "\$ $run"
    session=$(as_learner "$root" "$user" \
        "{ echo 'echo I am process \$\$'; echo exit; } | script --quiet --return \
         --command '$run' /dev/null" | tr --delete '\r')
    printf '%s\n' "$session"
    grep --quiet --line-regexp --extended-regexp '(.* # )?I am process 1' <<<"$session" ||
        fail "$run did not end in a shell that is process 1"
    echo "(from nothing to the shell and back: $((SECONDS - start)) s)"

    session=$(as_learner "$root" "$user" "$run --quiet -- sh -c 'echo \$\$'" 2>&1)
    [[ $session == 1 ]] || fail "$run -- sh -c 'echo \$\$' printed: $session"

    # As a learner runs it: without CI, where a test that cannot run here says so and is skipped.
    start=$SECONDS
    echo "\$ $tests"
    as_learner "$root" "$user" "unset CI; $tests"
    echo "($tests: $((SECONDS - start)) s)"
}
