# shellcheck shell=bash
# Checks of the text itself. Sourced by .ci/run.

# Files of the checkout: what git would track, or everything but what was built.
all_files() {
    if git rev-parse --git-dir >/dev/null 2>&1; then
        git ls-files --cached --others --exclude-standard
    else
        find . \( -path ./target -o -path ./book/book -o -path ./.git \) -prune \
            -o -type f -printf '%P\n'
    fi
}

text_files() {
    all_files |
        grep --extended-regexp '(\.(rs|toml|md|svg|css|js|sh|yml|txt)|^\.ci/run|^LICENSE.*)$'
}

check_text() {
    local -i wrong=0
    local -a files sources prose
    mapfile -t files < <(text_files)
    mapfile -t sources < <(printf '%s\n' "${files[@]}" |
        grep --extended-regexp '(\.(rs|sh|yml|css|js)|^\.ci/run)$')
    mapfile -t prose < <(printf '%s\n' "${files[@]}" |
        grep --extended-regexp '^(book/src/.*|README|CONTRIBUTING|SECURITY)(\.md)?$')
    ((${#files[@]} > 10)) || fail "found ${#files[@]} text files, which cannot be all"

    # The working tree may miss what git still lists.
    # shellcheck disable=SC2016
    complain 'a word that says "this is easy" to somebody for whom it is not' \
        words_outside_code '[Ss]imply|[Jj]ust|[Oo]bviously' "${prose[@]}" || wrong+=1
    complain 'another word than elsewhere: say step (not stage), SIGTERM (not TERM)' \
        words_outside_code '[Ss]tages?|STAGE|TERM|KILL|INT|STOP|HUP' "${prose[@]}" || wrong+=1
    complain 'a comment that says stage, and not step' \
        grep --line-number --extended-regexp '^[[:blank:]]*//[^`]*\bstages?\b' \
        "${sources[@]}" || wrong+=1
    complain 'spaces at the end of a line' \
        grep --line-number --extended-regexp '[[:blank:]]+$' "${files[@]}" || wrong+=1
    complain 'a path of this checkout' \
        grep --line-number --fixed-strings "$CHECKOUT/" "${files[@]}" || wrong+=1
    complain 'a source line of more than 100 columns' \
        env LC_ALL=C.UTF-8 grep --line-number --perl-regexp '^.{101,}$' "${sources[@]}" || wrong+=1
    ((wrong == 0)) || fail "$wrong of the text checks"
    echo "${#files[@]} files, ${#prose[@]} of them prose"
}

# Fails, and shows it, when the command finds something.
complain() {
    local what=$1 found
    shift
    found=$("$@" || true)
    [[ -n $found ]] || return 0
    printf '%s:\n%s\n' "$what" "$found"
    return 1
}

# words_outside_code PATTERN FILE...: words; not in code blocks, not between backquotes.
words_outside_code() {
    local pattern=" ($1) "
    shift
    awk -v pattern="$pattern" '
        FNR == 1 { code = 0 }
        /^[[:blank:]]*(```|~~~)/ { code = !code; next }
        code { next }
        {
            text = $0
            gsub(/`[^`]*`/, "", text)
            gsub(/[^A-Za-z]+/, " ", text)
            if ((" " text " ") ~ pattern) print FILENAME ":" FNR ": " $0
        }' "$@"
}

# Every relative link of the built book leads to a file.
check_links() {
    local pages=$1 page link
    local -i broken=0 count=0
    while IFS=$'\t' read -r page link; do
        count+=1
        if [[ ! -e $(dirname "$page")/$link ]]; then
            echo "broken link in ${page#"$pages"/}: $link"
            broken+=1
        fi
    done < <(find "$pages" -name '*.html' ! -name print.html ! -name 404.html -print0 |
        xargs --null grep --only-matching --with-filename --extended-regexp \
            '(href|src)="[^"#?]+' |
        sed --regexp-extended 's/^([^:]*):(href|src)="/\1\t/' |
        grep --invert-match --extended-regexp $'\t(https?:|mailto:|data:|javascript:)' | sort -u)
    ((count > 0)) || fail "the book has no links at all"
    ((broken == 0)) || fail "$broken of $count links are broken"
    echo "$count links lead to a file"
}
