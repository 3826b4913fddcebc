# shellcheck shell=bash
# Sourced by every test script: the verdicts (TAP), the file systems, the two ways to run a program
# (plain and preloaded) and the witnesses of what really happened.
#
#   plan N                     how many verdicts the script gives; a lost one is an error
#   verdict NAME COMMAND...    runs COMMAND (a function, under `set -e`) and prints its verdict
#   fail TEXT / skip REASON    ends a verdict's function

set -u
test_name=$(basename "$0" .sh)
build=${OFFLOAD_TEST_BUILD:-$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/..")}
# shellcheck disable=SC2034 # used by the scripts that source this
source_tree=${OFFLOAD_TEST_SOURCE:-$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/..")}
# What a program prints must not depend on who runs the test.
export LC_ALL=C TZ=UTC
unset LD_PRELOAD OFFLOAD
for variable in "${!OFFLOAD_@}"; do
    [ "${variable#OFFLOAD_TEST_}" != "$variable" ] || unset "$variable"
done
export OFFLOAD_CONFIG=none

skip_all() {
    echo "1..0 # SKIP $*"
    exit 0
}

# ---- a place of its own --------------------------------------------------------------------------

# In a mount namespace of its own a test cannot leave a mount behind, however it ends; the time
# limit is far beyond what any test takes, and is there for a test that hangs.
if [ -z "${OFFLOAD_TEST_INSIDE-}" ]; then
    export OFFLOAD_TEST_INSIDE=yes
    if [ "$(id -u)" -eq 0 ] && unshare --mount true 2>/dev/null; then
        exec timeout --foreground -k 10 "${test_limit:-1800}" unshare --mount --propagation private bash "$0" "$@"
    fi
    exec timeout --foreground -k 10 "${test_limit:-1800}" bash "$0" "$@"
fi

scratch=$(mktemp -d "${TMPDIR:-/tmp}/offload-$test_name.XXXXXX")
# Other users' programs (nobody, postgres) must get through to the file systems.
chmod 755 "$scratch"
mounts=()
at_end=()

clean_up() {
    local i
    for ((i = ${#at_end[@]} - 1; i >= 0; i--)); do
        eval "${at_end[i]}"
    done
    cd /
    for ((i = ${#mounts[@]} - 1; i >= 0; i--)); do
        umount "${mounts[i]}" 2>/dev/null || umount -l "${mounts[i]}"
    done
    rm -rf --one-file-system "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# The build tree may be closed to other users, so they are given a copy.
library=$scratch/liboffload.so
[ -r "$build/.libs/liboffload.so" ] || skip_all "the library has not been built: run make first"
cp "$build/.libs/liboffload.so" "$library"
chmod 755 "$library"
extents=$build/tests/tools/extents

# Built with glibc before 2.34 the library has no hook of pthread_create: streams are left alone, and buffers are not lazy.
sees_threads() {
    nm -D --defined-only "$library" | grep -qw pthread_create
}

need() {
    local command
    for command in "$@"; do
        command -v "$command" >/dev/null || skip_all "$command is not installed"
    done
}

need_root() {
    [ "$(id -u)" -eq 0 ] || skip_all "only root may mount file systems"
    unshare --mount true 2>/dev/null || skip_all "this machine does not let root mount file systems"
}

# ---- verdicts --------------------------------------------------------------------------------------

verdicts=0

plan() {
    echo "1..$1"
}

fail() {
    echo "$*" >&2
    exit 1
}

skip() {
    echo "skip: $*"
    exit 77
}

verdict() {
    local name=$1 output status
    shift
    verdicts=$((verdicts + 1))
    # Not in a condition, where bash would ignore the `set -e`.
    output=$(
        exec 2>&1
        set -e
        "$@"
    )
    status=$?
    case $status in
    0)
        echo "ok $verdicts - $name"
        [ -z "$output" ] || printf '%s\n' "$output" | sed 's/^/# /'
        ;;
    77) echo "ok $verdicts - $name # SKIP $(printf '%s\n' "$output" | sed -n 's/^skip: //p')" ;;
    *)
        echo "not ok $verdicts - $name"
        [ -n "$output" ] || output="a command failed without a word (status $status)"
        printf '%s\n' "$output" | tail -n 60 | sed 's/^/# /'
        ;;
    esac
}

# ---- file systems: each sets `mount` to where it is ------------------------------------------------

has_filesystem() {
    grep -qw "$1" /proc/filesystems || modprobe -q "$1" 2>/dev/null
}

mount_image() { # TYPE SIZE OPTIONS MKFS...
    local type=$1 size=$2 options=$3 image
    shift 3
    image=$scratch/$type.image
    mount=$scratch/$type
    has_filesystem "$type" || return 1
    command -v "$1" >/dev/null || return 1
    rm -f "$image"
    truncate -s "$size" "$image"
    "$@" "$image" >/dev/null || return 1
    mkdir -p "$mount"
    mount -t "$type" -o "loop,$options" "$image" "$mount" || return 1
    mounts+=("$mount")
    chmod 777 "$mount"
}

# shellcheck disable=SC2120
mount_xfs() { # [SIZE [OPTIONS]]
    mount_image xfs "${1:-1G}" "${2:-noatime}" mkfs.xfs -q -m reflink=1
}

mount_btrfs() {
    mount_image btrfs "${1:-1G}" "${2:-noatime}" mkfs.btrfs -q
}

mount_ext4() {
    mount_image ext4 "${1:-1G}" "${2:-noatime}" mkfs.ext4 -q
}

mount_tmpfs() { # [SIZE]
    mount=$scratch/tmpfs
    mkdir -p "$mount"
    mount -t tmpfs -o "size=${1:-256M}" tmpfs "$mount" || return 1
    mounts+=("$mount")
    chmod 777 "$mount"
}

mount_overlay() {
    local below
    # shellcheck disable=SC2119
    mount_xfs || return 1
    below=$mount
    mount=$scratch/overlay
    has_filesystem overlay || return 1
    mkdir -p "$mount" "$below/lower" "$below/upper" "$below/work"
    mount -t overlay -o "lowerdir=$below/lower,upperdir=$below/upper,workdir=$below/work" \
        overlay "$mount" || return 1
    mounts+=("$mount")
}

unmount_all() {
    local i
    cd "$scratch" || return
    for ((i = ${#mounts[@]} - 1; i >= 0; i--)); do
        umount "${mounts[i]}" || umount -l "${mounts[i]}"
    done
    mounts=()
}

# Gives each file system's verdicts, or skips them with the reason.
#   on_each "xfs btrfs" VERDICTS FUNCTION: calls FUNCTION with $fs and $mount set, inside $mount.
on_each() {
    local i names=$1 count=$2
    shift 2
    for fs in $names; do
        if "mount_$fs" >"$scratch/mount.log" 2>&1; then
            cd "$mount" || exit 1
            "$@"
            unmount_all
        else
            for ((i = 0; i < count; i++)); do
                verdict "$test_name on $fs" skip "$fs cannot be mounted here: $(tail -n1 "$scratch/mount.log")"
            done
        fi
    done
}

# ---- content ---------------------------------------------------------------------------------------

# Text, so that programs like tr, sed and gzip have work; each line differs, so that a byte at a
# wrong place shows.
make_source() { # FILE [BYTES]
    local bytes=${2:-8400953}
    seq -f 'line %012.0f of the source, The Quick Brown Fox' 1 $((bytes / 30 + 1)) |
        head -c "$bytes" >"$1"
    sync "$1"
}

# ---- running ---------------------------------------------------------------------------------------

# A run that hangs is a verdict, not a hung test.
patience=$source_tree/tests/patience
limit=120
limited() {
    "$patience" "$limit" "$@"
}

run_plain() {
    limited "$@"
}

run_preloaded() {
    limited env LD_PRELOAD="$library" "$@"
}

# Runs COMMAND plain in ./plain and preloaded in ./ours. Everything it leaves must be the same: exit
# status, output, and the files, with their bytes, sizes, modes and owners.
# `prepare` (a function's name, or nothing) makes what a run starts from.
both() {
    local way
    rm -rf plain ours
    for way in plain ours; do
        run_way "$way" "$@"
    done
    compare_ways "$PWD" "$@"
}

# The same, but each run has a new file system, where the other left nothing: for programs that meet
# its limits. SETUP sets `mount`.
both_afresh() { # SETUP COMMAND...
    local setup=$1 way
    shift
    rm -rf "$scratch/results"
    mkdir "$scratch/results"
    for way in plain ours; do
        "$setup"
        cd "$mount"
        run_way "$way" "$@"
        cp -a "$way" "$scratch/results"
        unmount_all
    done
    compare_ways "$scratch/results" "$@"
}

run_way() { # WAY COMMAND...
    local way=$1 status=0
    shift
    mkdir "$way"
    chmod 777 "$way"
    (
        cd "$way" || exit 99
        [ -z "${prepare-}" ] || "$prepare" || exit 99
        # With exec, as bash would print the process number of a command that a signal ends.
        if [ "$way" = plain ]; then
            exec "$patience" "$limit" "$@"
        else
            exec "$patience" "$limit" env LD_PRELOAD="$library" "$@"
        fi
    ) >"$scratch/$way.out" 2>"$scratch/$way.err" </dev/null || status=$?
    echo "$status" >"$scratch/$way.status"
    tree "$way" >"$scratch/$way.tree"
}

compare_ways() { # DIRECTORY COMMAND...
    local part directory=$1
    shift
    for part in status out err tree; do
        diff -u --label "$part, plain" "$scratch/plain.$part" --label "$part, preloaded" \
            "$scratch/ours.$part" || fail "the library changed the $part of: $*"
    done
    diff -r --no-dereference "$directory/plain" "$directory/ours" ||
        fail "the library changed the bytes written by: $*"
}

# Names, kinds, modes, owners, sizes and links of all that lies under a directory.
tree() {
    (cd "$1" && find . -type f -printf '%P %y %m %U %G %s\n' -o -printf '%P %y %m %U %G %l\n' | sort)
}

expect_status() {
    [ "$(cat "$scratch/plain.status")" = "$1" ] ||
        fail "the test itself is wrong: the plain run ended with $(cat "$scratch/plain.status"), not $1:" \
            "$(cat "$scratch/plain.err")"
}

# ---- witnesses -------------------------------------------------------------------------------------

assert_same() {
    cmp "$1" "$2" || fail "$1 and $2 differ"
}

# Both files keep their bytes in the same place; what is left of the last block may be each's own.
assert_shared() { # FILE_A FILE_B
    local common size_a size_b
    read -r common size_a size_b < <("$extents" "$1" "$2")
    [ "$size_a" = "$size_b" ] || fail "$1 has $size_a bytes, $2 has $size_b"
    [ "$common" -ge $((size_a / 4096 * 4096)) ] ||
        fail "$1 and $2 share $common of $size_a bytes"
}

# The witness can say no: without this, a file that was shared already would prove anything.
assert_not_shared() {
    local common
    read -r common _ < <("$extents" "$1" "$2")
    [ "$common" -eq 0 ] || fail "$1 and $2 share $common bytes"
}

# Runs COMMAND preloaded (or plain) under strace, which keeps each system call in $trace.
trace=$scratch/trace
trace_preloaded() {
    limited strace -f -y -qq -s 64 -o "$trace" -E LD_PRELOAD="$library" "$@"
}

trace_plain() {
    limited strace -f -y -qq -s 64 -o "$trace" "$@"
}

# How often each system call was made: "name count" a line.
calls() {
    sed -n 's/^[0-9]* *\([a-z_0-9]*\)(.*/\1/p' "$trace" | sort | uniq -c | awk '{print $2, $1}'
}

# The bytes that system calls (not clones) moved into a file.
bytes_moved_to() { # FILE
    awk -v file="<$(readlink -f "$1")>" '
        /(^|[ ])(write|pwrite64|writev|pwritev|pwritev2|sendfile|copy_file_range)\(/ {
            call = $0
            sub(/^[0-9]+ +/, "", call)
            name = call
            sub(/\(.*/, "", name)
            if (name == "copy_file_range") {
                n = split(call, parts, ", ")
                target = parts[3]
            } else {
                target = call
                sub(/^[a-z_0-9]+\(/, "", target)
                sub(/, .*/, "", target)
            }
            if (index(target, file) && match(call, /= [0-9]+$/))
                sum += substr(call, RSTART + 2)
        }
        END { print sum + 0 }' "$trace"
}

clones_to() { # FILE
    grep -cE "ioctl\([0-9]+<$(readlink -f "$1")>, .*FICLONE(RANGE)?,.* = 0$" "$trace" || true
}
