#!/bin/bash
# offload probe: what it says is compared with what dd does there under the library, on file systems
# that keep every time of access.
. "$(dirname "$0")/../fixture.sh"

need_root
offload=$build/offload
export OFFLOAD_CONFIG=none

mount_on() { # TYPE OPTIONS MKFS...: a file system of 1 GiB with these options
    local type=$1 options=$2
    shift 2
    mount_image "$type" 1G "strictatime,$options" "$@"
}
mount_reflink() { mount_on xfs rw mkfs.xfs -q -m reflink=1; }
mount_noreflink() { mount_on xfs rw mkfs.xfs -q -m reflink=0; }
mount_plain() { mount_on btrfs rw mkfs.btrfs -q; }
mount_quota() { mount_plain && btrfs quota enable "$mount"; }
mount_ext() { mount_on ext4 rw mkfs.ext4 -q; }
mount_memory() { mount_tmpfs 64M && mount -o remount,strictatime "$mount"; }

# Names, kinds, sizes, owners and times of all files; of directories and symbolic links all but the time of
# access, which every look at what is in them or behind them moves.
state() {
    find "$@" \( -type d -o -type l \) -printf '%p %i %y %m %n %T@ %C@\n' -o \
        -printf '%p %i %y %m %U %n %s %A@ %T@ %C@\n' |
        sort
}

asked() { # STATUS ARGUMENT...
    local status=0 wanted=$1
    shift
    "$offload" probe "$@" >"$scratch/said" 2>"$scratch/complained" || status=$?
    [ $status -eq "$wanted" ] ||
        fail "probe $* ended with $status, not $wanted: $(cat "$scratch/said" "$scratch/complained")"
}

says() { # TEXT...: in the answer, however its lines are broken
    local text
    for text in "$@"; do
        tr -s ' \n' ' ' <"$scratch/said" | grep -qF -- "$text" || fail "not a word of '$text': $(cat "$scratch/said")"
    done
}

bytes_shared() { # SOURCE DESTINATION: dd copies with the library
    local common
    run_preloaded dd if="$1" of="$2" bs=128k status=none
    sync "$2"
    cmp "$1" "$2" >&2 || echo "the bytes differ:"
    read -r common _ < <("$extents" "$1" "$2" 2>/dev/null || echo 0)
    echo "$common"
}

