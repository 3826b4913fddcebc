#!/bin/bash
# Programs copy between files of one server, and the server makes the copy: what moves over the wire is under 1 % of the
# file. The bytes are the source's, as the client sees them and as the server has them.
. "$(dirname "$0")/../guest.sh"

file_servers="nfs smb"

size=$((8 << 20))

copyfileobj='
import shutil, sys
with open(sys.argv[1], "rb") as source, open(sys.argv[2], "wb") as copy:
    shutil.copyfileobj(source, copy)'

# As `copy_by PROGRAM SOURCE TARGET`, in front of which comes how it is run.
copy_by() { # HOW PROGRAM SOURCE TARGET
    case $2 in
    dd) "$1" dd if="$3" of="$4" bs=128k status=none ;;
    python) "$1" python3 -c "$copyfileobj" "$3" "$4" ;;
    busybox) "$1" busybox cp "$3" "$4" ;;
    copyfile) "$1" python3 -c 'import shutil, sys; shutil.copyfile(*sys.argv[1:])' "$3" "$4" ;;
    esac
}

# The client has the source's bytes: a test that does not begin so would count its reads.
cache() { # FILE
    cat "$1" >/dev/null
    moves_less_than $((size / 100)) "$mount" cat "$1" >/dev/null
}

offloaded() { # PROGRAM
    rm -f "$mount/target"
    cache "$mount/source"
    moves_less_than $((size / 100)) "$mount" copy_by run_reported "$1" "$mount/source" "$mount/target"
    assert_reported engine server
    assert_reported offloaded $size
    assert_copied "$mount/source" "$mount/target"
}

# The server's files share their blocks.
shared() {
    sync
    assert_shared "$server_side/source" "$server_side/target"
}

# What is not cached has to come once where the program reads it; nothing goes back.
cold() { # PROGRAM MOST BYTES
    local before
    rm -f "$mount/target"
    drop_caches
    before=$(wire_written "$mount")
    moves_less_than "$2" "$mount" copy_by run_reported "$1" "$mount/source" "$mount/target"
    [ "$(wire_written "$mount")" -eq "$before" ] || fail "$(($(wire_written "$mount") - before)) bytes were written"
    assert_reported offloaded $size
    assert_copied "$mount/source" "$mount/target"
}

sizes() {
    local bytes program
    for bytes in 0 1 4095 4097 $(((1 << 20) + 1)); do
        make_source "$server_side/small-$bytes" $bytes
        for program in dd busybox; do
            copy_by run_preloaded $program "$mount/small-$bytes" "$mount/$program-$bytes"
        done
    done
    drop_caches
    for bytes in 0 1 4095 4097 $(((1 << 20) + 1)); do
        for program in dd busybox; do
            assert_same "$mount/small-$bytes" "$mount/$program-$bytes"
            assert_same "$server_side/small-$bytes" "$server_side/$program-$bytes"
        done
    done
}

holes() {
    rm -f "$server_side/holes"
    make_source "$server_side/holes" $((1 << 20))
    truncate -s 5M "$server_side/holes"
    head -c 100000 "$server_side/source" >>"$server_side/holes"
    truncate -s 8000001 "$server_side/holes"
    sync
    copy_by run_reported dd "$mount/holes" "$mount/holes-copy"
    assert_copied "$mount/holes" "$mount/holes-copy"
}

# Mode, size, bytes and the times that were set are what the plain run leaves; other times are those of the run.
attributes() {
    local program before
    chmod 640 "$server_side/source"
    touch -d '2020-02-02 02:02:02.5' "$server_side/source"
    cd "$mount"
    both busybox cp -p ../source copy
    cmp <(stat -c '%y %a' plain/copy) <(stat -c '%y %a' ours/copy)
    both python3 -c 'import shutil; shutil.copy2("../source", "copy")'
    cmp <(stat -c '%y %a' plain/copy) <(stat -c '%y %a' ours/copy)
    for program in dd busybox; do
        rm -f target
        before=$(date +%s%N)
        copy_by run_preloaded $program source target
        sleep 0.05
        [ "$(date -d "$(stat -c %y target)" +%s%N)" -ge $((before - 20000000)) ] ||
            fail "$program left a file as of $(stat -c %y target)"
        [ "$(date -d "$(stat -c %y "$server_side/target")" +%s%N)" -le "$(date +%s%N)" ] || fail "of the future"
    done
    drop_caches
    assert_same "$server_side/ours/copy" "$server_side/source"
}

# What goes on differently after a part that was copied: more is written, or less, or something else.
otherwise() {
    cd "$mount"
    both python3 -c '
import os
source, copy = os.open("../source", os.O_RDONLY), os.open("copy", os.O_WRONLY | os.O_CREAT)
left = 4 << 20
while left:
    left -= os.write(copy, os.read(source, 131072))
os.write(copy, b"and then something else" * 10000)
print(os.fstat(copy).st_size)'
    both python3 -c '
import os
source, copy = os.open("../source", os.O_RDONLY), os.open("copy", os.O_WRONLY | os.O_CREAT)
for turn in range(40):
    block = os.read(source, 131072)
    os.write(copy, block[:131072 if turn < 20 else 100000])
print(os.fstat(copy).st_size)'
    drop_caches
    cmp "$server_side/plain/copy" "$server_side/ours/copy"
}

