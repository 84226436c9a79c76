#!/bin/sh
# Fills DIRECTORY (a USB stick; not in here) with what a room without internet needs. Run it in the
# checkout, as an ordinary user, on a machine like those in the room, that has internet:
#
#     sh workshop/stick.sh DIRECTORY [IMAGE]...
#
# Without any IMAGE it takes those that the book pulls: alpine and nginx.
set -eu

mkdir -p "$1"
stick=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- alpine nginx
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rust=$(rustc --print sysroot)
if [ "$rust" = /usr ]; then
    echo "this Rust is a part of the system: take one from rustup, which has a directory" >&2
    exit 1
fi

# A busybox: the one that the steps use here. (If there is none, this fetches it.)
cargo run --quiet --package v1-chroot -- true
rootfs=$(cargo run --quiet --package v1-chroot -- --help | sed -n 's/^Default root directory: //p')
cp "$rootfs/bin/busybox" "$stick/busybox"

# The source with all crates in it, and the lines that tell cargo so (not with --quiet, which
# prints no lines).
mkdir "$work/steps"
tar -cf - --exclude=./.git --exclude=./target --exclude=./exercises . | tar -xf - -C "$work/steps"
(cd "$work/steps" && cargo vendor --locked >>.cargo/config.toml)
tar -czf "$stick/steps.tar.gz" -C "$work" steps

# The Rust that is used here, as a plain directory: it needs no rustup.
tar -czf "$stick/rust.tar.gz" -C "$rust" --exclude=./share .

# The book, to be opened in a browser: book/index.html.
if command -v mdbook >/dev/null; then
    mdbook build book --dest-dir "$stick/book"
else
    echo "no mdbook here, so no book: cargo install mdbook --locked --version 0.5.4" >&2
fi

# Images, for the kind of processor that is here.
status=0
cargo workshop pull --images "$stick/images" "$@" || status=$?

du -sh "$stick"/*
exit "$status"