# Probe says yes or no, with the text, and changes nothing; dd then shares extents, or does not.
judges() { # yes|no SOURCE DESTINATION TEXT...
    local expected=$1 source=$2 destination=$3 status=1 shared
    shift 3
    [ "$expected" = no ] || status=0
    state . >"$scratch/before"
    asked $status "$source" "$destination"
    state . | diff "$scratch/before" - || fail "the probe changed something"
    says "$@"
    [ ! -d "$destination" ] || destination=$destination/${source##*/}
    shared=$(bytes_shared "$source" "$destination")
    if [ "$expected" = yes ]; then
        [ "$shared" -gt 0 ] || fail "it said yes, and dd shares nothing: $(cat "$scratch/said")"
    else
        [ "$shared" -eq 0 ] || fail "it said no, and dd shares $shared bytes: $(cat "$scratch/said")"
    fi
}

# A source whose times are too old to be those of a change to come.
aged_source() { # FILE [BYTES]
    make_source "$@"
    touch -d '1 hour ago' "$1"
    local made
    made=$(date +%s%N)
    while [ "$(date +%s%N)" -lt $((made + 30000000)) ]; do :; done
}

by_clone="A copy would be offloaded by clone."
not_at_all="A copy would not be offloaded: the program's own calls would make it."

# ---- where it is served ------------------------------------------------------------------------------

serves() {
    aged_source source
    judges yes source copy "clone yes: tried with the first 4.0 MiB" "not there yet" "$by_clone"
    ! grep '^server ' "$scratch/said" || fail "file servers are no matter here"
    judges yes source copy "note the destination holds data"
    mkdir sub
    judges yes source sub "sub/source" "$by_clone"
}

serves_odd_sizes() {
    local size
    for size in 65536 65537 69633 1048575 4194304 4194305; do
        aged_source "of$size" $size
        judges yes "of$size" "copy$size" "$by_clone"
    done
}

small_and_empty() {
    aged_source small 65535
    judges no small copy-small "OFFLOAD_MIN_SIZE" "$not_at_all"
    : >empty
    OFFLOAD_MIN_SIZE=0 asked 1 empty copy-empty
    says "the source is empty"
    export OFFLOAD_MIN_SIZE=1
    judges yes small copy-of-small "tried with all of it, 64.0 KiB"
}

young_source() {
    make_source young 1000000
    asked 0 young copy-young
    # Younger than the last tick of the kernel's clock, at least once.
    for name in a b c d e; do
        touch young
        asked 0 young "copy-$name"
    done
}

with() { # NAME=VALUE COMMAND...
    local setting=$1
    shift
    (
        export "${setting?}"
        "$@"
    )
}

by_settings() {
    aged_source source
    with OFFLOAD=off judges no source copy1 "switched off (OFFLOAD=off)" "$not_at_all"
    with OFFLOAD_POLICY=never judges no source copy2 "OFFLOAD_POLICY" "clone yes" "$not_at_all"
    with OFFLOAD_EXCLUDE='*.iso:copy3' judges no source copy3 "OFFLOAD_EXCLUDE"
    with OFFLOAD_EXCLUDE='*.iso:copy3' judges yes source copy4 "$by_clone"
    with OFFLOAD_INCLUDE="$PWD/sour*" judges yes source copy5 "$by_clone"
    with OFFLOAD_INCLUDE='/elsewhere/*' judges no source copy6 "OFFLOAD_INCLUDE"
    with OFFLOAD_MIN_SIZE=8400954 judges no source copy7 "OFFLOAD_MIN_SIZE"
    printf 'OFFLOAD_EXCLUDE=copy8\n' >"$scratch/config"
    with OFFLOAD_CONFIG="$scratch/config" judges no source copy8 "OFFLOAD_EXCLUDE"
}

by_engine() {
    aged_source source
    export OFFLOAD_ENGINES=kernel
    state . >"$scratch/before"
    asked 0 source copy
    state . | diff "$scratch/before" - || fail "the probe changed something"
    says "those that read and write: tried with"
    says "clone no: the engine that could do it is switched off (OFFLOAD_ENGINES)" "kernel yes, but only for programs" \
        "if the program uses sendfile."
    [ "$(bytes_shared source copy)" -eq 0 ] || fail "it said that programs which read and write are not served"
}

# A process can be shown an old kernel's number (personality(2)); the library goes by it too.
old_kernel() {
    aged_source source
    setarch "$(uname -m)" --uname-2.6 true || skip "this kernel shows its own number only"
    state . >"$scratch/before"
    setarch "$(uname -m)" --uname-2.6 "$offload" probe source copy >"$scratch/said" && fail "it said yes"
    says "clone no: so old a kernel has known errors" "Run Linux 4.20 or later; this is 2.6." \
        "Run Linux 5.3 or later; this is 2.6."
    run_preloaded setarch "$(uname -m)" --uname-2.6 dd if=source of=copy bs=128k status=none
    sync copy
    assert_not_shared source copy
}

limits() {
    aged_source source
    (ulimit -f 2048 && judges_limited)
    dd if=/dev/zero of=fill bs=1M status=none 2>/dev/null || true
    # There is no room for a second copy: what a program's own calls would meet is left to them.
    asked 1 source copy
    says "clone no: the file system has not enough free space"
    rm fill
}

judges_limited() {
    asked 1 source copy
    says "clone no: the file size limit" "ulimit -f"
}

# ---- names and kinds of file -------------------------------------------------------------------------

names() {
    local name
    for name in $'new\nline' $'\xff\xfe' "it's" $'tab\t and \033[31m' ' ' -; do
        aged_source "./$name" 100000
        judges yes "./$name" "./$name.copy" "$by_clone"
        [ "$(LC_ALL=C grep -c '[^ -~]' "$scratch/said")" -eq 0 ] || fail "bytes that are not printable: $name"
        LC_ALL=C.UTF-8 "$offload" probe -- "$name" "$name.copy" >"$scratch/said"
        LC_ALL=C.UTF-8 iconv -f UTF-8 -t UTF-8 "$scratch/said" >/dev/null || fail "no UTF-8: $name"
    done
}

complains() { # TEXT ARGUMENT...: one line, and nothing else
    local text=$1
    shift
    asked 125 "$@"
    [ ! -s "$scratch/said" ] || fail "it said something: $(cat "$scratch/said")"
    [ "$(wc -l <"$scratch/complained")" -eq 1 ] || fail "not one line: $(cat "$scratch/complained")"
    grep -q "^offload: .*; " "$scratch/complained" || fail "no cure: $(cat "$scratch/complained")"
    grep -qF -- "$text" "$scratch/complained" || fail "not a word of '$text': $(cat "$scratch/complained")"
}

bad_use() {
    aged_source source 100000
    mkdir -p sub
    mkfifo pipe
    ln -s nowhere dangling
    complains "two files"
    complains "two files" source
    complains "two files" source a b
    complains "--fast" --fast source a
    complains "No such file" missing a
    complains "is a directory" sub a
    complains "not a regular file" pipe a
    complains "No such file" source nowhere/a
    complains "Not a directory" source source/a
    complains "symbolic link to nothing" source dangling
    complains "is empty" source ""
    complains "ends in a slash, and is no directory" source no-such-directory/
    complains "ends in a slash, and is no directory" source source/
    complains "ends in a slash, and is no directory" source dangling/
    mkdir sub/source
    complains "is a directory" source sub
}

kinds_of_destination() {
    aged_source source
    mkfifo fifo
    asked 1 source fifo
    says "not a regular file" "$not_at_all"
    asked 1 source /dev/null
    asked 1 source source
    says "source and destination are the same file"
    ln source second
    asked 1 source second
    says "source and destination are the same file"
    mkdir sub
    : >sub/target
    ln -s sub/target link
    judges yes source link "$by_clone"
}

attributes() {
    aged_source source
    : >fixed
    chattr +i fixed
    asked 1 source fixed
    chattr -i fixed
    says "immutable" "chattr -i"
    : >grows
    chattr +a grows
    asked 1 source grows
    chattr -a grows
    says "appended" "chattr -a"
    # What cannot be taken away again is not made.
    mkdir only-grows
    chattr +a only-grows
    asked 0 source only-grows/copy
    [ -z "$(ls -A only-grows)" ] || fail "something was left: $(ls -A only-grows)"
    chattr -a only-grows
    chattr +i source
    judges yes source copy "$by_clone"
    chattr -i source
}

# Refuses to make nameless files, as older overlays do (open(2), O_TMPFILE).
refusing='
import ctypes, os, platform, struct, sys
libc = ctypes.CDLL(None)
openat = {"x86_64": 257, "aarch64": 56}[platform.machine()]
code = [(0x20, 0, 0, 0), (0x15, 0, 3, openat), (0x20, 0, 0, 32), (0x54, 0, 0, os.O_TMPFILE),
        (0x15, 1, 0, os.O_TMPFILE), (6, 0, 0, 0x7fff0000), (6, 0, 0, 0x50000 + 95)]
text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
program = Program(len(code), ctypes.addressof(text))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
'

without_nameless_files() {
    command -v python3 >/dev/null || skip "python3 is not installed"
    aged_source source
    mkdir here only-grows
    python3 -c "$refusing" "$offload" probe source here >"$scratch/said" || fail "it said no: $(cat "$scratch/said")"
    says "clone yes: tried" "$by_clone"
    [ -z "$(ls -A here)" ] || fail "something was left: $(ls -A here)"
    chattr +a only-grows
    python3 -c "$refusing" "$offload" probe source only-grows >"$scratch/said" ||
        fail "it said no: $(cat "$scratch/said")"
    chattr -a only-grows
    says "judged by the file systems alone" "Operation not permitted"
    [ -z "$(ls -A only-grows)" ] || fail "something was left: $(ls -A only-grows)"
}

swap() {
    fallocate -l 16M swap
    chmod 600 swap
    dd if=/dev/zero of=swap bs=1M count=16 conv=notrunc status=none
    mkswap swap >/dev/null
    swapon "$PWD/swap" || skip "swap files cannot be used here"
    at_end+=("swapoff '$PWD/swap' 2>/dev/null")
    touch -d '1 hour ago' swap
    asked 1 swap copy
    says "swap space in use" "swapoff"
    aged_source source
    asked 1 source swap
    says "the destination is swap space in use"
    swapoff "$PWD/swap"
}

# ---- as an ordinary user -------------------------------------------------------------------------------

as_nobody() {
    setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/ OFFLOAD_CONFIG=none "$scratch/offload" probe "$@" \
        >"$scratch/said" 2>"$scratch/complained"
}

nobody() { # STATUS SOURCE DESTINATION
    local status=0 wanted=$1
    shift
    state . >"$scratch/before"
    as_nobody "$@" || status=$?
    [ $status -eq "$wanted" ] || fail "it ended with $status: $(cat "$scratch/said" "$scratch/complained")"
    state . | diff "$scratch/before" - || fail "the probe changed something"
}

ordinary_user() {
    cp "$build/offload" "$scratch/offload"
    aged_source source
    mkdir -m 777 open
    mkdir -m 755 closed
    : >closed/mine
    : >closed/roots
    chown 65534 closed/mine
    nobody 0 source open
    says "clone yes: tried" "$by_clone"
    nobody 1 source closed
    says "judged by the file systems alone" "Permission denied" "you may not write to the destination"
    nobody 1 source closed/roots
    nobody 0 source closed/mine
    says "judged by the file systems alone"
    mkdir -m 733 unreadable
    nobody 0 source unreadable/copy
    says "clone yes: tried" "$by_clone"
    chmod 600 source
    state . >"$scratch/before"
    as_nobody source open && fail "it read what it may not read"
    [ "$(wc -l <"$scratch/complained")" -eq 1 ] || fail "not one line: $(cat "$scratch/complained")"
    grep -q "Permission denied; " "$scratch/complained" || fail "no reason: $(cat "$scratch/complained")"
}

read_only() {
    aged_source source
    mount -o remount,ro "$mount"
    nothing_changes_there
    mount -o remount,rw,strictatime "$mount"
}

nothing_changes_there() {
    state . >"$scratch/before"
    asked 1 source copy
    state . | diff "$scratch/before" - || fail "the probe changed something"
    says "mounted read-only" "Read-only file system"
}

keeps_locks_and_destination() {
    need_traced || skip "strace is not installed"
    aged_source source
    cp source target
    strace -f -qq -o "$trace" "$offload" probe source target >/dev/null
    grep -E 'open(at)?\(.*"(\./)?target"' "$trace" | grep -E 'O_WRONLY|O_RDWR|O_TRUNC|O_CREAT' &&
        fail "the destination was opened for writing"
    grep -E 'flock|F_SETLK|F_OFD_SETLK|F_SETLEASE' "$trace" && fail "a lock was taken"
    grep -E 'ioctl\(.*FICLONERANGE.*= 0' "$trace" >/dev/null || fail "nothing was tried: $(tail -n 20 "$trace")"
}

need_traced() {
    command -v strace >/dev/null
}

# ---- file systems that refuse ----------------------------------------------------------------------------

refuses_without_reflink() {
    aged_source source
    judges no source copy "this XFS was made without reflink" "mkfs.xfs -m reflink=1" "$not_at_all"
    # Where nothing can be tried it is known all the same.
    cp "$build/offload" "$scratch/offload"
    mkdir -m 755 closed
    nobody 1 source closed/copy
    says "this XFS was made without reflink"
}

refuses_quota() {
    aged_source source
    asked 1 source copy
    says "clone no: the file system limits space by quota groups" "btrfs quota disable $mount" \
        "kernel no: the file system limits space by quota groups"
    [ "$(bytes_shared source copy)" -eq 0 ] || fail "dd shares extents"
    btrfs quota disable "$mount"
    judges yes source copy "$by_clone"
}

attribute_nocow() {
    aged_source source
    mkdir nocow
    chattr +C nocow
    judges no source nocow "chattr +C" "the destination has the attribute" "$not_at_all"
    aged_source nocow/born
    judges yes nocow/born nocow/copy "$by_clone"
    judges no nocow/born copy "the source has the attribute" "$not_at_all"
    # What counts is the file that is there, not its directory.
    : >nocow-file
    chattr +C nocow-file
    judges no source nocow-file "chattr +C" "$not_at_all"
    judges yes nocow/born nocow-file "$by_clone"
}

subvolumes() {
    btrfs -q subvolume create one
    btrfs -q subvolume create two
    aged_source one/source
    judges yes one/source two/copy "kernel no: source and destination are in two subvolumes of one Btrfs" "$by_clone"
    grep -qF "different file systems" "$scratch/said" && fail "it is one file system: $(cat "$scratch/said")"
    # Mounted each at a place of its own, they are of one Btrfs all the same.
    local device
    device=$(findmnt -n -o SOURCE --target . | sed 's/\[.*//')
    mkdir -p "$scratch/two"
    mount -o subvol=/subvolumes/two "$device" "$scratch/two"
    mounts=("$scratch/two")
    trap 'unmount_all 2>/dev/null' EXIT
    asked 0 one/source "$scratch/two/another"
    says "kernel no: source and destination are in two subvolumes of one Btrfs" "$by_clone"
}

refuses_always() {
    aged_source source
    judges no source copy "clone no: this file system cannot share extents" "$not_at_all"
}

# ---- two places -----------------------------------------------------------------------------------------

# A verdict is a shell of its own: what it mounts it takes away itself.
unmount_at_end() {
    mounts=()
    trap 'unmount_all 2>/dev/null' EXIT
}

bind_mounts() {
    unmount_at_end
    aged_source source
    mkdir -p below "$scratch/bound"
    mount --bind below "$scratch/bound"
    mounts+=("$scratch/bound")
    judges yes source "$scratch/bound/copy" "mounted at $scratch/bound" "$by_clone"
    # A file can be a mount as well, of another file system than its directory.
    local here=$PWD/here
    mount_tmpfs 16M
    : >"$mount/single"
    : >"$here"
    mount --bind "$mount/single" "$here"
    mounts+=("$here")
    asked 1 source here
    says "different file systems (xfs, tmpfs)"
}

other_file_system() {
    unmount_at_end
    aged_source source
    local first=$PWD
    mount_tmpfs 64M
    judges no "$first/source" "$mount/copy" "different file systems (xfs, tmpfs)" "Put the destination" \
        "kernel no, for the same reason as clone."
    cp source "$mount/source"
    touch -d '1 hour ago' "$mount/source"
    judges no "$mount/source" back "different file systems (tmpfs, xfs)"
    mount_plain || return 0
    judges no source "$mount/copy" "different file systems (xfs, btrfs)"
}

two_btrfs() {
    unmount_at_end
    aged_source source
    local first=$PWD
    truncate -s 256M "$scratch/second.image"
    mkfs.btrfs -q "$scratch/second.image"
    mkdir -p "$scratch/second"
    mount -o loop "$scratch/second.image" "$scratch/second"
    mounts+=("$scratch/second")
    judges no "$first/source" "$scratch/second/copy" "clone no: source and destination are on different file systems" \
        "different file systems (btrfs, btrfs)"
}

on_overlay() { # MOUNT-FUNCTION
    "$1" || skip "its file system cannot be mounted here"
    local below=$mount
    mkdir -p "$below/lower" "$below/upper" "$below/work" "$scratch/overlay"
    aged_source "$below/lower/source"
    mount -t overlay -o "lowerdir=$below/lower,upperdir=$below/upper,workdir=$below/work" overlay "$scratch/overlay" ||
        skip "overlay cannot be mounted here"
    mounts+=("$scratch/overlay")
    cd "$scratch/overlay" || exit 1
}

overlay_on() { # yes|no MOUNT-FUNCTION TEXT
    unmount_at_end
    on_overlay "$2"
    judges "$1" source copy "$3"
    aged_source above
    judges "$1" above copy-of-above "$3"
}

overlay_over_two() {
    unmount_at_end
    mount_memory
    local lower=$mount
    aged_source "$lower/source"
    mount_reflink || skip "XFS cannot be mounted here"
    mkdir -p "$mount/upper" "$mount/work" "$scratch/overlay"
    mount -t overlay -o "lowerdir=$lower,upperdir=$mount/upper,workdir=$mount/work" overlay "$scratch/overlay" ||
        skip "overlay cannot be mounted here"
    mounts+=("$scratch/overlay")
    cd "$scratch/overlay" || exit 1
    judges no source copy "clone no"
    aged_source above
    judges yes above copy-of-above "$by_clone"
}

# An overlay stamps by the tick of the clock: there the library needs times that have gone by, and a destination
# that it may set the times of.
overlay_with_coarse_times() {
    unmount_at_end
    on_overlay mount_reflink
    touch -d 'now 1 hour' source
    judges no source copy "clone no: the source was changed so lately" "lie in the future"
    touch source
    asked 0 source copy
    cp "$build/offload" "$scratch/offload"
    touch -d '1 hour ago' source
    : >strangers
    chmod 666 strangers
    nobody 1 source strangers
    says "the destination's time of change could not be set" "Run the copy as the destination's owner"
    setpriv --reuid=65534 --regid=65534 --clear-groups env LD_PRELOAD="$library" \
        dd if=source of=strangers bs=128k status=none
    sync strangers
    read -r common _ < <("$extents" source strangers)
    [ "$common" -eq 0 ] || fail "the library serves strangers all the same"
}

fresh() { # VERDICT-NAME FUNCTION: in a directory of its own
    mkdir "$mount/$2"
    cd "$mount/$2" || exit 1
    verdict "$1" "$2"
    cd "$mount" || exit 1
}

on_xfs() {
    fresh "XFS: a copy is promised, and made" serves
    fresh "XFS: sizes that are no whole blocks" serves_odd_sizes
    fresh "XFS: small and empty sources" small_and_empty
    fresh "a source just written is no obstacle" young_source
    fresh "the settings count as they do in the library" by_settings
    fresh "one engine alone" by_engine
    fresh "a kernel that is too old" old_kernel
    fresh "limits of size and space" limits
    fresh "names of any bytes" names
    fresh "bad use is one line" bad_use
    fresh "kinds of destination" kinds_of_destination
    fresh "immutable and append-only files" attributes
    fresh "where no nameless file can be made" without_nameless_files
    fresh "swap space" swap
    fresh "an ordinary user" ordinary_user
    fresh "a file system mounted read-only" read_only
    fresh "no lock, and no destination open for writing" keeps_locks_and_destination
    fresh "bind mounts" bind_mounts
    fresh "other file systems" other_file_system
}

on_btrfs() {
    fresh "Btrfs: a copy is promised, and made" serves
    fresh "Btrfs: sizes that are no whole blocks" serves_odd_sizes
    fresh "Btrfs: the attribute +C" attribute_nocow
    fresh "Btrfs: subvolumes" subvolumes
    fresh "Btrfs: an ordinary user" ordinary_user
    fresh "Btrfs: two file systems" two_btrfs
}

plan 34
on_each reflink 19 on_xfs
on_each noreflink 1 fresh "XFS without reflink" refuses_without_reflink
on_each plain 6 on_btrfs
on_each quota 1 fresh "Btrfs with quota groups" refuses_quota
on_each ext 1 fresh "ext4" refuses_always
on_each memory 1 fresh "tmpfs" refuses_always
cd "$scratch" || exit 1
verdict "overlay on XFS" overlay_on yes mount_reflink "$by_clone"
verdict "overlay on XFS without reflink" overlay_on no mount_noreflink "made without reflink"
verdict "overlay on ext4" overlay_on no mount_ext "keeps its files on ext4"
verdict "overlay, whose times are coarse" overlay_with_coarse_times
verdict "overlay whose layers are two file systems" overlay_over_two
