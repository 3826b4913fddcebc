#!/bin/bash
# A disk that takes no more writes in the middle of a copy: the program is told of it by its next write, as with plain calls,
# though its bytes are there already and nothing would have to be written.
. "$(dirname "$0")/../fixture.sh"
need_root
need python3

# A disk in memory, of which more is promised than there is.
setup() {
    local below
    has_filesystem "$fs" || skip "there is no $fs"
    mount_tmpfs 256M
    below=$mount
    truncate -s 512M "$below/disk"
    "mkfs.$fs" -q "$below/disk" >/dev/null
    mount=$scratch/failing
    mkdir -p "$mount"
    mount -t "$fs" -o loop "$below/disk" "$mount" || skip "$fs cannot be mounted here"
    mounts+=("$mount")
    make_source "$mount/source" 25165824
    sync -f "$mount"
    cd "$below" || return
}

# Another process makes it fail, which is there before the copy begins: no fork and no look of the program's own ends what is
# ahead of it. Btrfs has to write to where it has never been; XFS is told to stop, as it does by itself when its log cannot be written.
copies_on='
import os, subprocess, sys
(go, tell), (told, answer) = os.pipe(), os.pipe()
def write_all(path, n, turns):
    try:
        with open(path, "ab", 0) as file:
            for turn in range(turns):
                file.write(bytes(n))
    except OSError:
        pass
def btrfs():
    write_all("filler", 1 << 20, 256)
    write_all("filler", 4096, 256)
    os.mkdir("../failing/others")
    for n in range(5000):
        write_all(f"../failing/others/{n}", 2000, 1)
    subprocess.run(["sync", "-f", "../failing"], stderr=subprocess.DEVNULL)
def xfs():
    subprocess.run(["xfs_io", "-x", "-c", "shutdown", "../failing"])
if os.fork() == 0:
    os.read(go, 1)
    globals()[sys.argv[1]]()
    os.write(answer, b"x")
    os._exit(0)
source, copy = os.open("../failing/source", os.O_RDONLY), os.open("../failing/copy", os.O_WRONLY | os.O_CREAT)
def sendfile():
    return os.sendfile(copy, source, None, 131072)
def write():
    return os.write(copy, os.read(source, 131072))
for turn in range(192):
    if turn == 40:
        os.write(tell, b"x")
        os.read(told, 1)
    try:
        print(turn, globals()[sys.argv[2]]())
    except OSError as error:
        print(turn, error)
'

goes_on() { # FILE SYSTEM CALL [LIBRARY SETTING...]
    local way
    fs=$1
    [ "$fs" != btrfs ] || [ "$(printf '%s\n' 5.11 "$(uname -r)" | sort -V | head -n 1)" = 5.11 ] || skip "an older Btrfs does not tell"
    for way in plain preloaded; do
        setup
        run_$way env OFFLOAD_REPORT="$scratch/report" "${@:3}" python3 -c "$copies_on" "$fs" "$2" >"$scratch/$way.said"
        unmount_all
    done
    grep -qE ' \[Errno (5|30)\]' "$scratch/plain.said" || fail "the test itself is wrong: the disk has not failed"
    grep -q '"offloaded": 5242880,' "$scratch/report" || fail "not as much was offloaded as was written: $(cat "$scratch/report")"
    rm "$scratch/report"
    diff "$scratch/plain.said" "$scratch/preloaded.said" || fail "the program was not told"
}

stops_xfs() {
    command -v xfs_io >/dev/null || skip "xfs_io is not installed"
    goes_on xfs "$@"
}

plan 5
verdict "a program that copies is told that Btrfs has failed" goes_on btrfs write
verdict "one whose buffers are lazy, too" goes_on btrfs write OFFLOAD_BUFFERS=lazy OFFLOAD_POLICY=always
verdict "one that has the kernel copy, too" goes_on btrfs sendfile
verdict "a program that copies is told that XFS has failed" stops_xfs write
verdict "one that has the kernel copy, too" stops_xfs sendfile
