#!/bin/bash
# The fields of the report and of the records: those of the manual are those that are written, both ways.
. "$(dirname "$0")/../fixture.sh"
. "$(dirname "$0")/rendered.sh"
need_root
need python3

# The names at the head of each paragraph of a section's lists; "a, b" are two.
listed() { # PAGE SECTION
    section "${formatters[0]}" "$1" "$2" | sed -nE 's/^     ([a-z_]+(, [a-z_]+)*)(  .*)?$/\1/p' | sed 's/, /\n/g' | sort -u
}

# All keys of the objects that a Python expression picks from `document`.
keys() { # FILE EXPRESSION
    python3 -c '
import json, sys
text = open(sys.argv[1]).read()
document = [json.loads(line) for line in text.splitlines()] if sys.argv[1].endswith(".jsonl") else json.loads(text)
print("\n".join(sorted({key for item in eval(sys.argv[2]) for key in item})))' "$1" "$2"
}

same() {
    [ -s written ] || fail "nothing was written"
    diff -u listed.keys written || fail "the manual lists other fields than are written"
}

report() {
    listed offload.1 REPORT >listed.keys
    keys report.json '[document]' >written
    same
}

# Those within: each stands in its paragraph.
within() {
    section "${formatters[0]}" offload.1 REPORT >section.text
    keys report.json '[document["totals"]] + document["engines"] + document["reasons"]' >written
    [ "$(wc -l <written)" -ge 12 ] || fail "too few: $(cat written)"
    while read -r key; do
        grep -qw "$key" section.text || fail "offload(1) does not tell of $key"
    done <written
}

copies() {
    keys report.json 'document["copies"]' >written
    keys records.jsonl '[line for line in document if line["event"] == "copy"]' |
        grep -vxE 'event|version' >listed.keys
    diff -u listed.keys written || fail "a copy in the report is no record without event and version"
}

records() {
    listed liboffload.7 RECORDS >listed.keys
    keys records.jsonl document >written
    same
}

mount_xfs >"$scratch/mount.log" 2>&1 || skip_all "XFS cannot be mounted here: $(tail -n1 "$scratch/mount.log")"
cd "$mount" || exit 1
plan 4
make_source source 50000000
# One that is offloaded, with records of progress and of lazy buffers, and one that is not.
OFFLOAD_PROGRESS=on OFFLOAD_BUFFERS=lazy limited "$build/offload" --report=json -o report.json --log=records.jsonl --exclude='*.bak' \
    sh -c 'dd if=source of=copy bs=64k status=none; dd if=source of=copy.bak bs=64k status=none'
verdict "the report" report
verdict "what is in the report's parts" within
verdict "the report's copies" copies
verdict "the records" records
