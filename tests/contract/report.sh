#!/bin/bash
# OFFLOAD_REPORT: a JSON object a line, which says what the witnesses say.
. "$(dirname "$0")/../fixture.sh"
need_root
need jq python3

report=$scratch/report
keys='["cause","destination","engine","event","offloaded","pid","program","reads_elided","reason","size","source","version","writes_elided","written"]'

copy() { # FROM TO
    rm -f "$report" "$2"
    run_preloaded env OFFLOAD_REPORT="$report" dd if="$1" of="$2" bs=128k status=none
}

# jq lets bytes pass that are not UTF-8, which JSON does not.
valid() {
    [ -s "$report" ] || fail "there is no report"
    python3 -c '
import json, sys
for line in open(sys.argv[1], "rb"):
    assert line.endswith(b"\n"), line
    assert isinstance(json.loads(line.decode("utf-8", "strict")), dict), line
' "$report" || fail "not valid JSON: $(cat "$report")"
    jq -e . "$report" >/dev/null
}

field() {
    jq -r "$1" "$report"
}

whole_clone() {
    copy source copy
    valid
    [ "$(wc -l <"$report")" -eq 1 ] || fail "one copy gave: $(cat "$report")"
    missing=$(jq -c "$keys - keys" "$report")
    [ "$missing" = '[]' ] || fail "the report lacks $missing"
    size=$(stat -c %s source)
    [ "$(field '.program | split("/") | last')" = dd ] || fail "program: $(field .program)"
    [ "$(field '.pid | type')" = number ] || fail "pid: $(field .pid)"
    [ "$(field .source)" = "$PWD/source" ] || fail "source: $(field .source)"
    [ "$(field .destination)" = "$PWD/copy" ] || fail "destination: $(field .destination)"
    [ "$(field .size)" = "$size" ] || fail "size: $(field .size)"
    [ "$(field '.offloaded + .written')" = "$size" ] || fail "the parts are not the whole: $(cat "$report")"
    [ "$(field .engine)" = clone ] || fail "engine: $(field .engine)"
    [ "$(field '.reads_elided | type')" = number ] || fail "reads_elided: $(field .reads_elided)"
    [ "$(field '.writes_elided > 0')" = true ] || fail "writes_elided: $(field .writes_elided)"
    # What it says is what the kernel's map of the files says.
    read -r common _ < <("$extents" source copy)
    [ "$common" -eq "$(field .offloaded)" ] ||
        fail "the report says $(field .offloaded) bytes, the file system shares $common"
}

partly() {
    rm -f "$report" copy
    run_preloaded env OFFLOAD_REPORT="$report" python3 -c '
import os
source = os.open("source", os.O_RDONLY)
copy = os.open("copy", os.O_WRONLY | os.O_CREAT)
for turn in range(40):
    os.write(copy, os.read(source, 65536))
os.write(copy, b"something else")
'
    valid
    [ "$(jq -r 'select(.destination | endswith("/copy")) | .offloaded + .written' "$report" | head -n 1)" -le $((40 * 65536 + 14)) ] ||
        fail "more than was copied: $(cat "$report")"
    jq -e 'select(.destination | endswith("/copy")) | .reason | type == "string" and length > 0' "$report" >/dev/null ||
        fail "no reason why it ended: $(cat "$report")"
}

named() { # NAME
    cp --reflink=auto source "$1"
    copy "$1" "$1.copy"
    valid
    [ "$(wc -l <"$report")" -eq 1 ] || fail "a line is cut in two: $(cat "$report")"
    if printf '%s' "$1" | iconv -f UTF-8 -t UTF-8 >/dev/null 2>&1; then
        [ "$(field .source)" = "$PWD/$1" ] || fail "source: $(field .source)"
    else
        [ "$(field .source_hex | python3 -c "import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))")" = "$PWD/$1" ] || fail "source_hex: $(field .source_hex)"
    fi
    assert_same "$1" "$1.copy"
}

