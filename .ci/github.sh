#!/bin/bash
# Parts of the gate on a runner of GitHub, whose user is not root but may become it.
#
#   .ci/github.sh fmt clippy
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}

# Ubuntu lets no unprivileged program use a user namespace: the book's second line.
sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0

# sudo keeps neither PATH nor the variables that say where Rust is.
status=0
sudo env PATH="$PATH" CARGO_HOME="$CARGO_HOME" RUSTUP_HOME="$RUSTUP_HOME" .ci/run "$@" || status=$?

# Whoever keeps the cache is not root.
mkdir --parents target
sudo chown --recursive "$(id -u):$(id -g)" target "$CARGO_HOME"
exit "$status"
