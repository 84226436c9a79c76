# shellcheck shell=bash
# Random input for the readers of archives, manifests and options, side by side for FUZZ_SECONDS;
# and the same readers with a bug put in, which must be found. Sourced by .ci/run.

CARGO_FUZZ=0.13.2
FUZZ_SECONDS=${FUZZ_SECONDS:-45}
FUZZ_TARGETS=(archive manifest options)

fuzz_everything() {
    local place target seeded
    place=$(make_directory fuzz)
    chmod 755 "$place"
    install_from_crates cargo-fuzz "$CARGO_FUZZ" cargo fuzz
    # Hostile archives are not for root.
    [[ -e $USER_HOME ]] || make_user
    build_fuzz_targets "$CHECKOUT" "$place/right"
    seeded=$(make_directory seeded)
    give_checkout "$seeded"
    for target in "${FUZZ_TARGETS[@]}"; do
        patch --quiet --strip 0 --directory "$seeded/steps" <"support/fuzz/seeded/$target.patch"
    done
    build_fuzz_targets "$seeded/steps" "$place/seeded"
    for target in "${FUZZ_TARGETS[@]}"; do
        echo "$target, with a bug put in:"
        ! fuzz "$place/seeded" "$target" 120 >"$place/log" 2>&1 ||
            fail "the bug in support/fuzz/seeded/$target.patch was not found"
        grep --max-count 1 --after-context 1 "panicked at" "$place/log"
        grep --quiet "$(seeded_message "$target")" "$place/log" ||
            fail "something else than the bug in support/fuzz/seeded/$target.patch was found"
    done
    bear_everything "$place"
}

# All three at once: there are two cores, and each fuzzer has one thread.
bear_everything() {
    local place=$1 target
    local -A fuzzers=()
    for target in "${FUZZ_TARGETS[@]}"; do
        fuzz "$place/right" "$target" "$FUZZ_SECONDS" >"$place/$target.log" 2>&1 &
        fuzzers[$target]=$!
    done
    for target in "${FUZZ_TARGETS[@]}"; do
        echo "$target:"
        wait "${fuzzers[$target]}" || {
            grep --after-context 3 --extended-regexp "panicked at|ERROR|Base64" "$place/$target.log"
            fail "the reader of $target does not bear every input"
        }
        grep --extended-regexp "^Done|executed_units|exec_per_sec" "$place/$target.log"
    done
}

# What the reader with the bug says when it is found.
seeded_message() {
    case $1 in
        archive) echo "something outside has changed" ;;
        manifest) echo "panicked at .*/support/manifest/src/variables.rs" ;;
        options) echo "panicked at .*/v5-netns/src/publish.rs" ;;
    esac
}

# build_fuzz_targets CHECKOUT TO: the three programs. (cargo fuzz asks rustc for options that it
# gives to a nightly compiler only, unless it is told.)
build_fuzz_targets() {
    local target
    mkdir "$2"
    (cd "$1" && RUSTC_BOOTSTRAP=1 cargo fuzz build --fuzz-dir support/fuzz --sanitizer none \
        --target-dir "$CHECKOUT/target/fuzz")
    for target in "${FUZZ_TARGETS[@]}"; do
        cp "$CHECKOUT/target/fuzz/$(rustc --print host-tuple)/release/$target" "$2"
    done
}

# fuzz DIRECTORY TARGET SECONDS: as the ordinary user, from the seeds in the checkout.
fuzz() {
    local corpus
    corpus=$(make_directory corpus)
    cp "$CHECKOUT/support/fuzz/seeds/$2"/* "$corpus"
    [[ $2 != manifest ]] || cp "$CHECKOUT"/v8-pause/pods/* "$corpus"
    chown --recursive "$CI_USER:" "$corpus"
    as_user "$1/$2 $corpus -max_total_time=$3 -max_len=2000 -len_control=0 \
        -print_final_stats=1 -artifact_prefix=$corpus/"
}
