#!/bin/bash
# offload doctor: what it says of file systems, settings and the library, and that nothing holds it up.
. "$(dirname "$0")/../fixture.sh"

need_root
offload=$build/offload
cd "$scratch" || exit 1

examined() { # COMMAND...: doctor by that command; prints what it says, in one line
    limited "$@" >"$scratch/said" 2>"$scratch/complained" ||
        fail "it ended with $?: $(cat "$scratch/said" "$scratch/complained")"
}

says() { # TEXT...: however its lines are broken
    local text
    for text in "$@"; do
        tr -s ' \n' ' ' <"$scratch/said" | grep -qF -- "$text" || fail "not a word of '$text': $(cat "$scratch/said")"
    done
}

says_nothing_of() {
    ! tr -s ' \n' ' ' <"$scratch/said" | grep -F -- "$1" || fail "it says '$1': $(cat "$scratch/said")"
}

silent() {
    [ ! -s "$scratch/complained" ] || fail "it complains: $(cat "$scratch/complained")"
}

# ---- the machine and the process ----------------------------------------------------------------------

machine() {
    examined "$offload" doctor
    silent
    says "kernel Linux $(uname -r)" "$build/.libs/liboffload.so, version " "programs can load it" \
        "settings OFFLOAD_CONFIG=none (environment)" "userfaultfd by system call" "leases can be taken" \
        "seccomp no filter" "/proc is there" "clone on xfs, btrfs, overlay" "SCSI disks" "NVMe namespaces"
    # A name can be as long as it likes, but has its line for itself.
    awk 'length > 80' "$scratch/said" | grep -v "$build" && fail "lines of more than 80 columns"
    return 0
}

leaves_nothing() {
    mkdir place
    TMPDIR=$scratch/place examined "$offload" doctor
    [ -z "$(ls -A place)" ] || fail "it leaves $(ls -A place)"
    says "leases can be taken"
}

without_temporary_files() {
    TMPDIR=/nowhere examined "$offload" doctor
    says "leases not known"
}

# A filter that allows everything is one all the same.
filter='
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
allow = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7fff0000))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
program = Program(1, ctypes.addressof(allow))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
'

filtered() {
    command -v python3 >/dev/null || skip "python3 is not installed"
    examined python3 -c "$filter" "$offload" doctor
    says "seccomp a filter is in force"
}

without_proc() {
    # shellcheck disable=SC2016 # for the shell that is started
    examined unshare --mount sh -c 'umount -l /proc && exec "$1" doctor' - "$build/offload"
    says "/proc is not there" "they cannot be listed"
}

ordinary_user() {
    mkdir -p user/.libs
    cp "$build/offload" user/offload
    cp "$build/.libs/liboffload.so" user/.libs/
    chmod -R a+rX user
    examined setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/ "$scratch/user/offload" doctor
    silent
    says "user 65534" "programs can load it"
}

bad_use() {
    local status
    for argument in /tmp --help ''; do
        status=0
        "$offload" doctor "$argument" >"$scratch/said" 2>"$scratch/complained" || status=$?
        [ $status -eq 125 ] || fail "doctor '$argument' ended with $status"
        [ "$(wc -l <"$scratch/complained")" -eq 1 ] || fail "not one line: $(cat "$scratch/complained")"
    done
    status=0
    "$offload" doctor >/dev/full 2>"$scratch/complained" || status=$?
    [ $status -eq 125 ] || fail "a full standard output ended with $status"
    grep -q "^offload: cannot write to standard output: .*; " "$scratch/complained" ||
        fail "$(cat "$scratch/complained")"
}

# ---- the library --------------------------------------------------------------------------------------

a_tree() { # a command of our own with a library of its own, in ./tree
    rm -rf tree
    mkdir -p tree/.libs
    cp "$build/offload" tree/offload
    cp "$build/.libs/liboffload.so" tree/.libs/
}

library_that_cannot_be_loaded() {
    a_tree
    examined tree/offload doctor
    says "tree/.libs/liboffload.so" "programs can load it"
    # Still there and of this version, but no ELF file any more.
    printf 'XXXX' | dd of=tree/.libs/liboffload.so conv=notrunc status=none
    examined tree/offload doctor
    says "a program started with it does not have it"
}

library_of_another_version() {
    a_tree
    sed -i 's/@(#)liboffload /@(#)liboffload 9/' tree/.libs/liboffload.so
    examined tree/offload doctor
    says "library none that can be used"
    grep -q "version" "$scratch/complained" || fail "not a word of the version: $(cat "$scratch/complained")"
}

# ---- settings -----------------------------------------------------------------------------------------

