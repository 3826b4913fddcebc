# shellcheck shell=bash
# Sourced by every test of the guest lab, and all that it needs to know of it: the mounts of real servers, what is done to
# the servers and the network, and witnesses of what went over the wire. Below it is tests/fixture.sh (plan, verdict, fail,
# skip, run_plain, run_preloaded, make_source, assert_same, assert_shared ...), which works here as anywhere.
#
# Each test starts with no server running and no file system made: what it asks for is made for it, and nothing else.
# shellcheck source-path=SCRIPTDIR/.. source-path=SCRIPTDIR/../.. source=fixture.sh
. "$(dirname "${BASH_SOURCE[0]}")/../fixture.sh"

[ -e /lab/build ] || skip_all "this is a test for the guest: tests/lab/run $test_name"

# As in tests/fixture.sh, text in which each sector differs; its way of making it takes a second for 5 MB here.
make_source() { # FILE [BYTES]
    local bytes=${2:-8400953}
    # shellcheck disable=SC2016 # the names are Perl's
    perl -e 'for (my $n = 0; $n * 512 < $ARGV[0]; $n++) {
        print pack("A511x", sprintf("sector %012d of the source, The Quick Brown Fox\n", $n) x 10);
    }' "$bytes" | head -c "$bytes" >"$1"
    sync "$1"
}

# ---- what is served -----------------------------------------------------------------------------------

declare -A disk_of=([xfs]=/dev/vdb [ext4]=/dev/vdc [btrfs]=/dev/vdd)
# Where the server has a file system, once it is made.
declare -A served=()

# Makes FS anew on its disk and mounts it under /export, unless that has been done.
make_served() { # FS
    local fs=$1 disk=${disk_of[$1]}
    [ -z "${served[$fs]-}" ] || return 0
    modprobe "$fs"
    [ ! -e "/dev/mapper/slow-$fs" ] || disk=/dev/mapper/slow-$fs
    case $fs in
    xfs) mkfs.xfs -q -f -m reflink=1 "$disk" ;;
    ext4) mkfs.ext4 -q -F "$disk" ;;
    btrfs) mkfs.btrfs -q -f "$disk" ;;
    esac >/dev/null || return 1
    mkdir -p "/export/$fs"
    mount -t "$fs" "$disk" "/export/$fs" || return 1
    mounts+=("/export/$fs")
    chmod 777 "/export/$fs"
    served[$fs]=/export/$fs
}

# Until COMMAND succeeds; half a minute is far beyond what anything here takes.
wait_for() { # COMMAND...
    local i
    for ((i = 0; i < 300; i++)); do
        ! "$@" 2>/dev/null || return 0
        sleep 0.1
    done
    echo "waited in vain for: $*" >&2
    return 1
}

# ---- the NFS server -----------------------------------------------------------------------------------

nfs_prepared=

prepare_nfs() {
    [ -z "$nfs_prepared" ] || return 0
    modprobe nfsd
    mountpoint -q /proc/fs/nfsd || mount -t nfsd nfsd /proc/fs/nfsd
    rm -rf /var/lib/nfs/nfsdcld
    mkdir -p /run/rpc_pipefs /var/lib/nfs/nfsdcld
    mountpoint -q /run/rpc_pipefs || mount -t rpc_pipefs rpc_pipefs /run/rpc_pipefs
    # The shortest that the kernel takes: a client that the server remembers from before may come back for as long.
    echo 10 >/proc/fs/nfsd/nfsv4leasetime
    echo 10 >/proc/fs/nfsd/nfsv4gracetime
    # What a server of more memory has by itself, and its clients read and write at once.
    echo $((1 << 20)) >/proc/fs/nfsd/max_block_size
    # Keeps what the server knows of its clients: one that knows none, or has them all back, does not wait for them.
    nfsdcld --pipefsdir /run/rpc_pipefs
    : >/etc/exports
    rpc.mountd -N 2 -N 3
    at_end+=(stop_nfs)
    nfs_prepared=yes
}

start_nfs() {
    prepare_nfs
    rpc.nfsd --no-nfs-version 3 4
}

stop_nfs() {
    rpc.nfsd 0
}

nfs_runs() {
    [ -e /proc/fs/nfsd/threads ] && [ "$(cat /proc/fs/nfsd/threads)" != 0 ]
}

# The number that makes a file handle's export: a server that was restarted must know it again.
declare -A export_number=([xfs]=1 [ext4]=2 [btrfs]=3)

