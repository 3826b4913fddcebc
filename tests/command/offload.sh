#!/bin/bash
# The command `offload`, from the build tree and installed.
. "$(dirname "$0")/../fixture.sh"

# A make of our own, not a part of the one that may be running us.
unset MAKEFLAGS MAKELEVEL MFLAGS

offload=$build/offload
cd "$scratch" || exit 1

says() { # STATUS TEXT ARGUMENT...
    local status=0 wanted=$1 text=$2
    shift 2
    "$offload" "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
    [ $status -eq "$wanted" ] || fail "offload $* ended with $status, not $wanted: $(cat "$scratch/err")"
    [ "$(wc -l <"$scratch/err")" -eq 1 ] || fail "not one line: $(cat "$scratch/err")"
    case $(cat "$scratch/err") in
    "offload: "*"$text"*) ;;
    *) fail "not a word of '$text': $(cat "$scratch/err")" ;;
    esac
}

preloads() { # OFFLOAD
    # shellcheck disable=SC2016 # for the shell that is started
    "$1" sh -c 'grep -q liboffload.so /proc/$$/maps' || fail "$1 did not load the library"
}

keeps_status() {
    local status
    for expected in 0 1 7 125 255; do
        status=0
        "$offload" sh -c "exit $expected" || status=$?
        [ $status -eq $expected ] || fail "the status became $status, not $expected"
    done
}

keeps_signal() {
    local status=0
    # shellcheck disable=SC2016
    "$offload" sh -c 'kill -TERM $$' || status=$?
    [ $status -eq 143 ] || fail "the command's end by a signal became status $status"
}

keeps_process() {
    # shellcheck disable=SC2016
    "$offload" sh -c 'echo $$' >"$scratch/number" &
    wait $!
    [ "$(cat "$scratch/number")" = $! ] || fail "the command is another process than offload was"
}

keeps_preload() {
    cp "$build/.libs/liboffload.so" "$scratch/another.so"
    # shellcheck disable=SC2016
    value=$(LD_PRELOAD=$scratch/another.so "$offload" sh -c 'echo "$LD_PRELOAD"')
    [ "$value" = "$build/.libs/liboffload.so:$scratch/another.so" ] || fail "LD_PRELOAD became $value"
}

keeps_arguments() {
    [ "$("$offload" printf '<%s>' 'a b' '' '--off' '*')" = '<a b><><--off><*>' ] || fail "the arguments changed"
    [ "$(printf input | "$offload" cat)" = input ] || fail "the input was lost"
}

sets() { # NAME VALUE ARGUMENT...
    local name=$1 expected=$2
    shift 2
    value=$("$offload" "$@" sh -c "echo \"\$$name\"")
    [ "$value" = "$expected" ] || fail "$name became $value, not $expected"
}

shows_help() {
    "$offload" --help >"$scratch/help"
    for option in --off --report --engines --min-size --help --version; do
        grep -q -e "$option" "$scratch/help" || fail "--help does not tell of $option"
    done
}

shows_version() {
    version=$(sed -n 's/^AC_INIT(\[liboffload\], \[\(.*\)\])$/\1/p' "$source_tree/configure.ac")
    [ "$("$offload" --version)" = "offload $version" ] || fail "the version: $("$offload" --version)"
}

from_source_tree() {
    [ "$build" = "$source_tree" ] || skip "the library was not built in the source tree"
    preloads "$source_tree/scripts/offload"
    ln -s "$source_tree/scripts/offload" "$scratch/linked"
    preloads "$scratch/linked"
}

installed() {
    make -s -C "$build" install prefix="$scratch/prefix" >"$scratch/install.log" 2>&1 ||
        fail "make install: $(tail -n 5 "$scratch/install.log")"
    [ "$(cd "$scratch/prefix" && find . -type f | sort | tr '\n' ' ')" = './bin/offload ./lib/liboffload.so ' ] ||
        fail "installed: $(cd "$scratch/prefix" && find . -type f)"
    preloads "$scratch/prefix/bin/offload"
    (cd / && PATH=$scratch/prefix/bin:$PATH preloads offload)
    make -s -C "$build" uninstall prefix="$scratch/prefix" >/dev/null 2>&1
    [ -z "$(find "$scratch/prefix" -type f)" ] || fail "left behind: $(find "$scratch/prefix" -type f)"
}

staged() {
    make -s -C "$build" install DESTDIR="$scratch/stage" prefix=/usr >/dev/null 2>&1
    grep -q "^libdir='/usr/lib'" "$scratch/stage/usr/bin/offload" ||
        fail "not made for /usr: $(grep ^libdir= "$scratch/stage/usr/bin/offload")"
}

plain_file() {
    : >"$scratch/file"
    says 126 'not executable' "$scratch/file"
}

without_library() {
    sed "s|^libdir=.*|libdir='$scratch/nowhere'|" "$offload" >"$scratch/lost"
    chmod +x "$scratch/lost"
    offload=$scratch/lost
    says 125 'not at' true
}

plan 33
verdict "loads the library" preloads "$offload"
verdict "keeps the command's exit status" keeps_status
verdict "keeps the command's signal" keeps_signal
verdict "becomes the command" keeps_process
verdict "keeps what LD_PRELOAD holds" keeps_preload
verdict "keeps arguments and input" keeps_arguments
verdict "--off" sets OFFLOAD off --off
verdict "--report with a relative name" sets OFFLOAD_REPORT "$PWD/r.json" --report r.json
verdict "--report= with a full name" sets OFFLOAD_REPORT "$scratch/r.json" --report="$scratch/r.json"
verdict "--engines" sets OFFLOAD_ENGINES clone,kernel --engines clone,kernel
verdict "--min-size" sets OFFLOAD_MIN_SIZE 4096 --min-size 4096
verdict "-- ends the options" sets OFFLOAD off --off --
# shellcheck disable=SC2016
verdict "an environment setting stays" env OFFLOAD_ENGINES=clone "$offload" sh -c '[ "$OFFLOAD_ENGINES" = clone ]'
verdict "--help" shows_help
verdict "--version" shows_version
verdict "no command" says 125 'no command'
verdict "an unknown option" says 125 --wrong --wrong true
verdict "--report without a value" says 125 'needs a value' --report
verdict "--report with nothing" says 125 'empty' --report '' true
verdict "--report with a directory" says 125 'directory' --report "$scratch" true
verdict "--report where no directory is" says 125 'does not exist' --report "$scratch/no/where" true
verdict "--engines with nothing" says 125 'empty' --engines '' true
verdict "--engines with an unknown name" says 125 'teleport' --engines clone,teleport true
verdict "--min-size with a word" says 125 'many' --min-size many true
verdict "--min-size below nothing" says 125 '-5' --min-size -5 true
verdict "a command that is not there" says 127 'no such command' no-such-command-anywhere
verdict "a path that is not there" says 127 'no such file' ./no/such/path
verdict "a command that is a directory" says 126 'directory' "$scratch"
verdict "a command that is no program" plain_file
verdict "a library that is not there" without_library
verdict "from the source tree, by a link too" from_source_tree
verdict "installed and uninstalled" installed
verdict "installed in a stage" staged