# One in a thousand writes has a byte that the source has not.
changed_byte() {
    run_reported "$paced" -c 1000 "$mount/source" "$mount/target" "$scratch/written" 4096
    ! cmp -s "$scratch/written" "$server_side/source" || fail "no byte was changed"
    assert_copied "$scratch/written" "$mount/target" "$scratch/written" "$server_side/target"
}

# Made of one that is there, of which the file system may share what it can; each part has another head.
make_large() { # FILE BYTES
    local part
    for ((part = 0; part * size < $2; part++)); do
        printf '%-4096s' "part $part"
        cat "$server_side/source"
    done >"$1"
    truncate -s "$2" "$1"
    sync "$1"
}

# What two files share is the same. Else it has to be read.
assert_same_on_server() { # FILE_A FILE_B
    sync "$2"
    case $(findmnt -n -o FSTYPE -T "$1") in
    ext4) assert_same "$1" "$2" ;;
    *) assert_shared "$1" "$2" ;;
    esac
}

large() { # PROGRAM...
    local large=$((256 << 20)) program
    make_large "$server_side/large" $large
    cat "$mount/large" >/dev/null
    for program in "$@"; do
        moves_less_than $((large / 100)) "$mount" copy_by run_reported "$program" "$mount/large" "$mount/large-copy"
        assert_reported engine server
        assert_reported offloaded $large
        assert_same_on_server "$server_side/large" "$server_side/large-copy"
        rm "$mount/large-copy"
    done
    drop_caches
    rm "$mount/large"
}

# Programs that read and write by themselves are left to do so.
left_alone() { # PROGRAM
    rm -f "$mount/target"
    copy_by run_reported "$1" "$mount/source" "$mount/target"
    assert_reported offloaded 0
    assert_reported cause leased
    assert_copied "$mount/source" "$mount/target"
}

served_smb_alone() { # PROGRAM...
    local program
    for program in "$@"; do
        OFFLOAD_SMB_ALONE=on offloaded "$program"
    done
}

# Between two mounts of one server.
across() { # PROGRAM FROM TO
    local before after program=$1
    shift
    make_source "/export/${1##*-}/across" $size
    cat "$1/across" >/dev/null
    before=$(($(wire_bytes "$1") + $(wire_bytes "$2")))
    copy_by run_reported "$program" "$1/across" "$2/across"
    after=$(($(wire_bytes "$1") + $(wire_bytes "$2")))
    [ $((after - before)) -lt $((size / 100)) ] || fail "$((after - before)) bytes moved"
    assert_reported engine server
    assert_reported offloaded $size
    assert_copied "$1/across" "$2/across" "/export/${1##*-}/across" "/export/${2##*-}/across"
}

# SHARED: whether the server shares blocks: on XFS for CLONE and COPY, and for COPYCHUNK where Samba is told that the
# file system can.
on_mount() { # NAME SHARED PROGRAM...
    local program name=$1 shared=$2
    shift 2
    make_source "$server_side/source" $size
    for program in "$@"; do
        verdict "the server copies for $program, $name" offloaded "$program"
    done
    [ "$shared" = no ] || verdict "and the server's files share their blocks, $name" shared
}

# What is the same whatever file system the server has.
on_protocol() { # NAME
    verdict "small files, $1" sizes
    verdict "a file with holes, $1" holes
    verdict "mode and times, $1" attributes
    verdict "a program that goes on differently, $1" otherwise
    verdict "a byte that the program changes, $1" changed_byte
}

nfs_cases() {
    on_nfs xfs || fail "cannot mount xfs"
    on_mount "NFS of xfs" yes dd
    verdict "256 MiB, NFS of xfs" large dd python busybox
    on_nfs ext4 || fail "cannot mount ext4"
    on_mount "NFS of ext4" no dd python busybox
    verdict "what is not cached comes over the wire once, NFS of ext4" cold dd $((size * 105 / 100))
    on_protocol NFS
    verdict "256 MiB, NFS of ext4" large dd python busybox
    verdict "from one NFS export to another" across dd "$scratch/nfs-xfs" "$scratch/nfs-ext4"
}

# A client of SMB forgets what it has of a file that nobody has open: for so long it keeps it open.
smb_cases() {
    for fs in btrfs ext4 xfs; do
        on_smb $fs closetimeo=30 || fail "cannot mount $fs"
        on_mount "SMB of $fs" "$([ $fs = ext4 ] && echo no || echo yes)" copyfile busybox
        verdict "what is not cached does not come over the wire, SMB of $fs" cold busybox $((size / 100))
    done
    verdict "dd copies by itself, SMB" left_alone dd
    verdict "dd and Python are served where files are changed through SMB alone" served_smb_alone dd python
    OFFLOAD_SMB_ALONE=on verdict "256 MiB, SMB of xfs" large dd python busybox
    on_protocol SMB
    verdict "from one SMB share to another" across busybox "$scratch/smb-xfs" "$scratch/smb-ext4"
}

on_file_servers "$file_servers" 14 20
