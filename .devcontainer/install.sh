#!/bin/sh
# Installs what the course needs on Debian or Ubuntu. Called as root it installs packages, called
# as an ordinary user it installs Rust for that user. What is there already stays as it is, so it
# may run at every start of a machine.
set -eu

# A linker for Rust; what the containers call (nft; newuidmap, which is in uidmap); a busybox; what
# the pages type, and the manual that they quote (section 2 is manpages-dev); an editor for the
# exercises.
packages='busybox-static ca-certificates conntrack curl gcc git hostname iproute2 iputils-ping jq
    less libc6-dev man-db manpages manpages-dev nano nftables passt procps strace sudo tcpdump
    uidmap util-linux'

install_packages() {
    # shellcheck disable=SC2086  # one word for each package
    if dpkg-query --show $packages >/dev/null 2>&1; then
        echo "all packages are here"
        return
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update --quiet
    # shellcheck disable=SC2086
    apt-get install --quiet --yes --no-install-recommends $packages
}

install_rust() {
    if command -v cargo || [ -x "$HOME/.cargo/bin/cargo" ]; then
        echo "Rust is here"
        return
    fi
    curl --proto '=https' --tlsv1.2 --silent --show-error --fail https://sh.rustup.rs |
        sh -s -- -y --profile minimal
}

if [ "$(id -u)" = 0 ]; then
    install_packages
else
    install_rust
fi
