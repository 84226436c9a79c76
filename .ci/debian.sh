# shellcheck shell=bash
# What README and book promise, on the machine of somebody who begins: a minimal Debian root, with
# Rust and nothing else, without busybox and without package lists. Sourced by .ci/run.

RELEASE=bookworm

test_in_minimal_debian() {
    copy_toolchain
    local root=$BORROWED/debian
    make_debian_root "$root"
    inside "$root" useradd --create-home --shell /bin/bash learner

    give_checkout "$root/home/learner"
    inside "$root" chown --recursive learner: /home/learner
    # Root takes what the learner has built.
    inside "$root" ln --symbolic /home/learner/steps /root/

    echo "--- as an ordinary user, without sudo"
    ask_the_doctor "$root" learner
    start_container "$root" learner
    run_tests "$root" learner
    # (Root's tests are a part of test-root.)
    echo "--- as root"
    start_container "$root" root
    echo "--- what the page \"Setting up\", a dev container and Lima install"
    run_install_steps "$root"
    echo "--- the book, from its first page to its last"
    make_archive "$root"
    type_the_book "$root"
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
    cp --archive --link "$TOOLCHAIN" "$root/opt/rust"
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

# The files that the page "Root without root" asks of Debian's mirror, in /srv/archive of the root:
# the book is typed in a host without internet. And the two programs that the page calls, and the
# two of which the registry of "v7: layers" is made. (Nothing starts services in there.)
make_archive() {
    local root=$1 mirror uri file archive=$1/srv/archive/debian index
    mirror=$(debian_mirror)
    inside "$root" sh -c 'apt-get update --quiet --quiet && apt-get install --quiet --quiet --yes \
        --no-install-recommends mmdebstrap umoci docker-registry skopeo' \
        >"$BORROWED/install.log" 2>&1 || { tail "$BORROWED/install.log"; return 1; }
    index=main/binary-$(dpkg --print-architecture)/Packages.xz
    {
        for file in InRelease "$index" main/i18n/Translation-en.xz; do
            printf '%s\n' "$mirror/dists/$RELEASE/$file"
        done
        # As if nothing were installed or fetched: what a new root needs, and what comes into it.
        inside "$root" sh -c 'apt-get clean; : >/tmp/status
            apt-get --quiet --quiet --print-uris --yes --no-install-recommends \
                --option Dir::State::status=/tmp/status install \
                "?essential" "?priority(required)" apt nginx-light postgresql' |
            cut --delimiter "'" --fields 2
    } | while read -r uri; do
        file=${uri#"$mirror"/}
        file=$archive/$(printf %b "${file//%/\\x}") # %2b is a plus
        mkdir --parents "${file%/*}"
        printf 'url = "%s"\noutput = "%s"\n' "$uri" "$file"
    done | curl --silent --show-error --fail --location --config - ||
        fail "the archive of the book is not complete"
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
        --dev /dev --tmpfs /run --chdir / \
        --clearenv --setenv PATH /usr/sbin:/usr/bin:/sbin:/bin --setenv TERM xterm -- "$@"
}

# As somebody, in that person's copy of the checkout, with the toolchain on PATH.
as_learner() {
    local root=$1 user=$2 script=$3
    inside "$root" setpriv --reuid "$user" --regid "$user" --init-groups --reset-env \
        bash -euo pipefail -c \
        "export PATH=/opt/rust/bin:\$PATH CARGO_TERM_COLOR=never CARGO_HOME=/home/learner/.cargo
        cd ~/steps; $script"
}

# Nothing is compiled yet: when the doctor's first line comes, and when its last. (It compiles
# elsewhere, for the times below.)
ask_the_doctor() {
    # shellcheck disable=SC2016  # the learner's variables
    as_learner "$1" "$2" '
        export CARGO_TARGET_DIR=~/target-of-doctor
        echo "$ cargo workshop doctor"
        cargo workshop doctor 2>&1 | {
            read -r line && echo "$line" && echo "(first line: $SECONDS s)"
            cat
        }
        echo "(answer: $SECONDS s)"
        rm --recursive "$CARGO_TARGET_DIR"'
}

# README's first command.
start_container() {
    local root=$1 user=$2 run session
    local -i start=$SECONDS
    run=$(readme_command run)

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
}

# README's second command, as a learner types it: without CI, where a test that cannot run here says
# so and is skipped.
run_tests() {
    local root=$1 user=$2 tests time
    tests=$(readme_command test)
    for time in "compiling included" "all compiled"; do
        local -i start=$SECONDS
        echo "\$ $tests"
        as_learner "$root" "$user" "unset CI; $tests"
        echo "($tests, $time: $((SECONDS - start)) s)"
    done
}

# All pages, one after the other, as the learner at a login shell; root by sudo. On two days: what
# is in the home directory stays. (How: support/testbed/src/book/in_order.rs.)
type_the_book() {
    local root=$1 log=$BORROWED/book.log
    # As rustup leaves a home directory.
    # shellcheck disable=SC2016  # the learner's variables
    inside "$root" sh -c '
        echo "export PATH=\"/opt/rust/bin:\$PATH\"" >/home/learner/.cargo/env
        echo ". \"\$HOME/.cargo/env\"" >>/home/learner/.profile
        chown learner: /home/learner/.cargo/env
        echo "learner ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/learner
        printf "127.0.0.1 localhost\n127.0.1.1 laptop\n" >/etc/hosts
        echo "127.0.0.2 deb.debian.org" >>/etc/hosts'
    BOOK_MACHINE=$root cargo test --package testbed --test book --locked -- --test-threads 1 |
        tee "$log"
    grep --quiet '^test result: ok\. 2 passed' "$log" || fail "the book was not typed on two days"
}