at_once() {
    rm -f "$report" out.*
    local i pids=()
    for i in 1 2 3 4 5 6 7 8; do
        run_preloaded env OFFLOAD_REPORT="$report" dd if=source of="out.$i" bs=64k status=none &
        pids+=($!)
    done
    wait "${pids[@]}"
    valid
    [ "$(jq -r .destination "$report" | sort -u | wc -l)" -eq 8 ] || fail "8 copies gave: $(cat "$report")"
}

unwritable() {
    run_preloaded env OFFLOAD_REPORT=/proc/nowhere/report \
        dd if=source of=copy bs=64k status=none 2>"$scratch/messages"
    assert_same source copy
    [ "$(wc -l <"$scratch/messages")" -le 1 ] || fail "it printed: $(cat "$scratch/messages")"
}

# Where the program puts a descriptor of its own at the number that the report has, it is the program's to close.
taken_number() {
    rm -f "$report"
    run_preloaded env OFFLOAD_REPORT="$report" python3 -c '
import os, sys
def leads(number):
    try:
        return os.path.samestat(os.fstat(number), os.stat(sys.argv[1]))
    except OSError:
        return False
report = next(number for number in range(4, 4096) if leads(number))
os.closerange(4, report)
here, there = os.pipe()
os.dup2(there, report)
os.close(report)
os.dup2(there, report)
os.close(there)
os.closerange(report, report + 1)
assert os.read(here, 1) == b"", "the pipe is still open"' "$report"
}

# Nor is anything written there: what was copied before is told when the program ends.
own_file_at_the_number() {
    rm -f "$report" copy
    run_preloaded env OFFLOAD_REPORT="$report" python3 -c '
import os
source, copy = os.open("source", os.O_RDONLY), os.open("copy", os.O_WRONLY | os.O_CREAT, 0o600)
while piece := os.read(source, 65536):
    os.write(copy, piece)
os.dup2(os.open("own", os.O_WRONLY | os.O_CREAT, 0o600), 900)'
    [ -f own ] || fail "the test itself is wrong: the program has made no file"
    [ ! -s own ] || fail "the program's file has: $(cat own)"
    assert_shared source copy
    rm own
}

nothing_to_say() {
    rm -f "$report"
    run_preloaded env OFFLOAD_REPORT="$report" sh -c 'tr a b <source >copy; ls >list'
    [ ! -s "$report" ] || fail "no copy was made, and yet: $(cat "$report")"
}

has_cause() { # CAUSE COMMAND...
    local cause=$1
    shift
    rm -f "$report" copy
    run_preloaded env OFFLOAD_REPORT="$report" "$@"
    valid
    [ "$(wc -l <"$report")" -eq 1 ] || fail "not one line: $(cat "$report")"
    [ "$(field .cause)" = "$cause" ] || fail "the cause is $(field .cause): $(cat "$report")"
    [ "$(field .offloaded)" -eq 0 ] || fail "offloaded: $(cat "$report")"
    [ "$(field .written)" -eq "$(stat -c %s copy)" ] || fail "written: $(cat "$report")"
    read -r _ shared < <("$extents" copy)
    [ "$shared" -eq 0 ] || fail "the file system shares $shared bytes all the same"
}

overwrites() {
    rm -f "$report"
    cp --reflink=never source copy
    run_preloaded env OFFLOAD_REPORT="$report" dd if=source of=copy bs=64k conv=notrunc status=none
    valid
    [ "$(field .cause)" = overwrites ] || fail "the cause is $(field .cause)"
}

