# shellcheck shell=bash
# shellcheck disable=SC2154 # set by the script that sources this, and by the fixture
# Sourced by the tests of the completions, one a shell: what is typed, and what must come of it.
# The sourcing script has make_shell(), which sets `shell`.

# All completions of a line's last word, one a line, without what stood before it. Of an option's values bash replaces
# what follows the "=" only, and zsh puts a comma behind what may go on.
complete() { # LINE
    (cd "$scratch/work" && HOME=$scratch limited python3 "$source_tree/tests/completion/type.py" \
        'ready> ' "${shell[@]}" <<<"$1") >"$scratch/completed" 2>"$scratch/problem" ||
        fail "$(cat "$scratch/problem")"
    local before=${1% *}
    sed "s/^.\{${#before}\}//" "$scratch/completed" | tr ' ' '\n' | sed 's/^--[a-z-]*=\(.\)/\1/; s/,$//; /^$/d' | sort -u
}

offers() { # LINE WORD...
    local line=$1 word
    shift
    complete "$line" >"$scratch/offered"
    for word in "$@"; do
        grep -qxF -e "$word" "$scratch/offered" ||
            fail "'$line' does not offer $word, but: $(tr '\n' ' ' <"$scratch/offered")"
    done
}

offers_only() { # LINE WORD...
    local line=$1
    shift
    complete "$line" >"$scratch/offered"
    printf '%s\n' "$@" | sort -u | diff -u - "$scratch/offered" || fail "'$line' offers something else"
}

# Every option of --help, and no other; "=" behind an option is not a part of its name.
all_options() {
    "$build/offload" --help | grep -oE -e '(^ +|, )--[a-z-]+' | tr -d ' ,' | sort -u >"$scratch/options"
    [ -s "$scratch/options" ] || fail "no options were found in --help"
    complete 'offload --' | sed 's/[=[].*//' | sort -u >"$scratch/offered"
    diff -u "$scratch/options" "$scratch/offered" || fail "the completion and --help differ"
}

# Every engine that the command knows, and no other.
all_engines() {
    local engines
    mapfile -t engines < <("$build/offload" --engines=none true 2>&1 | sed -n 's/^.* list of //p' | sed 's/, /\n/g')
    [ ${#engines[@]} -ge 3 ] || fail "the engines are not known: ${engines[*]}"
    offers_only 'offload --engines=' "${engines[@]}"
}

not_beyond_command() {
    complete 'offload nosuchcommand --' >"$scratch/offered"
    if grep -q -e '--policy' "$scratch/offered"; then
        fail "options of offload are offered behind the command"
    fi
}

mkdir -p "$scratch/bin" "$scratch/work/folder"
# Some terminal tools start with these letters as well; nothing does with these.
printf '#!/bin/sh\n' >"$scratch/bin/qzx-program"
chmod +x "$scratch/bin/qzx-program"
ln -s "$build/offload" "$scratch/bin/offload"
: >"$scratch/work/disk.img"
make_shell

plan 17
verdict "all options of --help, and no other" all_options
verdict "the policies" offers_only 'offload --policy=' auto always never
verdict "a policy that has begun" offers_only 'offload --policy=al' always
verdict "the engines" all_engines
verdict "a further engine" offers_only 'offload --engines=clone,s' clone,server
verdict "the buffers" offers_only 'offload --buffers=' auto compare lazy
verdict "the formats of the report" offers_only 'offload --report=' table json
verdict "files behind -o" offers_only 'offload -o di' disk.img
verdict "files behind --log=" offers_only 'offload --log=di' disk.img
verdict "commands" offers_only 'offload qzx' qzx-program
verdict "commands behind options" offers_only 'offload -v --policy=auto --include=a -o x qzx' qzx-program
verdict "commands behind --" offers_only 'offload -- qzx' qzx-program
verdict "the command's own completion" offers 'offload -v dd if' if=
verdict "its options after its own words" not_beyond_command
verdict "probe" offers 'offload pro' probe
verdict "files for probe" offers_only 'offload probe di' disk.img
verdict "doctor" offers 'offload doc' doctor
