#!/bin/bash
# A run that is watched: what -v, --report and --policy=always tell of copies that programs really make, and of records
# that nobody could have written.
. "$(dirname "$0")/../fixture.sh"
need_root
need jq python3

offload=$build/offload
export TMPDIR=$scratch/private
unset XDG_RUNTIME_DIR
mkdir "$TMPDIR"

# Writes records as the library does. A name is given as it stands in JSON.
cat >"$scratch/records.sh" <<'END'
copy() { # SOURCE DESTINATION OFFLOADED WRITTEN ENGINE CAUSE [FIELDS]
    printf '{"event": "copy", "version": "%s", "program": "/bin/dd", "pid": %d, "source": "%s", "destination": "%s", "size": %d, "offloaded": %d, "written": %d, "engine": %s, "reads_elided": 1, "writes_elided": 2, "cause": "%s", "reason": "the words"%s}\n' \
        "$version" $$ "$1" "$2" "$3" "$3" "$4" "$5" "$6" "${7-}" >>"$OFFLOAD_COLLECT"
}
END
version=$("$offload" --version)
export version=${version#offload } BASH_ENV=$scratch/records.sh

expect() { # TEXT FILE
    grep -qF -e "$1" "$2" || fail "no '$1' in: $(cat "$2")"
}

lines() { # COUNT FILE
    [ "$(wc -l <"$2")" -eq "$1" ] || fail "not $1 lines: $(cat "$2")"
}

nothing_left() {
    [ -z "$(ls -A "$TMPDIR")" ] || fail "left behind: $(ls -A "$TMPDIR")"
}

valid() { # FILE
    python3 -m json.tool "$1" >/dev/null || fail "not JSON: $(cat "$1")"
    jq -e . "$1" >/dev/null
}

echo "OFFLOAD_REPORT=$scratch/log" >"$scratch/conf"

# ---- programs that copy --------------------------------------------------------------------------

copies() { # HOW COMMAND...: one line, whose names are those of the two files
    rm -f copy
    "$offload" -v "$@" 2>"$scratch/err"
    assert_same source copy
    lines 1 "$scratch/err"
    [ "$(cat "$scratch/err")" = "offload: $(stat -c %s source) bytes by clone: $PWD/source -> $PWD/copy" ] ||
        fail "it said $(cat "$scratch/err")"
    nothing_left
}

by_python() {
    copies python3 -c '
import shutil
with open("source", "rb") as source, open("copy", "wb", buffering=0) as copy:
    shutil.copyfileobj(source, copy)'
}

descendants() {
    "$offload" --report=json -o "$scratch/json" sh -c '
        dd if=source of=copy.1 bs=64k status=none
        sh -c "busybox dd if=source of=copy.2 bs=64k 2>/dev/null; exec dd if=source of=copy.3 bs=64k status=none"
    '
    valid "$scratch/json"
    [ "$(jq -c '[.totals.files, .totals.bytes, .totals.offloaded, .totals.share == 1, .totals.saved]' "$scratch/json")" = \
        "[3,$((3 * size)),$((3 * size)),true,$((3 * size))]" ] || fail "the totals: $(jq .totals "$scratch/json")"
    [ "$(jq -c '.engines' "$scratch/json")" = "[{\"engine\":\"clone\",\"files\":3,\"bytes\":$((3 * size))}]" ] ||
        fail "the engines: $(jq .engines "$scratch/json")"
    [ "$(jq -c '[.reasons, .nothing, .unusable, .other_version]' "$scratch/json")" = '[[],null,0,0]' ] ||
        fail "reasons: $(cat "$scratch/json")"
    [ "$(jq -r '.copies[].destination' "$scratch/json" | tr '\n' ' ')" = "$PWD/copy.1 $PWD/copy.2 $PWD/copy.3 " ] ||
        fail "the copies: $(jq .copies "$scratch/json")"
}

table() {
    "$offload" --report sh -c 'dd if=source of=copy bs=64k status=none; dd if=source of=/dev/shm/'"offload.$$"' bs=64k status=none' \
        2>"$scratch/err" || fail "it ended with $?"
    rm -f "/dev/shm/offload.$$"
    expect 'offload: 2 files, 16.0 MiB, 50.0% offloaded; saved 8.0 MiB of disk' "$scratch/err"
    grep -qE '^clone +1 +8\.0 MiB +50\.0%$' "$scratch/err" || fail "no row of clone: $(cat "$scratch/err")"
    expect 'source and destination are on different file systems' "$scratch/err"
    # The line behind the reason is its cure.
    grep -A 1 'different file systems' "$scratch/err" | tail -n 1 | grep -qE '^ +[A-Z].*\.$' || fail "no cure: $(cat "$scratch/err")"
}

# A name comes back to the byte: from JSON by its bytes in hexadecimal, from -v by a shell.
named() { # NAME
    local name=$1 locale
    cp --reflink=auto source "$name"
    "$offload" --report=json -o "$scratch/json" dd if="$name" of="$name.copy" bs=64k status=none
    valid "$scratch/json"
    python3 - "$scratch/json" "$PWD/$name" <<'END' || fail "the name became $(jq .copies "$scratch/json")"
import json, os, sys
copy, = json.load(open(sys.argv[1], encoding="ascii"))["copies"]
name = os.fsencode(sys.argv[2])
for key, wanted in ("source", name), ("destination", name + b".copy"):
    assert copy[key] == wanted.decode("utf-8", "replace") or key + "_hex" in copy, copy[key]
    if key + "_hex" in copy:
        assert bytes.fromhex(copy[key + "_hex"]) == wanted
    else:
        assert os.fsencode(copy[key]) == wanted
END
    for locale in C C.UTF-8 "${latin[@]}"; do
        LC_ALL=$locale "$offload" -v dd if="$name" of=copy bs=64k status=none 2>"$scratch/err"
        lines 1 "$scratch/err"
        LC_ALL=C grep -q $'[\x01-\x09\x0b-\x1f\x7f]' "$scratch/err" && fail "raw control bytes: $(cat -A "$scratch/err")"
        shown=$(sed 's/.* bytes by clone: \(.*\) -> .*/\1/' "$scratch/err")
        [ "$(LC_ALL=C bash -c "printf '%s.' $shown")" = "$PWD/$name." ] || fail "in $locale: $(cat -A "$scratch/err")"
    done
}

# Not every machine has the locale: it is made here, where its parts are.
make_latin() {
    latin=()
    if localedef -f ISO-8859-1 -i de_DE "$scratch/de_DE.ISO-8859-1" 2>/dev/null; then
        export LOCPATH=$scratch
        latin=(de_DE.ISO-8859-1)
    fi
}

in_latin() {
    [ ${#latin[@]} -gt 0 ] || skip "localedef cannot make de_DE in ISO-8859-1 here"
    name=$'f\xfcnf'
    cp --reflink=auto source "$name"
    LC_ALL=${latin[0]} "$offload" -v dd if="$name" of=copy bs=64k status=none 2>"$scratch/err"
    LC_ALL=C grep -qF "/$name -> " "$scratch/err" || fail "not as it is: $(cat -A "$scratch/err")"
    LC_ALL=${latin[0]} "$offload" --report dd if="$name" of=copy bs=64k status=none 2>"$scratch/err"
    expect '100.0%' "$scratch/err"
}

nested() {
    "$offload" -v -o "$scratch/outer" "$offload" -v -o "$scratch/inner" dd if=source of=copy bs=64k status=none
    lines 1 "$scratch/outer"
    lines 1 "$scratch/inner"
    cmp "$scratch/outer" "$scratch/inner"
    nothing_left
}

keeps_log() { # HOW...: the user's own file has what it would have without -v
    rm -f "$scratch/log"
    "$@" dd if=source of=copy bs=64k status=none 2>/dev/null
    lines 1 "$scratch/log"
    [ "$(jq -r '.event + " " + .destination' "$scratch/log")" = "copy $PWD/copy" ] || fail "the log: $(cat "$scratch/log")"
}

nested_log() {
    keeps_log "$offload" -v -o "$scratch/outer" "$offload" --log "$scratch/log"
    lines 1 "$scratch/outer"
}

at_once() {
    # shellcheck disable=SC2016
    "$offload" --report=json -o "$scratch/json" bash -c '
        for i in {1..12}; do dd if=source of=copy.$i bs=64k status=none & done; wait'
    valid "$scratch/json"
    [ "$(jq '[.copies[].destination] | unique | length' "$scratch/json")" -eq 12 ] || fail "12 copies gave $(jq .totals "$scratch/json")"
}

silent() {
    "$offload" dd if=source of=/dev/shm/offload.$$ bs=64k status=none >"$scratch/out" 2>&1
    rm -f "/dev/shm/offload.$$"
    lines 0 "$scratch/out"
}

always() { # STATUS LINES COMMAND
    local status=0
    "$offload" --policy=always sh -c "$3" 2>"$scratch/err" || status=$?
    [ $status -eq "$1" ] || fail "it ended with $status: $(cat "$scratch/err")"
    lines "$2" "$scratch/err"
}

always_refused() {
    always 124 2 "dd if=source of=/dev/shm/offload.$$ bs=64k status=none"
    cmp source "/dev/shm/offload.$$" || fail "the copy was not made"
    rm "/dev/shm/offload.$$"
    expect "not wholly offloaded: $PWD/source -> /dev/shm/offload.$$ (source and destination are on" "$scratch/err"
    always 3 2 "dd if=source of=/dev/shm/offload.$$ bs=64k status=none; exit 3"
    rm "/dev/shm/offload.$$"
}

# By the environment as by the option; but what an outer offload watches is told once.
always_by_environment() {
    local status=0
    OFFLOAD_POLICY=always "$offload" dd if=source of="/dev/shm/offload.$$" bs=64k status=none 2>"$scratch/err" || status=$?
    [ $status -eq 124 ] || fail "it ended with $status"
    lines 2 "$scratch/err"
    status=0
    OFFLOAD_POLICY=always "$offload" "$offload" dd if=source of="/dev/shm/offload.$$" bs=64k status=none 2>"$scratch/err" || status=$?
    [ $status -eq 124 ] || fail "nested, it ended with $status"
    lines 2 "$scratch/err"
    rm "/dev/shm/offload.$$"
}

# A program may leave the terminal or pipe that it shares with us non-blocking.
non_blocking() {
    # shellcheck disable=SC2016
    "$offload" --report=json bash -c '
        python3 -c "import os; os.set_blocking(2, False)"
        for i in {1..1000}; do copy /a /b 0 1 null young; done' 2>&1 >/dev/null | {
        # More than a pipe holds comes before it is read.
        sleep 0.5
        cat >"$scratch/json"
    }
    valid "$scratch/json"
    [ "$(jq '.copies | length' "$scratch/json")" -eq 1000 ] || fail "copies: $(jq '.copies | length' "$scratch/json")"
}

# copy_file_range by the program itself: the files tell whether it shared their extents.
range() { # BYTES OFFSET [PYTHON]: which is run before the destination is closed
    "$offload" --policy=always --report=json -o "$scratch/json" python3 -c '
import os, sys
source, copy = os.open("source", os.O_RDONLY), os.open("copy", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
size, done = int(sys.argv[1]), 0
while done < size:
    n = os.copy_file_range(source, copy, size - done, offset_src=int(sys.argv[2]) + done)
    if n == 0:
        break
    done += n
exec(sys.argv[3])
os.close(copy)' "$1" "$2" "${3-}" 2>"$scratch/err"
}

own_call() {
    local status
    range "$size" 0 || fail "it ended with $?: $(cat "$scratch/err")"
    assert_shared source copy
    [ "$(jq -c '[.totals.offloaded, .totals.written, .engines[0].engine, .copies[0].cause]' "$scratch/json")" = \
        "[$size,0,\"program\",\"none\"]" ] || fail "the summary: $(cat "$scratch/json")"
    # At such an offset the kernel has to move the bytes.
    status=0
    range 1000000 77 || status=$?
    [ $status -eq 124 ] || fail "moved bytes gave $status: $(cat "$scratch/json")"
    expect 'did not share all extents' "$scratch/err"
    # Shared with another file than the source.
    status=0
    cp --reflink=never source other
    cp --reflink=always other third
    range "$size" 0 'os.rename("third", "copy")' || status=$?
    [ $status -eq 124 ] || fail "another file gave $status: $(cat "$scratch/json")"
    # Nobody can be asked.
    status=0
    range "$size" 0 'os.unlink("copy")' || status=$?
    [ $status -eq 124 ] || fail "a file that is gone gave $status: $(cat "$scratch/json")"
    expect 'is not known' "$scratch/err"
    nothing_left
}

always_many() {
    # shellcheck disable=SC2016 # for the shell that is started
    always 124 6 'for i in 1 2 3 4 5 6 7 8; do dd if=source of=/dev/shm/offload.'$$'.$i bs=64k status=none; done'
    rm /dev/shm/offload.$$.*
    expect '8 of 8 copies' "$scratch/err"
}

# The linker of another libc would end the program over the library.
other_linker() {
    command -v "${OFFLOAD_TEST_CC:-cc}" >/dev/null || skip "there is no compiler"
    local linker
    linker=$(readelf -l /bin/sh | sed -n 's/.*program interpreter: \(.*\)]/\1/p')
    [ -e "$linker" ] || skip "readelf does not tell the linker of /bin/sh"
    cp "$linker" "$scratch/ld-other.so"
    cat >"$scratch/foreign.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
    const char *preload = getenv("LD_PRELOAD");
    puts(preload ? preload : "none");
    return 0;
}
END
    "${OFFLOAD_TEST_CC:-cc}" -o "$scratch/foreign" -Wl,--dynamic-linker="$scratch/ld-other.so" "$scratch/foreign.c"
    "$offload" --report "$scratch/foreign" >"$scratch/out" 2>"$scratch/err" || fail "it ended with $?"
    [ "$(cat "$scratch/out")" = none ] || fail "LD_PRELOAD is $(cat "$scratch/out")"
    expect "another dynamic linker" "$scratch/err"
    [ "$("$offload" "$scratch/foreign")" = none ] || fail "it has the library where nothing is reported"
}

static_program() {
    local program
    program=$(command -v busybox-static || true)
    if [ -z "$program" ]; then
        command -v "${OFFLOAD_TEST_CC:-cc}" >/dev/null || skip "there is no compiler"
        echo 'int main(void) { return 0; }' | "${OFFLOAD_TEST_CC:-cc}" -static -x c -o "$scratch/static" - 2>/dev/null ||
            skip "static programs cannot be linked here"
        program=$scratch/static
    fi
    printf '#!%s\n' "$program" >"$scratch/script"
    chmod +x "$scratch/script"
    for command in "$program" "$scratch/script"; do
        "$offload" --report "$command" >/dev/null 2>"$scratch/err" || true
        grep -q '^offload: no copy was recognised: .*static' "$scratch/err" || fail "of $command: $(cat "$scratch/err")"
    done
}

# What cannot be watched cannot be promised either.
always_unknown() { # TEXT HOW...: with a command that ends with 0, and one that does not
    local text=$1 status=0
    shift
    "$@" 2>"$scratch/err" || status=$?
    [ $status -eq 124 ] || fail "it ended with $status: $(cat "$scratch/err")"
    [ "$(grep -c 'policy=always' "$scratch/err")" -eq 1 ] || fail "not in one line: $(cat "$scratch/err")"
    grep -q "^offload: .*$text" "$scratch/err" || fail "it said $(cat "$scratch/err")"
}

always_not_watched() {
    cp "$(type -P id)" "$scratch/setuid"
    chown 65534 "$scratch/setuid"
    chmod 4755 "$scratch/setuid"
    always_unknown setuid "$offload" --policy=always "$scratch/setuid" -u
    lines 1 "$scratch/err"
    always_unknown setuid "$offload" --policy=always --report "$scratch/setuid" -u
    mkdir -p "$scratch/old/.libs"
    cp "$offload" "$scratch/old"
    cp "$library" "$scratch/old/.libs"
    sed -i 's/@(#)liboffload [0-9]/@(#)liboffload 9/' "$scratch/old/.libs/liboffload.so"
    always_unknown 'without the library' "$scratch/old/offload" --policy=always true
}

# In a mount namespace in which no directory takes a file.
nowhere() { # COMMAND...
    # shellcheck disable=SC2016
    TMPDIR=/proc unshare --mount sh -c 'mount --rbind /tmp /tmp && mount -o remount,bind,ro /tmp && exec "$@"' sh "$@"
}

always_without_records() {
    local status=0
    always_unknown 'cannot make a file for the records' nowhere "$offload" --policy=always true
    lines 1 "$scratch/err"
    nowhere "$offload" --policy=always sh -c 'exit 5' 2>/dev/null || status=$?
    [ $status -eq 5 ] || fail "it ended with $status"
}

# However few descriptors there are, the command runs.
few_descriptors() {
    local n status
    for n in {4..9}; do
        status=0
        # shellcheck disable=SC2016
        bash -c 'ulimit -Sn "$1"; shift; exec "$@"' bash "$n" \
            "$offload" -v --report bash -c 'ulimit -Sn 100; sleep 0.1; copy /a /b 10 0 "\"clone\"" none; exit 5' \
            2>"$scratch/err" 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- || status=$?
        [ $status -eq 5 ] || fail "with $n descriptors it ended with $status: $(cat "$scratch/err")"
        expect '10 bytes by clone' "$scratch/err"
        expect 'offload: 1 file' "$scratch/err"
        nothing_left
    done
}

says_why() { # TEXT OPTION...
    local text=$1
    shift
    "$offload" --report "$@" 2>"$scratch/err" || true
    lines 1 "$scratch/err"
    grep -q "^offload: no copy was recognised: .*$text" "$scratch/err" || fail "it said $(cat "$scratch/err")"
}

other_architecture() {
    # The header of a program for a machine that this is not (ELF e_machine 8: MIPS).
    { printf '\177ELF\1\1\1' && head -c 9 /dev/zero && printf '\2\0\10\0\1\0\0\0' && head -c 100 /dev/zero; } >"$scratch/foreign"
    chmod +x "$scratch/foreign"
    status=0
    "$offload" --report "$scratch/foreign" 2>"$scratch/err" || status=$?
    [ $status -eq 126 ] || fail "it ended with $status: $(cat "$scratch/err")"
    lines 1 "$scratch/err"
    expect 'cannot run' "$scratch/err"
}

cannot_run() { # TEXT COMMAND...
    local text=$1 status=0
    shift
    "$offload" "$@" 2>"$scratch/err" || status=$?
    [ $status -eq 126 ] || fail "it ended with $status: $(cat "$scratch/err")"
    lines 1 "$scratch/err"
    expect "$text" "$scratch/err"
    ! grep -q 'for this machine' "$scratch/err" || fail "it said $(cat "$scratch/err")"
}

# Each error has its own cure, watched or not.
words_of_errors() {
    local watched
    cp "$(type -P true)" busy
    printf '#!%s/circle\n' "$PWD" >circle
    printf '#!%s/closed\n' "$PWD" >locked
    cp busy closed
    chmod +x circle locked
    chmod 600 closed
    for watched in '' -v; do
        # shellcheck disable=SC2086 # no option, or one
        {
            cannot_run 'open for writing' $watched ./busy 9>>busy
            cannot_run 'in a circle' $watched ./circle
            cannot_run 'permissions' $watched ./locked
        }
    done
}

# All but three bytes of very many are not all of them.
share_is_not_rounded_up() {
    # shellcheck disable=SC2016
    "$offload" --report=json -o "$scratch/json" bash -c 'copy /a /b 4000000000000000000 3 "\"clone\"" none'
    [ "$(jq '.totals.share < 1' "$scratch/json")" = true ] || fail "the share: $(jq .totals "$scratch/json")"
}

setuid_program() {
    [ "$(stat -f -c %T "$scratch")" != nosuid ] || skip "no setuid programs here"
    cp "$(command -v id)" "$scratch/setuid-id"
    chown 65534 "$scratch/setuid-id"
    chmod 4755 "$scratch/setuid-id"
    says_why 'setuid' "$scratch/setuid-id" -u
}

# ---- records that are none -----------------------------------------------------------------------

damaged() {
    # shellcheck disable=SC2016
    "$offload" -v --report=json -o "$scratch/json" bash -c '
        copy /a /b 10 0 "\"clone\"" none
        printf "\n{}\n[]\nnull\n\"copy\"\n{\"event\": 1}\n{\"event\": \"copy\", \"pid\"\nnot JSON\n\0\n\377\376\n" >>"$OFFLOAD_COLLECT"
        copy /a /b 10 0 "\"clone\"" none ", \"source_hex\": \"2f7\""
        copy /a /b 10 0 "\"clone\"" none ", \"source_hex\": \"2f0061\""
        copy /a /b 10 0 "\"clone\"" none ", \"source_hex\": null"
        copy /a /b 10 0 "[1]" none
        copy /a /b 10 -5 "\"clone\"" none
        copy /a "\\ud800" 10 0 "\"clone\"" none
        head -c 3000000 /dev/zero | tr "\0" "[" >>"$OFFLOAD_COLLECT"
        echo >>"$OFFLOAD_COLLECT"
        copy /a /b2 10 0 "\"clone\"" none
        printf "{\"event\": \"copy\"" >>"$OFFLOAD_COLLECT"
    ' 2>"$scratch/err"
    valid "$scratch/json"
    [ "$(jq -c '[.totals.files, .unusable]' "$scratch/json")" = '[2,18]' ] || fail "$(cat "$scratch/json")"
    lines 2 "$scratch/err"
}

damaged_in_table() {
    # shellcheck disable=SC2016
    "$offload" --report bash -c 'echo nonsense >>"$OFFLOAD_COLLECT"' 2>"$scratch/err"
    expect 'offload: 1 line of the records could not be read' "$scratch/err"
}

cut_by_the_program() {
    # shellcheck disable=SC2016
    "$offload" --report=json -o "$scratch/json" bash -c '
        copy /a /b 10 0 "\"clone\"" none
        until [ "$(jq .event "$OFFLOAD_COLLECT")" = "\"copy\"" ]; do :; done
        : >"$OFFLOAD_COLLECT"
        copy /a /b2 10 0 "\"clone\"" none'
    valid "$scratch/json"
    nothing_left
}

# The greatest numbers, escape sequences where no name is, and a hundred causes.
hostile() {
    # shellcheck disable=SC2016
    "$offload" -v --report -o "$scratch/text" bash -c '
        copy /a /b 9223372036854775807 0 "\"\\u001b[31mred\"" none
        copy /a /b 9223372036854775807 9223372036854775807 "\"\\u001b[31mred\"" "\\u001b[2J"
        for i in {1..100}; do copy /a /b 0 1 null cause$i; copy /a /b 1 0 "\"engine$i\"" none; done'
    LC_ALL=C grep -q $'[\x01-\x09\x0b-\x1f\x7f-\xff]' "$scratch/text" && fail "raw control bytes: $(cat -A "$scratch/text")"
    expect 'offload: 202 files' "$scratch/text"
    expect others "$scratch/text"
}

# As beyond 4094 bytes, or without /proc.
unknown_names() {
    # shellcheck disable=SC2016
    "$offload" -v --report=json -o "$scratch/json" bash -c 'copy "" "" 10 0 "\"clone\"" none; copy /a "?" 10 0 "\"clone\"" none' \
        2>"$scratch/err"
    [ "$(cat "$scratch/err")" = $'offload: 10 bytes by clone: ? -> ?\noffload: 10 bytes by clone: /a -> \'?\'' ] ||
        fail "it said $(cat "$scratch/err")"
    [ "$(jq -c '[.copies[].source]' "$scratch/json")" = '["","/a"]' ] || fail "$(cat "$scratch/json")"
}

most_frequent_first() {
    # shellcheck disable=SC2016
    "$offload" --report=json -o "$scratch/json" bash -c '
        copy /a /b 0 9 null young
        copy /a /b 0 1 null shared; copy /a /b 0 1 null shared; copy /a /b 0 1 null shared
        copy /a /b 0 5 null of_another_time; copy /a /b 0 5 null of_another_time'
    [ "$(jq -c '[.reasons[] | [.cause, .count, .bytes, (.cure != null)]]' "$scratch/json")" = \
        '[["shared",3,3,true],["of_another_time",2,10,false],["young",1,9,true]]' ] || fail "$(jq .reasons "$scratch/json")"
}

other_version() {
    "$offload" --report bash -c 'version=0.0.9; copy /a /b 10 0 "\"clone\"" none' 2>"$scratch/err"
    expect 'another version' "$scratch/err"
}

# Thousands of lines from many processes at once are all there, and whole.
flood() {
    # shellcheck disable=SC2016
    "$offload" --report=json -o "$scratch/json" bash -c '
        for process in 1 2 3 4 5 6 7 8; do
            (for i in {1..1500}; do copy /a /b$process.$i 1 0 "\"clone\"" none; done) &
        done
        wait'
    [ "$(jq -c '[.totals.files, .unusable, ([.copies[].destination] | unique | length)]' "$scratch/json")" = '[12000,0,12000]' ] ||
        fail "$(jq -c '[.totals, .unusable]' "$scratch/json")"
    nothing_left
}

# A run of any length: what is told at the end does not wait in memory.
long_list() {
    # shellcheck disable=SC2016
    python3 -c '
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' "$offload" --report=json -o "$scratch/json" \
        bash -c 'n=0; while [ $n -lt 20000 ]; do copy /a /b$n 1 0 "\"clone\"" none; n=$((n + 1)); done' >"$scratch/peak"
    [ "$(jq '.copies | length' "$scratch/json")" -eq 20000 ] || fail "the list has $(jq '.copies | length' "$scratch/json")"
    [ "$(cat "$scratch/peak")" -lt 16384 ] || fail "20000 copies took $(cat "$scratch/peak") KiB"
    nothing_left
}

# ---- the file ------------------------------------------------------------------------------------

private() {
    # shellcheck disable=SC2016
    mode=$("$offload" --report -o /dev/null sh -c 'stat -c "%a %U" "$OFFLOAD_COLLECT"; echo "$OFFLOAD_COLLECT" >'"$scratch/name")
    [ "$mode" = '600 root' ] || fail "the file was $mode"
    [ "$(dirname "$(cat "$scratch/name")")" = "$TMPDIR" ] || fail "it was $(cat "$scratch/name")"
    nothing_left
}

no_room() {
    mkdir -p "$scratch/full"
    mount -t tmpfs -o size=64k tmpfs "$scratch/full"
    at_end+=("umount $scratch/full")
    head -c 1M /dev/zero >"$scratch/full/filler" 2>/dev/null || true
    # What is tried next, /tmp, must not take it either: it is read-only in a mount namespace of the command's own.
    status=0
    # shellcheck disable=SC2016
    TMPDIR=$scratch/full unshare --mount sh -c 'mount --rbind /tmp /tmp && mount -o remount,bind,ro /tmp && exec "$@"' sh \
        "$offload" -v --report sh -c 'exit 5' 2>"$scratch/err" || status=$?
    umount "$scratch/full"
    [ $status -eq 5 ] || fail "it ended with $status: $(cat "$scratch/err")"
    lines 1 "$scratch/err"
    expect 'there will be no summary' "$scratch/err"
}

# The room goes while the command runs: what was not written cannot be told, but that something may be missing can.
room_goes() {
    local policy
    mkdir -p "$scratch/small"
    mount -t tmpfs -o size=1m tmpfs "$scratch/small"
    for policy in auto always; do
        status=0
        # shellcheck disable=SC2016
        TMPDIR=$scratch/small "$offload" --report --policy=$policy bash -c '
            head -c 2M /dev/zero >"$TMPDIR/filler" 2>/dev/null
            for i in {1..1000}; do copy /a /b$i 1 0 "\"clone\"" none; done 2>/dev/null
            exit 0' 2>"$scratch/err" || status=$?
        rm "$scratch/small/filler"
        expect 'records of copies may be missing: there was no room' "$scratch/err"
        [ $policy-$status = auto-0 ] || [ $policy-$status = always-124 ] || fail "$policy ended with $status"
    done
    umount "$scratch/small"
}

always_damaged() {
    status=0
    # shellcheck disable=SC2016
    "$offload" --policy=always bash -c 'copy /a /b 1 0 "\"clone\"" none; echo nonsense >>"$OFFLOAD_COLLECT"' 2>"$scratch/err" ||
        status=$?
    [ $status -eq 124 ] || fail "it ended with $status"
    expect 'cannot be kept: 1 line of the records' "$scratch/err"
}

next_place() {
    # shellcheck disable=SC2016
    XDG_RUNTIME_DIR=/proc/no/such TMPDIR=relative "$offload" -v sh -c 'case $OFFLOAD_COLLECT in /tmp/*) ;; *) exit 9 ;; esac'
}

output_is_replaced() {
    echo 'old and long, and longer than what comes' >"$scratch/text"
    "$offload" -v -o "$scratch/text" dd if=source of=copy bs=64k status=none
    lines 1 "$scratch/text"
    expect 'bytes by clone' "$scratch/text"
}

# The command's own output goes to the same file.
# shellcheck disable=SC2094 # that is what is tried
output_is_shared() {
    "$offload" -v --report -o "$scratch/both" sh -c 'echo first; dd if=source of=copy bs=64k status=none; echo second' \
        >"$scratch/both"
    [ "$(sed -n '1p;2s/.*bytes by clone.*/line/p;3p;4s/ .*//p' "$scratch/both")" = $'first\nline\nsecond\noffload:' ] ||
        [ "$(sed -n '1,2p;3s/.*bytes by clone.*/line/p;4s/ .*//p' "$scratch/both")" = $'first\nsecond\nline\noffload:' ] ||
        fail "the file: $(cat "$scratch/both")"
    "$offload" --report -o "$scratch/both" sh -c 'echo words >&2' 2>>"$scratch/both"
    expect first "$scratch/both"
    expect words "$scratch/both"
    # What another process adds is not written over.
    "$offload" --report -o "$scratch/text" sh -c "echo added >>'$scratch/text'"
    expect added "$scratch/text"
    expect 'no copy was recognised' "$scratch/text"
}

output_first() {
    # It is there, and empty, when the command starts; and one that cannot be opened keeps the command from starting.
    rm -f "$scratch/text"
    "$offload" --report -o "$scratch/text" sh -c "[ -f '$scratch/text' ] && [ ! -s '$scratch/text' ]" || fail "not there before"
    "$offload" --report -o /proc/no-such-file touch "$scratch/started" 2>/dev/null && fail "it ended with 0"
    [ ! -e "$scratch/started" ] || fail "the command was started"
}

output_full() {
    local status=0
    "$offload" --report -o /dev/full true 2>"$scratch/err" || status=$?
    [ $status -eq 125 ] || fail "it ended with $status"
    lines 1 "$scratch/err"
    status=0
    "$offload" --report -o /dev/full sh -c 'exit 4' 2>"$scratch/err" || status=$?
    [ $status -eq 4 ] || fail "it ended with $status"
}

closed_pipe() {
    local status
    set +o pipefail
    "$offload" -v --report sh -c 'sleep 0.2; exit 6' 2>&1 >/dev/null | true
    status=${PIPESTATUS[0]}
    [ "$status" -eq 6 ] || fail "it ended with $status"
}

# A daemon lives on when the command has ended; the summary does not wait for it, and its records harm nobody.
leaves_a_daemon() {
    # shellcheck disable=SC2016
    limited "$offload" --report=json -o "$scratch/json" bash -c '
        copy /a /b 10 0 "\"clone\"" none
        setsid sh -c "until [ -e $1/go ]; do sleep 0.1; done; dd if=source of=late bs=64k status=none; touch $1/gone" \
            >/dev/null 2>&1 </dev/null &
        exit 0' bash "$scratch"
    [ "$(jq .totals.files "$scratch/json")" -eq 1 ] || fail "$(cat "$scratch/json")"
    nothing_left
    touch "$scratch/go"
    for _ in {1..300}; do
        [ -e "$scratch/gone" ] && break
        sleep 0.1
    done
    assert_same source late
    nothing_left
}

mount_xfs 1G || skip_all "XFS cannot be mounted here"
cd "$mount" || exit 1
size=8400000
make_source source $size
make_latin

plan 55
verdict "dd" copies dd if=source of=copy bs=64k status=none
verdict "busybox cp" copies busybox cp source copy
verdict "python3" by_python
verdict "a command's descendants" descendants
verdict "the table" table
verdict "a name with spaces and quotes" named "it's a \"name\" -> \$HOME \`x\` \\n"
verdict "a name with a newline, a tab and an escape" named $'new\nline\ttab\e[1m\x01\x7f'
verdict "a name that is not UTF-8" named $'latin-\xe9-\xff\xfe-\xc3'
verdict "a name in UTF-8" named 'жук-☃-𝄞'
verdict "a name that turns the text around" named $'a\xe2\x80\xaeb'
verdict "a name in the locale's own characters" in_latin
verdict "one offload under another" nested
verdict "the user's OFFLOAD_REPORT and -v" keeps_log env OFFLOAD_REPORT="$scratch/log" "$offload" -v
verdict "the log that a file of settings names, and -v" keeps_log env OFFLOAD_CONFIG="$scratch/conf" "$offload" -v
verdict "the user's --log and -v" keeps_log "$offload" -v --log "$scratch/log"
verdict "--log under another offload" nested_log
verdict "twelve programs at once" at_once
verdict "nothing is printed unless asked for" silent
verdict "--policy=always, offloaded" always 0 0 'dd if=source of=copy bs=64k status=none'
verdict "--policy=always, refused" always_refused
verdict "--policy=always, refused many times" always_many
verdict "--policy=always, copy_file_range" own_call
verdict "--policy=always, not watched" always_not_watched
verdict "--policy=always, without records" always_without_records
verdict "OFFLOAD_POLICY=always" always_by_environment
verdict "standard error that does not block" non_blocking
verdict "a static program" static_program
verdict "a program for another machine" other_architecture
verdict "a program of another linker runs without the library" other_linker
verdict "a setuid program" setuid_program
verdict "why a program cannot be run" words_of_errors
verdict "a library that is off" says_why 'switched off' --off true
verdict "a command that copies nothing" says_why 'nothing that the library could see' true
verdict "lines that are no records" damaged
verdict "lines that are no records, in the table" damaged_in_table
verdict "a file of records that the program cuts" cut_by_the_program
verdict "records made to harm" hostile
verdict "a share that is nearly one" share_is_not_rounded_up
verdict "names that are not known" unknown_names
verdict "the most frequent reason first" most_frequent_first
verdict "records of another version" other_version
verdict "thousands of records at once" flood
verdict "a list of thousands of copies" long_list
verdict "the file of records is private" private
verdict "no room for a file of records" no_room
verdict "the room for the file of records goes" room_goes
verdict "--policy=always, lines that are no records" always_damaged
verdict "few descriptors" few_descriptors
verdict "the next place for a file of records" next_place
verdict "--output is replaced" output_is_replaced
verdict "--output is the command's own" output_is_shared
verdict "--output is opened first" output_first
verdict "--output that is full" output_full
verdict "standard error that nobody reads" closed_pipe
verdict "a daemon that is left behind" leaves_a_daemon
