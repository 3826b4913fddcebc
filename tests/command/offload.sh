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

# What LD_PRELOAD is for a command, if it holds VALUE before.
preload_under() { # VALUE OFFLOAD...
    local value=$1
    shift
    # shellcheck disable=SC2016
    LD_PRELOAD=$value "$@" sh -c 'echo "$LD_PRELOAD"'
}

keeps_preload() {
    cp "$build/.libs/liboffload.so" "$scratch/another.so"
    value=$(preload_under "$scratch/another.so" "$offload")
    [ "$value" = "$build/.libs/liboffload.so:$scratch/another.so" ] || fail "LD_PRELOAD became $value"
}

preloads_once() {
    cp "$build/.libs/liboffload.so" "$scratch/another.so"
    value=$(preload_under "$scratch/another.so $library" "$offload" "$offload")
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

sets_nothing_else() {
    (unset _ && env sort -z /proc/self/environ) | tr '\0' '\n' | grep -v ^_= >"$scratch/plain"
    (unset _ && "$offload" sort -z /proc/self/environ) | tr '\0' '\n' | grep -v -e ^LD_PRELOAD= -e ^_= >"$scratch/ours"
    diff "$scratch/plain" "$scratch/ours" || fail "the environment changed"
}

shows_help() {
    "$offload" --help >"$scratch/help"
    [ -z "$(awk 'length > 120' "$scratch/help")" ] || fail "wider than 120: $(awk 'length > 120' "$scratch/help")"
    for option in -v --verbose --report -o --output --progress --policy --engines --buffers --min-size --include \
        --exclude --log --off --help --version probe doctor; do
        grep -qw -e "$option" "$scratch/help" || fail "--help does not tell of $option"
    done
}

shows_version() {
    version=$(sed -n 's/^AC_INIT(\[liboffload\], \[\(.*\)\])$/\1/p' "$source_tree/configure.ac")
    [ "$("$offload" --version)" = "offload $version" ] || fail "the version: $("$offload" --version)"
}

cannot_print() { # OPTION
    local status=0
    "$offload" "$1" >/dev/full 2>"$scratch/err" || status=$?
    [ $status -eq 125 ] || fail "it ended with $status"
    grep -q '^offload: cannot write' "$scratch/err" || fail "it said $(cat "$scratch/err")"
}

by_a_link() {
    ln -s "$offload" "$scratch/offload"
    preloads "$scratch/offload"
}

# ---- installed -----------------------------------------------------------------------------------

installed() {
    make -s -C "$build" install prefix="$scratch/prefix" >"$scratch/install.log" 2>&1 ||
        fail "make install: $(tail -n 5 "$scratch/install.log")"
    for file in bin/offload lib/liboffload.so; do
        [ -f "$scratch/prefix/$file" ] || fail "not installed: $file"
    done
    [ ! -e "$scratch/prefix/lib/liboffload.la" ] || fail "liboffload.la was installed"
    loads_beside "$scratch/prefix"
    make -s -C "$build" uninstall prefix="$scratch/prefix" >/dev/null 2>&1
    [ -z "$(find "$scratch/prefix" -type f)" ] || fail "left behind: $(find "$scratch/prefix" -type f)"
}

# The library is the one of the same installation, wherever that was moved.
loads_beside() { # PREFIX
    [ "$(cd / && preload_under '' "$1/bin/offload")" = "$1/lib/liboffload.so" ] ||
        fail "not its own library: $(preload_under '' "$1/bin/offload")"
    # shellcheck disable=SC2031
    (cd / && PATH=$1/bin:$PATH preloads offload)
}

staged() {
    make -s -C "$build" install DESTDIR="$scratch/stage" prefix=/usr >/dev/null 2>&1
    loads_beside "$scratch/stage/usr"
}

needs_libc_only() {
    command -v readelf >/dev/null || skip "readelf is not installed"
    [ -n "$(find /usr/lib /usr/lib64 -name libjansson.a 2>/dev/null)" ] || skip "there is no archive of Jansson"
    others=$(readelf -dW "$offload" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^(libc\.so\.6|ld-linux.*)$') || true
    [ -z "$others" ] || fail "it needs $others"
}

# ---- the library ---------------------------------------------------------------------------------

# A command with a library of its own beside it, as in a build tree: $here/offload.
apart() { # DIRECTORY
    here=$scratch/$1
    mkdir -p "$here/.libs"
    cp "$offload" "$here/offload"
    cp "$build/.libs/liboffload.so" "$here/.libs"
}

runs_without() { # TEXT
    # shellcheck disable=SC2016
    "$here/offload" sh -c 'echo "<$LD_PRELOAD>"' >"$scratch/out" 2>"$scratch/err"
    [ "$(cat "$scratch/out")" = '<>' ] || fail "not run without the library: $(cat "$scratch/out")"
    [ "$(wc -l <"$scratch/err")" -eq 1 ] || fail "not one line: $(cat "$scratch/err")"
    grep -q "^offload: .*$1" "$scratch/err" || fail "it said $(cat "$scratch/err")"
}

other_version() {
    apart older
    sed -i 's/@(#)liboffload [0-9]/@(#)liboffload 9/' "$here/.libs/liboffload.so"
    runs_without 'is version 9\..* this command is '
}

no_version() {
    apart unversioned
    sed -i 's/@(#)liboffload /@(#)lib0ffload /' "$here/.libs/liboffload.so"
    runs_without 'does not tell its version'
}

# The version can be read without memory for the whole file.
little_memory() {
    apart small
    truncate -s 4G "$here/.libs/liboffload.so"
    # shellcheck disable=SC2016
    bash -c 'ulimit -v 200000; exec "$@"' bash "$here/offload" sh -c 'exit 7' 2>"$scratch/err" && fail "it ended with 0"
    [ $? -eq 7 ] || fail "not run: $(cat "$scratch/err")"
    ! grep -q 'does not tell' "$scratch/err" || fail "it said $(cat "$scratch/err")"
}

in_bad_place() {
    apart 'a space'
    offload=$here/offload
    says 125 'space or colon' true
}

without_library() {
    apart lost
    rm "$here/.libs/liboffload.so"
    [ ! -e "$(sed -n "s/^libdir = //p" "$build/Makefile")/liboffload.so" ] || skip "a library is installed"
    offload=$here/offload
    says 125 'not at' true
}

# ---- by the name of another program --------------------------------------------------------------

link_named() { # NAME
    mkdir -p "$scratch/links"
    ln -sf "$offload" "$scratch/links/$1"
}

by_name() {
    local status=0
    link_named sh
    # shellcheck disable=SC2016
    "$scratch/links/sh" -c 'grep -q liboffload.so /proc/$$/maps && [ "$1" = --off ] && exit 7' arg0 --off || status=$?
    [ $status -eq 7 ] || fail "not run, or without the library: $status"
}

by_name_in_path() {
    link_named env
    [ "$(PATH=$scratch/links:$PATH sh -c 'env -- printf "<%s>" -v "" --help')" = '<-v><><--help>' ] ||
        fail "the arguments changed"
    # The first that is no link to offload, in the order of PATH.
    link_named two-of-them
    for place in first second; do
        mkdir -p "$scratch/$place"
        printf '#!/bin/sh\necho %s\n' $place >"$scratch/$place/two-of-them"
        chmod +x "$scratch/$place/two-of-them"
    done
    value=$(PATH=$scratch/links:$scratch/first:$scratch/second:$PATH two-of-them)
    [ "$value" = first ] || fail "run was the $value"
}

argv0_is() { # EXPECTED COMMAND...
    local expected=$1
    shift
    "$@" >"$scratch/out"
    [ "$(tr '\0' ' ' <"$scratch/out")" = "$expected /proc/self/cmdline " ] || fail "argv became $(cat -v "$scratch/out")"
}

# The program gets its own path where it would look for itself and find the link, and any other name as it is.
by_name_argv0() {
    link_named cat
    real=$(command -v cat)
    argv0_is "$real" "$scratch/links/cat" /proc/self/cmdline
    # shellcheck disable=SC2031
    argv0_is "$real" env PATH="$scratch/links:$PATH" bash -c 'exec -a cat cat /proc/self/cmdline'
    # shellcheck disable=SC2016
    for name in worker -cat "$real" /there/cat dd; do
        argv0_is "$name" bash -c 'exec -a "$1" "$2" /proc/self/cmdline' bash "$name" "$scratch/links/cat"
    done
}

by_name_login_shell() {
    link_named bash
    mkdir -p "$scratch/home"
    echo 'echo a login shell' >"$scratch/home/.bash_profile"
    # shellcheck disable=SC2016
    value=$(HOME=$scratch/home bash -c 'exec -a -bash "$1" -c "shopt login_shell" | tail -n 1' bash "$scratch/links/bash")
    [ "$(echo "$value" | tr -s '\t ' ' ')" = "login_shell on" ] || fail "no login shell: $value"
}

by_name_venv() {
    local real
    real=$(command -v python3) || skip "python3 is not installed"
    "$real" -m venv --without-pip "$scratch/venv" 2>/dev/null || skip "python3 has no venv"
    link_named python3
    # shellcheck disable=SC2031
    value=$(PATH=$scratch/links:$scratch/venv/bin:$PATH python3 -c 'import sys; print(sys.prefix)')
    [ "$value" = "$scratch/venv" ] || fail "not in the venv, but in $value"
}

# The interpreter in a script's first line is called by that name, and the script's own name does not matter.
by_name_in_a_script() {
    local script
    link_named cat
    for script in script offload true; do
        printf '#!%s\nthe text\n' "$scratch/links/cat" >"$scratch/bin-$script"
        mkdir -p "$scratch/scripts"
        mv "$scratch/bin-$script" "$scratch/scripts/$script"
        chmod +x "$scratch/scripts/$script"
        [ "$("$scratch/scripts/$script" | tail -n 1)" = 'the text' ] || fail "$script was not shown by cat"
    done
}

# What was executed is the command, whatever its caller says.
not_by_argv0() {
    # shellcheck disable=SC2016
    value=$(bash -c 'exec -a myjob "$1" echo run' bash "$offload") || fail "it ended with $?"
    [ "$value" = run ] || fail "run was: $value"
}

# Copies know each other, under any name and of any version.
by_name_copies() {
    local place status=0 program=only-copies
    for place in one other; do
        apart "$place-copy"
        mv "$here/offload" "$here/$program"
    done
    strip "$here/$program" 2>/dev/null || true
    env PATH="$scratch/one-copy:$scratch/other-copy" "$(command -v timeout)" 20 "$here/$program" 2>"$scratch/err" ||
        status=$?
    [ $status -eq 127 ] || fail "it ended with $status: $(cat "$scratch/err")"
    [ "$(wc -l <"$scratch/err")" -eq 1 ] || fail "not one line: $(cat "$scratch/err")"
}

# Two installations whose links both stand in PATH must not call each other for ever.
by_name_twice() {
    local status=0
    apart second-place
    link_named true
    ln -s offload "$here/true"
    PATH=$scratch/links:$here:$PATH limited "$scratch/links/true" || fail "it ended with $?"
    env PATH="$scratch/links:$here" "$(command -v timeout)" 20 "$scratch/links/true" 2>"$scratch/err" || status=$?
    [ $status -eq 127 ] || fail "with nothing but links it ended with $status"
}

by_name_nothing() {
    link_named no-such-program
    status=0
    PATH=$scratch/links:$PATH "$scratch/links/no-such-program" 2>"$scratch/err" || status=$?
    [ $status -eq 127 ] || fail "it ended with $status"
    [ "$(wc -l <"$scratch/err")" -eq 1 ] || fail "not one line: $(cat "$scratch/err")"
}

by_name_without_library() {
    apart alone
    rm "$here/.libs/liboffload.so"
    [ ! -e "$(sed -n "s/^libdir = //p" "$build/Makefile")/liboffload.so" ] || skip "a library is installed"
    ln -s offload "$here/true"
    "$here/true" 2>"$scratch/err" || fail "the program was not run"
    [ "$(wc -l <"$scratch/err")" -eq 1 ] || fail "not one line: $(cat "$scratch/err")"
}

# ---- what cannot be run ----------------------------------------------------------------------------

noexec_mount() {
    [ "$(id -u)" -eq 0 ] || skip "only root may mount"
    mkdir noexec
    mount -t tmpfs -o noexec none noexec || skip "tmpfs cannot be mounted here"
    cp "$(type -P true)" noexec/program
    says 126 'noexec' noexec/program
    umount noexec
}

circle() {
    ln -sf circle "$scratch/circle"
    says 126 'in a circle' "$scratch/circle"
}

closed_directory() {
    [ "$(id -u)" -eq 0 ] || skip "only root can become another user"
    apart open
    chmod -R go+rX "$scratch/open"
    mkdir -p "$scratch/closed-directory"
    cp "$(type -P true)" "$scratch/closed-directory"
    chmod 700 "$scratch/closed-directory"
    offload=$scratch/as-nobody
    printf '#!/bin/sh\nexec setpriv --reuid 65534 --clear-groups %s/offload "$@"\n' "$here" >"$offload"
    chmod +x "$offload"
    says 126 'the directories on the way' "$scratch/closed-directory/true"
}

plain_file() {
    : >"$scratch/file"
    says 126 'not executable' "$scratch/file"
}

no_interpreter() {
    printf '#!/no/such/interpreter\n' >"$scratch/script"
    chmod +x "$scratch/script"
    says 127 'interpreter' "$scratch/script"
    says 127 'interpreter' -v "$scratch/script"
}

no_shebang() {
    echo 'exit 9' >"$scratch/plain-script"
    chmod +x "$scratch/plain-script"
    for how in --off -v; do
        status=0
        "$offload" $how "$scratch/plain-script" || status=$?
        [ $status -eq 9 ] || fail "with $how it ended with $status"
    done
}

not_a_program() {
    { printf '\177ELF' && head -c 100 /dev/zero; } >"$scratch/broken"
    chmod +x "$scratch/broken"
    says 126 'Exec format error' "$scratch/broken"
    says 126 'Exec format error' -v "$scratch/broken"
}

program_called_probe() {
    # The word is a program's behind `--`, and a subcommand's before.
    mkdir -p "$scratch/bin"
    printf '#!/bin/sh\necho a program\n' >"$scratch/bin/probe"
    chmod +x "$scratch/bin/probe"
    [ "$(PATH=$scratch/bin:$PATH "$offload" -- probe)" = 'a program' ] || fail "-- probe"
    [ "$("$offload" "$scratch/bin/probe")" = 'a program' ] || fail "probe by its path"
}

not_writable() { # OPTION
    [ "$(id -u)" -eq 0 ] || skip "only root can become another user"
    : >"$scratch/closed"
    chmod 600 "$scratch/closed"
    status=0
    apart open
    chmod -R go+rX "$scratch/open"
    setpriv --reuid 65534 --clear-groups "$scratch/open/offload" -v "$1" "$scratch/closed" true 2>"$scratch/err" || status=$?
    [ $status -eq 125 ] || fail "it ended with $status: $(cat "$scratch/err")"
    grep -q 'may not write' "$scratch/err" || fail "it said $(cat "$scratch/err")"
}

joins_patterns() {
    # shellcheck disable=SC2016
    value=$(OFFLOAD_EXCLUDE=z "$offload" --exclude '*.a:b' --include "x\\*\\" --exclude='/tmp/\:\\:' --include y \
        sh -c 'printf "%s %s" "$OFFLOAD_EXCLUDE" "$OFFLOAD_INCLUDE"')
    [ "$value" = '*.a\:b:/tmp/\:\\\: x\*\\:y' ] || fail "the patterns became $value"
}

pattern_becomes() { # PATTERN EXPECTED: in the current directory
    # shellcheck disable=SC2016
    value=$("$offload" --exclude "$1" sh -c 'printf "%s" "$OFFLOAD_EXCLUDE"')
    [ "$value" = "$2" ] || fail "$1 became $value, not $2"
}

# What is given as the user sees it becomes what the library compares: the names without symbolic links.
makes_patterns_absolute() {
    local place odd
    place=$(readlink -f "$scratch")/names
    mkdir -p "$place/real/within" "$place/a[b*c"
    : >"$place/real/file"
    ln -s real "$place/link"
    ln -s real/file "$place/file"
    cd "$place"
    pattern_becomes '*.bak' '*.bak'
    pattern_becomes '*/bk/./x' '*/bk/./x'
    pattern_becomes '/no/such/*' '/no/such/*'
    pattern_becomes '/*' '/*'
    pattern_becomes 'bk/*' "$place/bk/*"
    pattern_becomes './real/*' "$place/real/*"
    pattern_becomes './/./real/.//.*' "$place/real/.*"
    pattern_becomes './?' "$place/?"
    pattern_becomes '[ab]/x' "$place/[ab]/x"
    pattern_becomes './link/*' "$place/real/*"
    pattern_becomes "$place/link/with*" "$place/real/with*"
    pattern_becomes "$place/link/none/x" "$place/real/none/x"
    pattern_becomes 'link/within/a\*b' "$place/real/within/a\\*b"
    pattern_becomes ./file "$place/real/file"
    pattern_becomes './fil?' "$place/fil?"
    pattern_becomes 'link/a:b*' "$place/real/a\\:b*"
    odd='a[b*c'
    cd "$odd"
    pattern_becomes './\?*' "$place/a\\[b\\*c/\\?*"
    cd "$place/link"
    pattern_becomes './*' "$place/real/*"
}

# The library leaves those copies alone that the pattern names, by whatever path the program goes.
patterns_match_what_is_named() {
    local pattern
    [ -n "${mount-}" ] || skip "XFS cannot be mounted here"
    mkdir "$mount/real"
    cd "$mount"
    ln -s real link
    make_source source 200000
    for pattern in './real/*' 'real/copy' "$PWD/link/*" 'link/c?py'; do
        rm -f log real/copy
        "$offload" --exclude="$pattern" --log=log dd if=source of=link/copy bs=64k status=none
        grep -q '"cause": *"excluded"' log || fail "$pattern did not match: $(cat log)"
    done
    rm -f log real/copy
    "$offload" --exclude='./other/*' --log=log dd if=source of=link/copy bs=64k status=none
    grep -q '"cause": *"none"' log || fail "the other pattern matched: $(cat log)"
}

# What the manual says of second copies: neither setting hinders a program that clones by itself.
never_and_own_clones() { # OPTION
    [ -n "${mount-}" ] || skip "XFS cannot be mounted here"
    mkdir -p "$mount/never"
    cd "$mount/never"
    rm -f ./*
    make_source source 200000
    cp source plain
    [ "$("$extents" source plain | cut -d ' ' -f 1)" -gt 0 ] || skip "this cp does not clone"
    "$offload" "$1" --log=log cp source copy
    assert_shared source copy
    grep -q '"engine": *"program"' log || fail "the record: $(cat log)"
    "$offload" "$1" cp --reflink=never source second-copy
    sync second-copy
    assert_not_shared source second-copy
    # The witness: without the option the library shares it.
    "$offload" cp --reflink=never source third
    assert_shared source third
}

# What the command sees must be closed too, and nothing of ours in its place.
closed() { # DESCRIPTOR
    local status how
    # shellcheck disable=SC2016
    for how in --off --verbose; do
        status=0
        (eval "exec $1>&-" && exec "$offload" $how sh -c '[ ! -e "/proc/$$/fd/$1" ] && exit 6' sh "$1") || status=$?
        [ $status -eq 6 ] || fail "with $how, descriptor $1 was open: $status"
    done
}

if [ "$(id -u)" -eq 0 ]; then
    mount_xfs >"$scratch/mount.log" 2>&1 || mount=
fi

plan 95
verdict "loads the library" preloads "$offload"
verdict "keeps the command's exit status" keeps_status
verdict "keeps the command's signal" keeps_signal
verdict "becomes the command" keeps_process
verdict "keeps what LD_PRELOAD holds" keeps_preload
verdict "is in LD_PRELOAD once" preloads_once
verdict "sets nothing that was not asked for" sets_nothing_else
verdict "keeps arguments and input" keeps_arguments
verdict "--off" sets OFFLOAD off --off
verdict "--log with a relative name" sets OFFLOAD_REPORT "$PWD/r.json" --log r.json
verdict "--log= with a full name" sets OFFLOAD_REPORT "$scratch/r.json" --log="$scratch/r.json"
verdict "--policy" sets OFFLOAD_POLICY never --policy=auto --policy never
verdict "--buffers" sets OFFLOAD_BUFFERS compare --buffers=compare
verdict "--include and --exclude" joins_patterns
verdict "patterns become absolute" makes_patterns_absolute
verdict "patterns match what they name" patterns_match_what_is_named
verdict "--policy=never, and programs that clone" never_and_own_clones --policy=never
verdict "--exclude, and programs that clone" never_and_own_clones '--exclude=*copy'
verdict "a pattern that leads up" says 125 "no '..'" --exclude '../bk/*' true
verdict "a pattern that ends by leading up" says 125 "no '..'" --include '/srv/..' true
verdict "a pattern that ends in a slash" says 125 'ends in a slash' --exclude bk/ true
verdict "options end at the first word that is none" sets OFFLOAD '' env
verdict "--engines" sets OFFLOAD_ENGINES clone,server --engines clone,server
verdict "--min-size" sets OFFLOAD_MIN_SIZE 4096 --min-size 4096
verdict "-- ends the options" sets OFFLOAD off --off --
# shellcheck disable=SC2016
verdict "an environment setting stays" env OFFLOAD_ENGINES=clone "$offload" sh -c '[ "$OFFLOAD_ENGINES" = clone ]'
verdict "--help" shows_help
verdict "--version" shows_version
verdict "no command" says 125 'no command'
verdict "an unknown option" says 125 --wrong --wrong true
verdict "an unknown letter" says 125 -x -vx true
verdict "a letter's value is missing" says 125 '-o needs a value' -vo
verdict "a value where none belongs" says 125 'takes no value' --off=yes true
verdict "--report with an unknown form" says 125 'table or json' --report=xml true
verdict "--report= with nothing" says 125 'table or json' --report= true
verdict "--log without a value" says 125 'needs a value' --log
for option in --log --output; do
    verdict "$option with nothing" says 125 'empty' -v $option '' true
    verdict "$option with a directory" says 125 'directory' -v $option "$scratch" true
    verdict "$option where no directory is" says 125 'does not exist' -v $option "$scratch/no/where" true
    verdict "$option that may not be written" not_writable $option
done
verdict "--output without anything to write" says 125 'nothing to write' -o "$scratch/file" true
verdict "--policy with an unknown word" says 125 'sometimes' --policy=sometimes true
verdict "--policy with nothing" says 125 'policy' --policy= true
verdict "--buffers=lazy" sets OFFLOAD_BUFFERS lazy --buffers=lazy
verdict "--buffers with an unknown word" says 125 'eager' --buffers eager true
verdict "--exclude with nothing" says 125 'empty pattern' --exclude= true
verdict "--min-size with nothing" says 125 'bytes' --min-size= true
verdict "--min-size beyond all files" says 125 'more than any file' --min-size 99999999999999999999 true
verdict "--engines with an empty place" says 125 'does not know' --engines clone, true
verdict "options before a subcommand" says 125 runs\ no\ command -v doctor
verdict "--engines with nothing" says 125 'empty' --engines '' true
verdict "--engines with an unknown name" says 125 'teleport' --engines clone,teleport true
verdict "--min-size with a word" says 125 'many' --min-size many true
verdict "--min-size below nothing" says 125 '-5' --min-size -5 true
verdict "a command that is not there" says 127 'no such command' no-such-command-anywhere
verdict "a path that is not there" says 127 'No such file' ./no/such/path
verdict "a path that leads in a circle" circle
verdict "a path through a closed directory" closed_directory
verdict "a path through a file" says 126 'Not a directory' "$offload/program"
verdict "a command that is a directory" says 126 'directory' "$scratch"
verdict "a command on a file system without programs" noexec_mount
verdict "a command that is no program" plain_file
verdict "a script without its interpreter" no_interpreter
verdict "a script without #!" no_shebang
verdict "a program that is none" not_a_program
verdict "a program called probe" program_called_probe
for fd in 0 1 2; do
    verdict "descriptor $fd closed stays closed" closed $fd
done
verdict "--help that cannot be printed" cannot_print --help
verdict "--version that cannot be printed" cannot_print --version
verdict "a library of another version" other_version
verdict "a library without a version" no_version
verdict "a library's version with little memory" little_memory
verdict "a library that LD_PRELOAD cannot name" in_bad_place
verdict "a library that is not there" without_library
verdict "called by the name of another program" by_name
verdict "called by name, through PATH" by_name_in_path
verdict "called by name, argv[0] is the program's path" by_name_argv0
verdict "called by name, a login shell" by_name_login_shell
verdict "called by name, a venv" by_name_venv
verdict "called by name, in a script" by_name_in_a_script
verdict "called by its name, argv[0] being another" not_by_argv0
verdict "called by name, copies only" by_name_copies
verdict "called by name, twice in PATH" by_name_twice
verdict "called by name, of nothing" by_name_nothing
verdict "called by name, without a library" by_name_without_library
verdict "by a link" by_a_link
verdict "needs libc only" needs_libc_only
verdict "installed and uninstalled" installed
verdict "installed in a stage" staged