# Mounts FS of the NFS server: sets `mount`, and `server_side`, the same folder on the server. Each call makes a mount of
# its own; two of different file systems are two exports of one server.
on_nfs() { # FS [MOUNT OPTIONS, such as nosharecache,soft; vers=4.1 in place of 4.2]
    local version=vers=4.2,
    [[ ${2-} != *vers=* ]] || version=
    make_served "$1" || return 1
    prepare_nfs
    exportfs -o "rw,no_root_squash,no_subtree_check,fsid=${export_number[$1]}" "127.0.0.1:/export/$1" || return 1
    nfs_runs || start_nfs || return 1
    new_mount "nfs-$1"
    mount -t nfs4 -o "${version}noatime${2:+,$2}" "127.0.0.1:/export/$1" "$mount" || return 1
    at_end+=("unmount_client '$mount'")
    # shellcheck disable=SC2034 # for the test
    server_side=/export/$1
}

# While the server is still there, if it is: a file that is closed when it is gone waits for it.
unmount_client() { # MOUNT
    cd /
    close_files
    timeout 20 umount "$1" || umount -f "$1" || umount -l "$1"
}

# What the test has opened for itself by `exec 5>FILE`; bash reads the script from 255.
close_files() {
    local fd
    for fd in /proc/"$BASHPID"/fd/*; do
        fd=${fd##*/}
        [ "$fd" -le 2 ] || [ "$fd" -eq 255 ] || exec {fd}>&-
    done
}

new_mount() { # NAME
    mount=$scratch/$1
    while [ -e "$mount" ]; do
        mount+=+
    done
    mkdir "$mount"
}

# ---- the SMB server -----------------------------------------------------------------------------------

smb_user=lab smb_password=lab

write_smb_conf() {
    local fs
    cat <<'CONF'
[global]
    server role = standalone server
    bind interfaces only = yes
    interfaces = lo
    disable netbios = yes
    smb ports = 445
    load printers = no
    log file = /var/log/samba/log
    map to guest = never
CONF
    for fs in xfs ext4 btrfs; do
        printf '[%s]\n    path = /export/%s\n    read only = no\n    force user = root\n' $fs $fs
        # The server asks the file system to share, as its manual advises for Btrfs alone.
        [ $fs != btrfs ] || echo '    vfs objects = btrfs'
    done
}

# The account outlives the test: to make one takes seconds.
prepare_smb() {
    modprobe cifs
    mkdir -p /run/samba /var/log/samba /var/lib/samba/private /var/cache/samba
    write_smb_conf >/etc/samba/smb.conf
    id $smb_user >/dev/null 2>&1 || echo "$smb_user:x:1000:1000::/:/bin/false" >>/etc/passwd
    [ -e /var/lib/samba/private/passdb.tdb ] ||
        printf '%s\n%s\n' $smb_password $smb_password | smbpasswd -s -a $smb_user >"$scratch/smbpasswd.log" 2>&1 ||
        cat "$scratch/smbpasswd.log" >&2
}

start_smb() {
    prepare_smb
    smbd --daemon
    at_end+=(stop_smb)
    wait_for smb_runs
}

stop_smb() {
    ! [ -e /run/samba/smbd.pid ] || {
        kill "$(cat /run/samba/smbd.pid)" 2>/dev/null
        # What serves a connection is a process of its own, and is told by the first.
        wait_for no_smbd
    }
}

no_smbd() {
    ! pgrep -x smbd >/dev/null
}

smb_runs() {
    : </dev/tcp/127.0.0.1/445
}

# Mounts the share of FS: sets `mount` and `server_side`, as on_nfs does.
on_smb() { # FS [MOUNT OPTIONS, such as cache=none]
    make_served "$1" || return 1
    smb_runs 2>/dev/null || start_smb || return 1
    new_mount "smb-$1"
    mount -t cifs -o "vers=3.1.1,username=$smb_user,password=$smb_password${2:+,$2}" "//127.0.0.1/$1" "$mount" ||
        return 1
    at_end+=("unmount_client '$mount'")
    # shellcheck disable=SC2034 # for the test
    server_side=/export/$1
}

# ---- what is done to them -----------------------------------------------------------------------------

# SERVER is nfs or smb. What is stopped loses its connections; NFS clients go on waiting for it.
stop_server() { # SERVER
    "stop_$1"
}

start_server() { # SERVER
    "start_$1"
}

restart_server() { # SERVER
    stop_server "$1" && start_server "$1"
}

