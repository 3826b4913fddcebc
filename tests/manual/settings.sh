#!/bin/bash
# Options and variables: those of the manual are those of the command and the library, both ways.
. "$(dirname "$0")/../fixture.sh"
. "$(dirname "$0")/rendered.sh"

same() { # WHAT FILE_A FILE_B
    [ -s "$2" ] || fail "no $1 found in $(basename "$2")"
    diff -u "$2" "$3" || fail "not the same $1"
}

# An option begins its line; a short one may stand before the long one.
options_in() {
    sed -nE 's/^ {1,8}(-.*)$/\1/p' | awk '{
        while (match($0, /^(--[a-z-]+|-[a-z])/)) {
            print substr($0, RSTART, RLENGTH)
            $0 = substr($0, RLENGTH + 1)
            sub(/^[^,]*/, "", $0)
            if (!sub(/^, /, "", $0)) break
        }
    }' | sort -u
}

options() { # FORMATTER
    "$build/offload" --help >"$scratch/help.txt"
    options_in <"$scratch/help.txt" >"$scratch/help"
    section "$1" offload.1 OPTIONS | options_in >"$scratch/manual"
    same options "$scratch/help" "$scratch/manual"
}

# Each value that --help shows behind an option stands in the manual too.
synopsis() { # FORMATTER
    "$build/offload" --help | options_in | grep -vxE -e '-[a-z]' >"$scratch/help"
    # -v and -o stand there for their long names.
    { section "$1" offload.1 SYNOPSIS | grep -oE -e '--[a-z-]+' && printf '%s\n' --verbose --output; } |
        sort -u >"$scratch/manual"
    same options "$scratch/help" "$scratch/manual"
}

variables_of_library() {
    strings -a "$library" | grep -xE 'OFFLOAD(_[A-Z_]+)?' | sort -u
}

variables() { # FORMATTER
    variables_of_library >"$scratch/library"
    section "$1" liboffload.7 ENVIRONMENT | sed -nE 's/^     (OFFLOAD[A-Z_]*)=.*/\1/p' | sort -u >"$scratch/manual"
    same variables "$scratch/library" "$scratch/manual"
}

# What offload(1) says that it sets, the library knows.
set_by_command() { # FORMATTER
    variables_of_library | grep -vx OFFLOAD_CONFIG >"$scratch/library"
    section "$1" offload.1 ENVIRONMENT | sed -nE 's/^     (OFFLOAD[A-Z_]*) .*-.*/\1/p' | sort -u >"$scratch/manual"
    same variables "$scratch/library" "$scratch/manual"
}

# Each engine that the command knows has its paragraph, and stands among the values of the settings and of the records.
engines() { # FORMATTER
    "$build/offload" --engines=none true 2>&1 | sed -n 's/^.* list of //p' | sed 's/, /\n/g' | sort >"$scratch/engines"
    section "$1" liboffload.7 DESCRIPTION | sed '1,/^   Engines$/d; /^   [^ ]/,$d' |
        sed -nE 's/^     ([a-z]+) .*/\1/p' | sort >"$scratch/manual"
    same engines "$scratch/engines" "$scratch/manual"
    { section "$1" offload.1 OPTIONS | grep -A1 -- '^     --engines=' | tail -n 1 &&
        section "$1" liboffload.7 ENVIRONMENT | grep -A1 '^     OFFLOAD_ENGINES=' | tail -n 1 &&
        section "$1" liboffload.7 RECORDS | sed -n '/^     engine/,/^$/p' | tr '\n' ' '; } >"$scratch/values"
    while read -r engine; do
        [ "$(grep -cw "$engine" "$scratch/values")" -eq 3 ] || fail "$engine is not among: $(cat "$scratch/values")"
    done <"$scratch/engines"
}

command -v strings >/dev/null || skip_all "strings is not installed"
plan $((5 * ${#formatters[@]}))
for formatter in "${formatters[@]}"; do
    verdict "the options of offload(1), by $formatter" options "$formatter"
    verdict "the synopsis of offload(1), by $formatter" synopsis "$formatter"
    verdict "the variables of liboffload(7), by $formatter" variables "$formatter"
    verdict "the variables of offload(1), by $formatter" set_by_command "$formatter"
    verdict "the engines, by $formatter" engines "$formatter"
done