settings() {
    printf '# comment\nOFFLOAD_MIN_SIZE=1\nOFFLOAD_ENGINES=clone\n' >config
    chmod 644 config
    OFFLOAD_CONFIG=$scratch/config OFFLOAD_MIN_SIZE=7 OFFLOAD_EXCLUDE='*.iso' examined "$offload" doctor
    says "OFFLOAD_MIN_SIZE=7 (environment)" "OFFLOAD_ENGINES=clone ($scratch/config)" \
        "OFFLOAD_EXCLUDE='*.iso' (environment)"
    says_nothing_of "OFFLOAD_MIN_SIZE=1 "
    mkdir -p home
    printf 'OFFLOAD_POLICY=always\n' >home/offload.conf
    (unset OFFLOAD_CONFIG && XDG_CONFIG_HOME=$scratch/home examined "$offload" doctor)
    says "OFFLOAD_POLICY=always ($scratch/home/offload.conf)"
    OFFLOAD=off examined "$offload" doctor
    says "OFFLOAD=off (environment)" "switched off by them"
}

# ---- file systems -------------------------------------------------------------------------------------

on() { # MOUNT-FUNCTION TEXT...
    local setup=$1 text
    shift
    "$setup" >"$scratch/mount.log" 2>&1 || skip "it cannot be mounted here: $(tail -n 1 "$scratch/mount.log")"
    examined "$offload" doctor
    silent
    for text in "$@"; do
        says "$mount $text"
    done
}

mount_noreflink() { mount_image xfs 1G rw mkfs.xfs -q -m reflink=0; }
# shellcheck disable=SC2119
mount_quota() { mount_btrfs && btrfs quota enable "$mount"; }

# A verdict is a shell of its own, which takes its mounts away itself.
alone() { # FUNCTION ARGUMENT...
    mounts=()
    trap 'unmount_all 2>/dev/null' EXIT
    "$@"
}

with_one_engine() {
    OFFLOAD_ENGINES=kernel alone on mount_xfs "xfs: only by kernel, for programs that use sendfile."
}

mounted_twice() {
    on mount_xfs "xfs: yes, by clone, kernel."
    mkdir twice
    mount --bind "$mount" twice
    mounts+=("$scratch/twice")
    examined "$offload" doctor
    says_nothing_of "$scratch/twice"
}

strange_name() {
    local place=$scratch/$'a b\n\xff'
    mkdir "$place"
    mount -t tmpfs tmpfs "$place"
    mounts+=("$place")
    examined "$offload" doctor
    says "a b\\n\\377' tmpfs: no:"
}

hidden() {
    on mount_xfs "xfs: yes, by clone, kernel."
    local first=$mount
    mount -t tmpfs tmpfs "$first"
    mounts+=("$first")
    examined "$offload" doctor
    says "$first xfs: yes" "It could not be asked for more" "$first tmpfs: no"
}

# ---- what may hang --------------------------------------------------------------------------------------

# Lines of mountinfo that the kernel did not write, for the process that is examined. Nobody may ask such a server.
servers_of_a_fake_table() {
    local watched=()
    # With -D strace is the child, and keeps doctor the process that it was.
    ! command -v strace >/dev/null || watched=(strace -D -f -o trace)
    cat >mountinfo <<'END'
900 1 0:900 / /far/nfs rw - nfs4 server:/x rw,vers=4.2
901 1 0:901 / /far/smb rw - cifs //server/x rw,vers=3.1.1,cache=strict
912 1 0:912 / /far/loose rw - cifs //server/y rw,vers=3.1.1,cache=loose
908 1 0:908 / /far/nfs41 rw - nfs4 server:/x rw,vers=4.1
909 1 0:909 / /far/nfs3 rw - nfs server:/x rw,vers=3
910 1 0:910 / /far/smb1 rw - cifs //server/x rw,vers=1.0
911 1 0:911 / /far/silent rw - smb3 //server/x rw
902 1 0:902 / /far/fuse rw - fuse.sshfs server:/x rw
903 1 0:903 / /far/automount rw - autofs x rw
904 1 0:904 / /far/other rw - somethingelse x rw
905 1 0:905 / /far/old rw - ext3 /dev/x rw
906 1 0:906 / /far/layers ro - overlay overlay ro,lowerdir=/a:/b
907 1 0:907 / /far/upper ro - overlay overlay rw,lowerdir=/a,upperdir=/far/old/up,workdir=/far/old/work
END
    # The shell of that number becomes doctor, with strace beside it.
    # shellcheck disable=SC2016
    examined unshare --mount sh -c 'mount --bind mountinfo /proc/$$/mountinfo && exec "$@"' - "${watched[@]}" \
        "$offload" doctor
}

