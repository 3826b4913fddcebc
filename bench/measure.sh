# shellcheck shell=bash
# Sourced by every group: where its values go, the libraries it compares, file systems of its own, and commands timed
# in turn.
#
# A value is a line of GROUP.tsv: SECTION, ROW, WAY, ROUND, VALUE, and the processor time where it is a command's. What a section is, is a line of its own:
# "section", TITLE, UNIT, SHOWN, ABOUT; report.py tells what can be SHOWN. The way to compare with is `plain`.

set -u
group=$(basename "$0" .sh)
tree=$BENCH_TREE
out=$BENCH_OUT/$group.tsv
most_rounds=$BENCH_ROUNDS
# shellcheck disable=SC2034 # used by the groups
size_mib=$BENCH_SIZE quick=$BENCH_QUICK
: >"$out"

work=$(mktemp -d "${TMPDIR:-/var/tmp}/offload-bench.XXXXXX") || exit 1
chmod 755 "$work"
mounts=()
at_end=()

clean_up() {
    local i
    for ((i = ${#at_end[@]} - 1; i >= 0; i--)); do
        eval "${at_end[i]}"
    done
    unmount_all
    rm -rf --one-file-system "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# ---- values ----------------------------------------------------------------------------------------------

line() { # FIELD...
    local IFS=$'\t'
    echo "$*" >>"$out"
}

section() { # TITLE UNIT SHOWN [ABOUT]
    title=$1
    line section "$1" "$2" "$3" "${4-}"
    echo "$1" >&2
}

value() { # ROW WAY ROUND VALUE [PROCESSOR-TIME]
    line "$title" "$@"
}

# A row that cannot be had says why.
skip_row() { # ROW WHY
    line skip "$title" "$1" "$2"
    echo "  $1: skipped: $2" >&2
}

# ---- what is compared --------------------------------------------------------------------------------------

library=$work/liboffload.so
empty=$work/empty.so
cp "$tree/.libs/liboffload.so" "$library"
printf 'void bench_empty(void);\nvoid bench_empty(void)\n{\n}\n' >"$work/empty.c"
cc -shared -fPIC -O2 -o "$empty" "$work/empty.c" || exit 1
chmod 755 "$library" "$empty"

eatmydata=$(ldconfig -p | sed -n 's/.*libeatmydata.* => //p' | head -n 1)
[ -n "$eatmydata" ] || eatmydata=$(dpkg -L libeatmydata1 2>/dev/null | grep '\.so$' | head -n 1)
nocache=/usr/lib/nocache/nocache.so

# Ways and what each preloads, in the order of the tables.
preloads=("plain=" "an empty library=$empty" "offload=$library")
[ -z "$eatmydata" ] || preloads+=("libeatmydata=$eatmydata")
[ ! -r $nocache ] || preloads+=("nocache=$nocache")

preload_of() { # WAY
    local each
    for each in "${preloads[@]}"; do
        [ "${each%%=*}" != "$1" ] || echo "${each#*=}"
    done
}

# ---- commands, timed in turn ---------------------------------------------------------------------------------

rounds=$most_rounds
runs=1         # in each round, of which the middle one counts
row_seconds=60 # after that, and three rounds, a row has had its time
[ -z "$quick" ] || row_seconds=15
before=true # a command, run before each run with the way as argument
processor=yes # whether the command does the work itself, so that its processor time tells something

time_once() { # WAY COMMAND
    hyperfine -N --style none --runs "$runs" --prepare "$before '$1'" --export-json "$work/times.json" "$2" \
        >"$work/hyperfine.log" 2>&1 </dev/null
}

times_of() {
    jq -r '.results[0] | .median'"${processor:+, .user + .system}" "$work/times.json"
}

# Times each way's command, one after the other and in another order each round; the first round is the warm-up. A
# command is as hyperfine takes it: words, quoted as in a shell.
in_turn() { # ROW [WAY COMMAND]...
    local row=$1 round i j began=$SECONDS pairs
    shift
    pairs=("$@")
    echo "  $row" >&2
    for ((round = 0; round <= rounds; round++)); do
        for ((i = 0; i < ${#pairs[@]}; i += 2)); do
            j=$(((i + 2 * round) % ${#pairs[@]}))
            time_once "${pairs[j]}" "${pairs[j + 1]}" || {
                skip_row "$row" "it failed: $(tail -n 1 "$work/hyperfine.log")"
                return 1
            }
            # shellcheck disable=SC2046 # one number or two
            [ $round -eq 0 ] || value "$row" "${pairs[j]}" $round $(times_of)
        done
        [ $round -lt 3 ] || [ $((SECONDS - began)) -lt $row_seconds ] || break
    done
}

# A command with nothing and with something preloaded differs in no more than that.
with() { # WAY COMMAND
    echo "env LD_PRELOAD=$(preload_of "$1") $2"
}

# ---- file systems: each is in a file without a name, and sets `mount` ------------------------------------------

room_mib() {
    df -m --output=avail "$work" | tail -n 1
}

has_filesystem() {
    grep -qw "$1" /proc/filesystems || modprobe -q "$1" 2>/dev/null
}

# Past the cache, as a disk would be, where the file system that the image is on lets it.
attach() { # IMAGE
    losetup --find --show --direct-io=on "$1" 2>/dev/null || losetup --find --show "$1"
}

mount_image() { # TYPE MIB MKFS...
    local type=$1 mib=$2 image=$work/image device
    shift 2
    has_filesystem "$type" || why="this kernel has no $type"
    # What others need is left to them.
    [ $((mib + 4096)) -le "$(room_mib)" ] || why="it takes $mib MiB of disk, and 4 GiB to spare"
    [ -z "$why" ] || return 1
    truncate -s "${mib}M" "$image" && "$@" "$image" >/dev/null 2>&1 && device=$(attach "$image") || return 1
    mount=$work/$type
    mkdir -p "$mount"
    mount -t "$type" -o noatime "$device" "$mount" || mount=
    # The device goes with the mount, and the file with the device.
    losetup -d "$device"
    rm -f "$image"
    [ -n "$mount" ] || return 1
    mounts+=("$mount")
}

mount_memory() { # MIB
    local free=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
    [ $(($1 + 2048)) -le $free ] || why="it takes $1 MiB of memory, and 2 GiB to spare"
    [ -z "$why" ] || return 1
    mount=$work/tmpfs
    mkdir -p "$mount"
    mount -t tmpfs -o "size=${1}M" tmpfs "$mount" && mounts+=("$mount")
}

mount_over() { # MIB
    mount_file_system xfs "$1" || return 1
    local below=$mount
    has_filesystem overlay || why="this kernel has no overlay"
    mkdir -p "$work/overlay" "$below/lower" "$below/upper" "$below/work"
    mount=$work/overlay
    mount -t overlay -o "lowerdir=$below/lower,upperdir=$below/upper,workdir=$below/work" overlay "$mount" &&
        mounts+=("$mount")
}

# Sets `mount`, or `why` not.
mount_file_system() { # NAME MIB
    why=
    case $1 in
    xfs) mount_image xfs "$2" mkfs.xfs -q -m reflink=1 ;;
    btrfs) mount_image btrfs "$2" mkfs.btrfs -q ;;
    ext4) mount_image ext4 "$2" mkfs.ext4 -q -m 0 ;;
    tmpfs) mount_memory "$2" ;;
    overlay) mount_over "$2" ;;
    esac || {
        why=${why:-it cannot be mounted here}
        return 1
    }
    chmod 777 "$mount"
}

unmount_all() {
    local i
    cd "$work" || exit
    for ((i = ${#mounts[@]} - 1; i >= 0; i--)); do
        umount "${mounts[i]}" 2>/dev/null || umount -l "${mounts[i]}"
    done
    mounts=()
}

make_source() { # FILE MIB
    head -c "${2}M" /dev/urandom >"$1" && sync "$1"
}

in_words() { # MIB
    if [ "$1" -ge 1024 ] && [ $(($1 % 1024)) -eq 0 ]; then
        echo "$(($1 / 1024)) GiB"
    else
        echo "$1 MiB"
    fi
}
