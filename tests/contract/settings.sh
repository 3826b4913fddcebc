#!/bin/bash
# The settings: what each switches, and that a bad one costs a line on stderr and nothing else.
. "$(dirname "$0")/../fixture.sh"
need_root

copy() { # VARIABLE=VALUE or option of env...
    local arguments=() values=() argument
    for argument in "$@"; do
        case $argument in
        *=*) values+=("$argument") ;;
        *) arguments+=("$argument") ;;
        esac
    done
    rm -f copy
    run_preloaded env "${arguments[@]}" "${values[@]}" dd if=source of=copy bs=64k status=none 2>"$scratch/messages"
    assert_same source copy
}

silent() {
    [ ! -s "$scratch/messages" ] || fail "it printed: $(cat "$scratch/messages")"
}

clones() {
    copy "$@"
    silent
    assert_shared source copy
}

does_not_clone() {
    copy "$@"
    silent
    assert_not_shared source copy
}

warns_once() {
    copy "$@"
    [ "$(wc -l <"$scratch/messages")" -eq 1 ] ||
        fail "not one line on stderr for $*: $(cat "$scratch/messages")"
    grep -q OFFLOAD "$scratch/messages" || fail "it does not name the setting: $(cat "$scratch/messages")"
    # The default is used.
    assert_shared source copy
}

# The user's own file, which no variable names.
from_file() { # LINE COMMAND...
    mkdir -p "$scratch/home/.config"
    printf '%s\n' "$1" >"$scratch/home/.config/offload.conf"
    shift
    "$@" -u OFFLOAD_CONFIG -u XDG_CONFIG_HOME HOME="$scratch/home"
}

# Before this library's own constructor, by which the settings are read.
early_copy() {
    command -v "${OFFLOAD_TEST_CC:-cc}" >/dev/null || skip "there is no compiler"
    ${OFFLOAD_TEST_CC:-cc} -shared -fPIC -x c -o "$scratch/early.so" - <<'END'
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void copies(void)
{
    static char buffer[65536];
    int source = open("source", O_RDONLY), copy = open("copy", O_WRONLY | O_CREAT | O_EXCL, 0644);
    for (ssize_t n; copy >= 0 && (n = read(source, buffer, sizeof buffer)) > 0;)
        if (write(copy, buffer, n) != n)
            _exit(1);
}
END
    rm -f copy
    OFFLOAD=off library="$library $scratch/early.so" run_preloaded "$(command -v true)"
    assert_same source copy
    assert_not_shared source copy
}

plan 26
on_filesystem() {
    make_source source
    verdict "no setting clones" clones A=b
    verdict "OFFLOAD=off does not" does_not_clone OFFLOAD=off
    verdict "nor does a library that copies before it is read" early_copy
    verdict "OFFLOAD= clones" clones OFFLOAD=
    verdict "OFFLOAD_ENGINES=clone clones" clones OFFLOAD_ENGINES=clone
    verdict "OFFLOAD_ENGINES=kernel,clone clones" clones OFFLOAD_ENGINES=kernel,clone
    verdict "a source of OFFLOAD_MIN_SIZE clones" clones OFFLOAD_MIN_SIZE="$(stat -c %s source)"
    verdict "a source below OFFLOAD_MIN_SIZE does not" does_not_clone \
        OFFLOAD_MIN_SIZE=$(($(stat -c %s source) + 1))
    verdict "OFFLOAD_MIN_SIZE=0 clones" clones OFFLOAD_MIN_SIZE=0
    verdict "OFFLOAD with a bad value" warns_once OFFLOAD=perhaps
    verdict "OFFLOAD_ENGINES with a bad name" warns_once OFFLOAD_ENGINES=clone,teleport
    verdict "OFFLOAD_MIN_SIZE with a word" warns_once OFFLOAD_MIN_SIZE=many
    verdict "OFFLOAD_MIN_SIZE below nothing" warns_once OFFLOAD_MIN_SIZE=-1
    verdict "OFFLOAD_MIN_SIZE beyond 64 bits" warns_once OFFLOAD_MIN_SIZE=99999999999999999999
    verdict "OFFLOAD_MIN_SIZE with something behind it" warns_once OFFLOAD_MIN_SIZE=64k
    verdict "OFFLOAD_POLICY=never does not" does_not_clone OFFLOAD_POLICY=never
    verdict "OFFLOAD_POLICY=always clones" clones OFFLOAD_POLICY=always
    verdict "OFFLOAD_POLICY with a bad word" warns_once OFFLOAD_POLICY=often
    verdict "an excluded destination is left alone" does_not_clone OFFLOAD_EXCLUDE='*.img:copy'
    verdict "an excluded source is left alone" does_not_clone OFFLOAD_EXCLUDE="$PWD/s*"
    verdict "another exclusion clones" clones OFFLOAD_EXCLUDE='*.img'
    verdict "an included source clones" clones OFFLOAD_INCLUDE='source'
    verdict "what is not included is left alone" does_not_clone OFFLOAD_INCLUDE='*.img'
    verdict "the user's file is read" from_file 'OFFLOAD_POLICY=never' does_not_clone
    verdict "the environment goes before the file" from_file 'OFFLOAD_POLICY=never' clones OFFLOAD_POLICY=auto
    verdict "a bad line of the file" from_file 'OFFLOAD_POLICY=often' warns_once
}
on_each xfs 26 on_filesystem