# All that goes between client and server, in both directions: `slow_network delay 20ms`, `slow_network rate 100mbit`,
# or what else tc-netem(8) takes. Without arguments the network is as quick as before.
# shellcheck disable=SC2120
slow_network() { # [NETEM ARGUMENTS]
    modprobe sch_netem
    tc qdisc del dev lo root 2>/dev/null || true
    [ $# -eq 0 ] || tc qdisc add dev lo root netem limit 10000 "$@"
    at_end+=('tc qdisc del dev lo root 2>/dev/null')
}

# Each request of FS's disk takes so many milliseconds longer. The first time must be before FS is served (with 0, if it
# is to be slow only later).
slow_disk() { # FS MILLISECONDS
    local name=slow-$1 disk=${disk_of[$1]} table
    table="0 $(blockdev --getsz "$disk") delay $disk 0 $2"
    modprobe dm_delay
    if [ -e "/dev/mapper/$name" ]; then
        dmsetup suspend --noflush "$name" && dmsetup load "$name" --table "$table" && dmsetup resume "$name"
    else
        [ -z "${served[$1]-}" ] || fail "slow_disk $1 comes too late: $1 is served already"
        dmsetup create "$name" --table "$table" && dmsetup mknodes
        # Before the server's mounts are gone, it is in use.
        at_end=("dmsetup remove --deferred $name" "${at_end[@]}")
    fi
}

# What is read next comes from the disk, or from the server, which must be there: what the client has of it is given back.
drop_caches() {
    sync
    echo 3 >/proc/sys/vm/drop_caches
}

# ---- witnesses ------------------------------------------------------------------------------------------

# The lines that the kernel keeps of an NFS mount.
mountstats() { # MOUNT
    awk -v mount="$1" '/^device / { on = $5 == mount } on' /proc/self/mountstats
}

# How often the client called OPERATION (COPY, CLONE, READ, READ_PLUS, WRITE, COMMIT ...) on a mount so far. Mounts of one
# export share their counts, unless they were made with nosharecache.
nfs_calls() { # MOUNT OPERATION
    mountstats "$1" | awk -v name="$2:" '$1 == name { calls = $2 } END { print calls + 0 }'
}

# The bytes that reading and writing took over the wire on a mount so far. READ_PLUS is counted too: a client from 6.x on
# reads by it.
nfs_bytes() { # MOUNT
    mountstats "$1" | awk '
        $1 == "READ:" || $1 == "READ_PLUS:" { bytes += $6 }
        $1 == "WRITE:" { bytes += $5 }
        END { printf "%.0f\n", bytes }'
}

# The same of an SMB mount, as its client counts the payload. The counts are the share's.
smb_bytes() { # MOUNT
    smb_share "$1" | awk '/^Bytes read:/ { bytes += $3 + $6 } END { printf "%.0f\n", bytes }'
}

# How many IOCTLs the client made on a mount so far: COPYCHUNK and DUPLICATE_EXTENTS are two of them.
smb_ioctls() { # MOUNT
    smb_share "$1" | awk '/^IOCTLs:/ { calls += $2 } END { print calls + 0 }'
}

smb_share() { # MOUNT
    local share
    share=$(findmnt -n -o SOURCE "$1")
    awk -v share="${share//\//\\\\}" '/^[0-9]+\) / { on = $2 == share } on' /proc/fs/cifs/Stats
}

# Either, by what the mount is.
wire_bytes() { # MOUNT
    case $(findmnt -n -o FSTYPE "$1") in
    nfs4) nfs_bytes "$1" ;;
    cifs) smb_bytes "$1" ;;
    *) fail "$1 is not a mount of a server" ;;
    esac
}

# Runs COMMAND, and fails unless it moved fewer (more) than so many bytes over the wire of MOUNT.
moves_less_than() { # BYTES MOUNT COMMAND...
    local most=$1 place=$2 before after
    shift 2
    before=$(wire_bytes "$place")
    "$@"
    after=$(wire_bytes "$place")
    [ $((after - before)) -lt "$most" ] || fail "$((after - before)) bytes moved, $most are too many: $*; the record: $(cat "$report" 2>&1)"
}

moves_at_least() { # BYTES MOUNT COMMAND...
    local least=$1 place=$2 before after
    shift 2
    before=$(wire_bytes "$place")
    "$@"
    after=$(wire_bytes "$place")
    [ $((after - before)) -ge "$least" ] || fail "$((after - before)) bytes moved, not even $least: $*"
}

