#!/bin/bash
# The manual pages: what formats them has nothing to complain of, and nothing in them was left to be filled in.
. "$(dirname "$0")/../fixture.sh"

silent() { # COMMAND...
    "$@" >"$scratch/complaints" 2>&1 </dev/null || true
    [ ! -s "$scratch/complaints" ] || fail "$(cat "$scratch/complaints")"
}

lint() { # PAGE
    command -v mandoc >/dev/null || skip "mandoc is not installed"
    silent mandoc -Tlint -W warning "$1"
}

format() { # PAGE
    man --warnings "$1" >/dev/null
}

warnings() { # PAGE
    command -v groff >/dev/null || skip "groff is not installed"
    silent groff -man -ww -Tutf8 -K utf8 -z "$1"
    command -v man >/dev/null || skip "man is not installed"
    man --warnings -l "$1" 2>/dev/null | grep -q . || skip "man formats nothing here (a machine without manuals)"
    silent format "$1"
}

filled_in() { # PAGE
    [ -s "$1" ] || fail "there is no $1"
    if grep -n '@[A-Za-z_]*@' "$1"; then
        fail "not filled in"
    fi
}

plan 6
for page in offload.1 liboffload.7; do
    verdict "mandoc has nothing to say about $page" lint "$build/man/$page"
    verdict "groff and man have nothing to say about $page" warnings "$build/man/$page"
    verdict "$page is filled in" filled_in "$build/man/$page"
done
