# shellcheck shell=bash
# What the gate takes from the machine for a while, and how it gives it back.
# Sourced by .ci/run.

CI_USER=container-steps-ci
CACHE=/var/cache/container-steps

# One directory for everything. Not /tmp, which may be small or mounted noexec; and open to the
# user who runs the tests a second time.
borrow_directory() {
    BORROWED=$(mktemp --directory /var/tmp/container-steps-ci.XXXXXX)
    chmod 755 "$BORROWED"
    USER_HOME=$BORROWED/home
    TOOLCHAIN=$BORROWED/rust
    CACHE_WAS_THERE=$([[ -e $CACHE ]] && echo yes || echo no)
}

make_directory() {
    mktemp --directory "$BORROWED/$1.XXXXXX"
}

make_user() {
    if getent passwd "$CI_USER" >/dev/null; then
        fail "user $CI_USER exists already: is another .ci/run at work? If not: userdel $CI_USER"
    fi
    # Not the first free number: in a container it is somebody else, and in a throw-away host of
    # another test run, too. What belongs to our number is killed at the end.
    useradd --uid $((30000 + RANDOM % 30000)) --create-home --home-dir "$USER_HOME" \
        --shell /bin/bash "$CI_USER"
}

# The toolchain in use, without its documentation, where everybody can read it. As a plain
# directory it needs no rustup.
copy_toolchain() {
    [[ ! -e $TOOLCHAIN ]] || return 0
    local sysroot
    sysroot=$(rustc --print sysroot)
    mkdir "$TOOLCHAIN"
    tar --create --directory="$sysroot" --exclude=./share . |
        tar --extract --directory="$TOOLCHAIN" --no-same-owner
    chmod --recursive go+rX "$TOOLCHAIN"
}

# A copy of the checkout as `steps` below DIRECTORY, with a cargo home that has the crates.
give_checkout() {
    local to=$1 cargo_home=${CARGO_HOME:-$HOME/.cargo} part
    mkdir "$to/steps" "$to/.cargo"
    tar --create --exclude=./target --exclude=./.git --exclude=./book/book . |
        tar --extract --directory="$to/steps" --no-same-owner
    cargo fetch --locked --quiet
    mkdir "$to/.cargo/registry"
    for part in index cache; do
        cp --recursive "$cargo_home/registry/$part" "$to/.cargo/registry/"
    done
}

# Runs a script as the user, with an environment of its own, and nothing of ours open.
as_user() {
    (cd "$USER_HOME" && setpriv --reuid "$CI_USER" --regid "$CI_USER" --init-groups \
        --inh-caps=-all --reset-env \
        env CI="$CI" CARGO_TERM_COLOR=never PATH="$TOOLCHAIN/bin:/usr/bin:/bin:/usr/sbin:/sbin" \
        bash -euo pipefail -c "$1")
}

return_everything() {
    if getent passwd "$CI_USER" >/dev/null && [[ $(getent passwd "$CI_USER") == *"$BORROWED"* ]]
    then
        # By number: what a failed test left running would keep the user busy.
        pkill -KILL -u "$(id -u "$CI_USER")" || true
        sleep 0.2
        userdel "$CI_USER"
    fi
    [[ $CACHE_WAS_THERE == yes ]] || rm --recursive --force --one-file-system "$CACHE"
    # Something mounted below would be emptied with it.
    if grep --quiet --fixed-strings " $BORROWED/" /proc/self/mountinfo; then
        echo "FAILED: something is mounted below $BORROWED, so it stays" >&2
        return 1
    fi
    rm --recursive --force --one-file-system "$BORROWED"
}