servers_by_name() {
    local by_kernel="by server, for programs that leave the copy to the kernel, if the server can"
    servers_of_a_fake_table
    says "/far/nfs nfs4: by server, if the server can; this mount speaks NFS 4.2: offload probe" \
        "/far/smb cifs: $by_kernel; this mount speaks SMB 3.1.1: offload probe" \
        "/far/loose cifs: no: the kernel does not count what is written here" "cache=strict (the default)" \
        "/far/nfs41 nfs4: no: no server copies in NFS 4.1, which this mount speaks. Mount it with vers=4.2." \
        "/far/nfs3 nfs: no: no server copies in NFS 3" "/far/smb1 cifs: no: no server copies in SMB 1.0" \
        "/far/silent smb3: $by_kernel: offload probe" \
        "/far/fuse fuse.sshfs: no: this file system cannot share" "/far/other somethingelse: no: it is not known" \
        "/far/old ext3: no: this file system cannot share" "/far/layers overlay: no: it has no upper directory" \
        "/far/upper overlay: as its upper directory, which seems to lie on ext3"
    says_nothing_of /far/automount
    OFFLOAD_ENGINES=clone servers_of_a_fake_table
    says "/far/nfs nfs4: no: the engine that could do it is switched off"
    if command -v strace >/dev/null; then
        ! grep '"/far' trace || fail "it looked into one of them"
        grep -q /proc/self/mountinfo trace || fail "strace saw nothing"
    fi
}

# A file system that never answers: the opening of its place does not return.
hanging() {
    "${OFFLOAD_TEST_CC:-cc}" -shared -fPIC -o hang.so -x c - -ldl <<'END' || skip "there is no C compiler"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    int mode = va_arg(list, int);
    va_end(list);
    while (getenv("HANG_AT") && strcmp(path, getenv("HANG_AT")) == 0)
        pause();
    return ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open"))(path, flags, mode);
}
int open64(const char *, int, ...) __attribute__((alias("open")));
END
    mount_xfs || skip "XFS cannot be mounted here"
    limit=60 examined env HANG_AT="$mount" LD_PRELOAD="$scratch/hang.so" "$offload" doctor
    says "$mount xfs: it did not answer within 3 seconds" "NVMe namespaces"
}

# ---- devices ----------------------------------------------------------------------------------------------

disks() {
    mkdir -p class/scsi_device/{0:0:0:0,1:0:0:0,2:0:0:0,3:0:0:0}/device class/block/nvme9999n{1,1p1}/device
    mkdir -p class/scsi_device/0:0:0:0/device/block/sdx
    : >class/block/nvme9999n1p1/partition
    printf 'A drive of three words                  \n' >class/block/nvme9999n1/device/model
    printf '\0\0\6\2\37\10\0\0LIO-ORG one             4.0 ' >class/scsi_device/0:0:0:0/device/inquiry
    printf '\0\0\6\2\37\0\0\0QEMU    two\33[2J          4.0 ' >class/scsi_device/1:0:0:0/device/inquiry
    printf '\0\0\6' >class/scsi_device/2:0:0:0/device/inquiry
    # shellcheck disable=SC2016
    examined unshare --mount sh -c 'mount --bind class /sys/class && exec "$0" doctor' "$offload"
    says "sdx LIO-ORG one: takes part in copies (EXTENDED COPY" "1:0:0:0 QEMU two [2J: cannot copy by itself" \
        "nvme9999n1 A drive of three words: only root may ask it"
    says_nothing_of 2:0:0:0
    says_nothing_of nvme9999n1p1
}

plan 24
verdict "this machine" machine
verdict "nothing is left" leaves_nothing
verdict "no place for temporary files" without_temporary_files
verdict "a seccomp filter" filtered
verdict "no /proc" without_proc
verdict "an ordinary user" ordinary_user
verdict "bad use is one line" bad_use
verdict "a library that cannot be loaded" library_that_cannot_be_loaded
verdict "a library of another version" library_of_another_version
verdict "settings, and where they come from" settings
verdict "XFS" alone on mount_xfs "xfs: yes, by clone, kernel."
verdict "XFS without reflink" alone on mount_noreflink "xfs: no: it was made without reflink"
verdict "Btrfs" alone on mount_btrfs "btrfs: yes, by clone, kernel."
verdict "Btrfs with quota groups" alone on mount_quota "btrfs: no: the file system limits space by quota groups"
verdict "ext4" alone on mount_ext4 "ext4: no: this file system cannot share"
verdict "tmpfs" alone on mount_tmpfs "tmpfs: no: this file system cannot share"
verdict "overlay" alone on mount_overlay "overlay: as its upper directory, which seems to lie on xfs"
verdict "an engine alone" with_one_engine
verdict "a file system mounted twice" alone mounted_twice
verdict "a mount with a strange name" alone strange_name
verdict "a mount that another hides" alone hidden
verdict "servers are not asked" servers_by_name
verdict "a file system that does not answer" alone hanging
verdict "disks that copy" disks