# What a program that asks for it gets: copy_file_range(2) until all of SOURCE is in TARGET, and fsync. Prints nothing.
copy_by_server() {
    python3 -c '
import os, sys
source, target = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
left = os.fstat(source).st_size
while left:
    left -= os.copy_file_range(source, target, left)
os.fsync(target)' "$1" "$2"
}

# assert_shared and assert_not_shared of tests/fixture.sh tell what two files share: give them the server's side.

# ---- disks that copy ----------------------------------------------------------------------------------

# An NVMe drive with the command Copy: sets `nvme_disk`. It has more namespaces, and there is another drive: see
# nvme_namespace.
need_nvme() {
    modprobe nvme
    wait_for nvme_namespace 1 >/dev/null
    # shellcheck disable=SC2034 # for the test
    nvme_disk=$(nvme_namespace 1)
}

# The namespaces that tests/lab/run has made, by their numbers; 0 is the one of the drive that has no limits for Copy.
# The kernel counts them as it finds them.
nvme_namespace() { # NUMBER
    local serial=lab number=$1 disk
    [ "$1" != 0 ] || serial=bare number=1
    for disk in /sys/class/nvme/nvme*/nvme*n*; do
        [ "$(tr -d ' ' <"$disk/device/serial")" != $serial ] || [ "$(cat "$disk/nsid")" != "$number" ] || {
            echo "/dev/${disk##*/}"
            return
        }
    done
    return 1
}

# Two SCSI disks of BYTES each with EXTENDED COPY, out of the kernel's own target: sets `scsi_disks`, an array, and
# `scsi_generic`, their sg devices. On the server's side they are files: `lun_file NUMBER`.
# shellcheck disable=SC2120
need_scsi() { # [BYTES]
    local bytes=${1:-$((512 << 20))} number
    modprobe -a configfs target_core_mod target_core_file tcm_loop sd_mod sg
    mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
    mkdir -p /etc/target /var/target
    mkdir -p "$portal"
    echo naa.6001405000000001 >"$portal/nexus"
    scsi_disks=() scsi_generic=()
    at_end+=(remove_scsi)
    for number in 0 1; do
        make_lun $number "$bytes"
    done
}

target=/sys/kernel/config/target
portal=$target/loopback/naa.5001405000000001/tpgt_1

lun_file() { # NUMBER
    echo "$scratch/lun$1"
}

# fileio_N and iblock_N are what LIO calls its ways to keep a disk.
lun_folder() { # NUMBER
    echo "$target/core/"*_0/"lab$1"
}

# By their places in the target; the first commands to a disk that is new fail, and are made here. Blocks are of 512
# bytes, or of what is given. A disk is new, and its file too if there is none.
make_lun() { # NUMBER BYTES [BYTES OF A BLOCK] [SERIAL NUMBER]
    local backstore=$target/core/fileio_0/lab$1 file
    file=$(lun_file "$1")
    [ -e "$file" ] || truncate -s "$2" "$file"
    mkdir -p "$backstore"
    echo -n "fd_dev_name=$file,fd_dev_size=$2" >"$backstore/control"
    start_lun "$1" "$backstore" "${3-}" "${4-}"
}

# The same of DISK: what it was told to write is there after a cut of the power, if that is so of DISK.
make_lun_of() { # NUMBER DISK
    local backstore=$target/core/iblock_0/lab$1
    modprobe target_core_iblock
    mkdir -p "$backstore"
    echo -n "udev_path=$2" >"$backstore/control"
    start_lun "$1" "$backstore"
}

start_lun() { # NUMBER BACKSTORE [BYTES OF A BLOCK] [SERIAL NUMBER]
    local node
    # The target takes the first 25 digits for the disk's identity, and copies from the wrong disk if two have the same.
    echo -n "${4:-0$1aaf00d00000000000000000000000}" >"$2/wwn/vpd_unit_serial"
    echo 1 >"$2/enable"
    [ -z "${3-}" ] || echo "$3" >"$2/attrib/block_size"
    # So that Linux 6.17 and later can have blocks that are written and zero (FALLOC_FL_WRITE_ZEROES).
    for node in emulate_tpu emulate_tpws unmap_zeroes_data; do
        echo 1 >"$2/attrib/$node"
    done
    echo 65535 >"$2/attrib/max_write_same_len"
    show_lun "$1"
}