# The clock that stamps files moves a tick in 1 to 10 ms: one of the tries falls within one.
young() {
    local try
    for try in 1 2 3 4 5 6 7 8 9 10; do
        rm -f "$report" copy
        run_preloaded env OFFLOAD_REPORT="$report" python3 -c '
import os
source = os.open("fresh", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
os.pwrite(source, bytes(range(256)) * 1024, 0)
copy = os.open("copy", os.O_WRONLY | os.O_CREAT)
os.write(copy, os.read(source, 262144))
'
        [ ! -s "$report" ] || [ "$(field .cause)" != young ] || return 0
    done
    # Where stamps are fine (Linux 6.13), no source is too young.
    [ "$(field .cause)" = none ] || fail "the cause is $(field .cause) after $try tries: $(cat "$report")"
}

own_clone() {
    rm -f "$report" copy
    run_preloaded env OFFLOAD_REPORT="$report" cp --reflink=always source copy
    valid
    [ "$(field '[.engine, .cause] | join(" ")')" = 'program none' ] || fail "$(cat "$report")"
    [ "$(field .offloaded)" -eq "$(stat -c %s source)" ] || fail "offloaded: $(cat "$report")"
    assert_shared source copy
}

own_call() {
    rm -f "$report" copy
    run_preloaded env OFFLOAD_REPORT="$report" python3 -c '
import os
source = os.open("source", os.O_RDONLY)
copy = os.open("copy", os.O_WRONLY | os.O_CREAT)
while os.copy_file_range(source, copy, 1 << 20):
    pass
'
    valid
    [ "$(field '[.engine, .cause] | @json')" = '[null,"own_call"]' ] || fail "$(cat "$report")"
    [ "$(field .written)" -eq "$(stat -c %s source)" ] || fail "written: $(cat "$report")"
}

progress() {
    rm -f "$report" copy large
    truncate -s 64M large
    dd if=source of=large conv=notrunc status=none
    run_preloaded env OFFLOAD_REPORT="$report" OFFLOAD_PROGRESS=on dd if=large of=copy bs=1M status=none
    valid
    jq -se 'map(select(.event == "progress")) | map(.done) | length >= 3 and . == sort and .[0] == 0 and .[-1] <= 67108864' \
        "$report" >/dev/null || fail "progress: $(cat "$report")"
    [ "$(jq -r .event "$report" | sort | uniq -c | awk '$2 == "copy" { print $1 }')" -eq 1 ] || fail "$(cat "$report")"
    rm -f large
}

reflink_filesystem() {
    make_source source
    head -c 5000 source >small
    # shellcheck disable=SC2016 # for perl
    export perl='while (sysread(STDIN, $x, 65536)) { syswrite(STDOUT, $x) }'
    verdict "a whole clone is reported as the kernel sees it, on $fs" whole_clone
    verdict "a copy that ends in the middle has a reason, on $fs" partly
    verdict "a name with quotes and backslashes, on $fs" named "a \"quote\" and a \\ 'backslash'"
    verdict "a name with a newline, a tab and an escape, on $fs" named $'new\nline\ttab\e[1m'
    verdict "a name that is not UTF-8, on $fs" named $'latin-\xe9-\xff\xfe-\xc3'
    verdict "a name in UTF-8, on $fs" named 'жук-☃-𝄞'
    verdict "eight copies at once keep their lines whole, on $fs" at_once
    verdict "a report that cannot be written harms no copy, on $fs" unwritable
    verdict "the report's number is the program's once it has put its own there, on $fs" taken_number
    verdict "nothing is written to what the program has put there, on $fs" own_file_at_the_number
    verdict "a program that copies nothing reports nothing, on $fs" nothing_to_say
    # shellcheck disable=SC2016 # for the shell that is started
    verdict "a copy into a file of the shell's has its reason, on $fs" has_cause shared sh -c 'perl -e "$perl" <source >copy'
    verdict "a small copy has its reason, on $fs" has_cause too_small dd if=small of=copy bs=64k status=none
    verdict "a copy over what is there has its reason, on $fs" overwrites
    verdict "a copy by policy has its reason, on $fs" has_cause policy env OFFLOAD_POLICY=never dd if=source of=copy bs=64k status=none
    verdict "a copy of a file that is too young has its reason, on $fs" young
    verdict "what the program clones itself, on $fs" own_clone
    verdict "what the program has the kernel copy, on $fs" own_call
    verdict "progress, on $fs" progress
}

no_reflink_filesystem() {
    make_source source
    verdict "what is reported of a copy on $fs is valid" reported
}

reported() {
    copy source copy
    assert_same source copy
    [ ! -s "$report" ] || valid
}

plan 40
on_each "xfs btrfs" 19 reflink_filesystem
on_each "ext4 tmpfs" 1 no_reflink_filesystem
