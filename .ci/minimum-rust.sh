#!/bin/bash
# Builds everything, and checks the tests too, with the oldest Rust that Cargo.toml names. Not a
# part of the gate, since rustup fetches that Rust.
set -euo pipefail
cd "$(dirname "$0")/.."

rust=$(sed --quiet 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
rustup toolchain install "$rust" --profile minimal --no-self-update
cargo "+$rust" build --workspace --locked
cargo "+$rust" check --workspace --all-targets --locked