# Gives the disk to this machine, which finds it.
show_lun() { # NUMBER
    mkdir -p "$portal/lun/lun_$1"
    ln -s "$(lun_folder "$1")" "$portal/lun/lun_$1/port"
    wait_for scsi_disk_named "$1"
    # shellcheck disable=SC2034 # for the test
    scsi_disks[$1]=/dev/$(scsi_node "$1" block)
    scsi_generic[$1]=/dev/$(scsi_node "$1" scsi_generic)
    wait_for sg_turs "${scsi_generic[$1]}" >/dev/null
}

# Takes it away, in the middle of what it does if need be; the file stays.
hide_lun() { # NUMBER
    rm -f "$portal/lun/lun_$1/port"
    rmdir "$portal/lun/lun_$1"
}

scsi_node() { # NUMBER KIND
    local folder
    for folder in /sys/class/scsi_device/*:0:1:"$1"/device/"$2"/*; do
        [ ! -e "$folder" ] || basename "$folder"
    done
}

scsi_disk_named() { # NUMBER
    [ -b "/dev/$(scsi_node "$1" block)" ] && [ -c "/dev/$(scsi_node "$1" scsi_generic)" ]
}

remove_scsi() {
    local lun
    for lun in "$portal"/lun/lun_*; do
        rm -f "$lun/port"
        rmdir "$lun"
    done
    rmdir "$target"/core/*_0/lab* "$portal" "${portal%/*}"
}

# ---- the power ----------------------------------------------------------------------------------------

# Has the machine killed where it stands, and booted again: then the test is run anew, from its beginning, with
# OFFLOAD_TEST_CUT=STATE. Of what was written, the NVMe namespaces and the disks of `disk_of` keep what they had. Not
# within a verdict, whose output is held back.
cut_power() { # STATE
    echo "lab: cut $1"
    sleep 1000
}

# ---- copies with the library loaded -------------------------------------------------------------------

# What strace -o "$trace" runs has come to the SIGSTOP that it was to be sent. Its state (t) would not tell: each call that
# is traced has that for a moment.
is_stopped() {
    grep -qs 'stopped by SIGSTOP' "$trace"
}

# For what must happen within a time: the whole machine may stop for longer. Fails if COMMAND fails three times.
in_one_of_three() { # COMMAND...
    local attempt status=0
    for attempt in 1 2 3; do
        [ "$attempt" = 1 ] || echo "it is tried once more"
        status=0
        # Not in a condition, where bash would ignore the `set -e`.
        (set -e; "$@") &
        wait $! || status=$?
        [ $status = 1 ] || break
    done
    [ $status = 0 ] || exit $status
}

# Says how many verdicts there are, and gives those of each server of the list by the test's function nfs_cases or
# smb_cases.
on_file_servers() { # LIST OF THEM, NFS VERDICTS, SMB VERDICTS
    local server all=0
    local -A count=([nfs]=$2 [smb]=$3)
    for server in $1; do
        all=$((all + count[$server]))
    done
    plan $all
    for server in $1; do
        "${server}_cases"
    done
}

report=$scratch/report
# shellcheck disable=SC2034 # for the test
paced=$build/tests/tools/paced

# As run_preloaded; $report then has what the library says of each copy.
run_reported() { # COMMAND...
    rm -f "$report"
    run_preloaded env OFFLOAD_REPORT="$report" "$@"
}

# A field of the last copy in $report.
reported() { # FIELD
    sed -n "s/.*\"$1\": \"\{0,1\}\([^\",}]*\).*/\1/p" "$report" | tail -n 1
}

assert_reported() { # FIELD VALUE
    [ "$(reported "$1")" = "$2" ] || fail "$1 is not $2 in the record: $(cat "$report" 2>/dev/null || echo none)"
}

# The bytes that writing alone took over the wire so far.
wire_written() { # MOUNT
    case $(findmnt -n -o FSTYPE "$1") in
    nfs4) mountstats "$1" | awk '$1 == "WRITE:" { bytes += $5 } END { printf "%.0f\n", bytes }' ;;
    cifs) smb_share "$1" | awk '/^Bytes read:/ { bytes += $6 } END { printf "%.0f\n", bytes }' ;;
    esac
}

# The copy has the source's bytes as the client sees them, and as the server has them on its disk. Both paths are below the
# mounts, which are those of FS in the plain way, unless the server's sides are given.
assert_copied() { # SOURCE TARGET [ON THE SERVER: SOURCE TARGET]
    assert_same "$1" "$2"
    drop_caches
    assert_same "${3:-$server_side/${1##*/}}" "${4:-$server_side/${2##*/}}"
}

# The guest's clock, in milliseconds.
guest_now() {
    local up
    read -r up _ </proc/uptime
    echo $((10#${up/./} * 10))
}
