#!/bin/bash
# offload probe and offload doctor on mounts of servers: what they say is compared with what dd (reads and writes) and
# busybox cp (sendfile) do there under the library, and what went over the wire.
. "$(dirname "$0")/../guest.sh"

# Four times what a probe tries.
size=$((4 << 20))
offload=$build/offload

by_server="A copy would be offloaded by server."
by_server_for_some="A copy would be offloaded by server, if the program uses sendfile."
for_some=", but only for programs that leave the copying to the kernel (sendfile), not for those that read and write"
not_at_all="A copy would not be offloaded: the program's own calls would make it."

says() { # TEXT...: in the answer, however its lines are broken
    local text
    for text in "$@"; do
        tr -s ' \n' ' ' <"$scratch/said" | grep -qF -- "$text" || fail "not a word of '$text': $(cat "$scratch/said")"
    done
}

says_nothing_of() { # TEXT
    ! tr -s ' \n' ' ' <"$scratch/said" | grep -F -- "$1" || fail "it says '$1': $(cat "$scratch/said")"
}

asked() { # STATUS ARGUMENT...
    local status=0 wanted=$1
    shift
    limited "$offload" probe "$@" >"$scratch/said" 2>"$scratch/complained" || status=$?
    [ $status -eq "$wanted" ] ||
        fail "probe $* ended with $status, not $wanted: $(cat "$scratch/said" "$scratch/complained")"
}

# Names, sizes and times of change; the server may have noted that the source was read.
state() {
    find "$server_side" -printf '%p %i %y %m %U %s %T@\n' | grep -v "^$server_side " | sort
}

# An NFS client removes a file that was still open a moment after the process is gone.
leaves_nothing() {
    wait_for same_state || fail "the probe left something: $(state | diff "$scratch/before" -)"
}

same_state() {
    state | cmp -s "$scratch/before" -
}

# A source that is old enough by the server's clock, and in no cache here.
old_source() {
    make_source "$mount/source" $size
    touch -d '1 hour ago' "$mount/source"
    rm -f "$mount/copy"
    drop_caches
}

copied_by() { # FIELD COMMAND...: what the library says of its copy
    run_reported "${@:2}"
    assert_same "$mount/source" "$mount/copy"
    reported "$1"
    rm "$mount/copy"
}

by_dd() { # FIELD
    copied_by "$1" dd if="$mount/source" of="$mount/copy" bs=128k status=none
}

by_cp() { # FIELD
    copied_by "$1" busybox cp "$mount/source" "$mount/copy"
}

# ---- where the server copies ------------------------------------------------------------------------------------------

tried() { # WAY WHOM ANSWER TEXT...
    local tried="tried with the first 1.0 MiB, in a file that is gone again. The server $1."
    old_source
    state >"$scratch/before"
    moves_less_than 100000 "$mount" asked 0 "$mount/source" "$mount/copy"
    says "server yes$2: $tried" "${@:3}"
    says_nothing_of "clone no"
    says_nothing_of "kernel no"
    leaves_nothing
    [ "$(by_cp engine)" = server ] || fail "it said yes, and busybox cp copies itself"
}

# What is copied may be shared all the same: Samba and nfsd call copy_file_range(2).
shares_if_cloned() { # WAY
    [ "$1" = copies ] || {
        run_preloaded busybox cp "$mount/source" "$mount/copy"
        assert_shared "$server_side/source" "$server_side/copy"
    }
}

serves() { # clones|copies TEXT...
    tried "$1" "" "$by_server" "${@:2}"
    [ "$(by_dd engine)" = server ] || fail "it said yes, and dd copies itself"
    shares_if_cloned "$1"
}

serves_some() { # clones|copies TEXT...
    tried "$1" "$for_some" "$by_server_for_some" "${@:2}"
    [ "$(by_dd cause)" = leased ] || fail "it said that dd is not served, and it is, or for another reason"
    shares_if_cloned "$1"
}

doctor_says() { # TEXT: of the mount
    limited "$offload" doctor >"$scratch/said" 2>"$scratch/complained" || fail "doctor ended with $?"
    says "$mount $1"
}

# ---- where it does not ------------------------------------------------------------------------------------------------

refuses() { # TEXT...
    old_source
    state >"$scratch/before"
    asked 1 "$mount/source" "$mount/copy"
    says "$not_at_all" "$@"
    leaves_nothing
    # Nothing, or the steps that it took to find out.
    [ "$(by_dd offloaded)" -eq 0 ] || fail "it said no, and dd is served"
    [ "$(by_cp offloaded)" -eq 0 ] || fail "it said no, and busybox cp is served"
}

local_files() {
    local place=/export/ext4
    make_source $place/source $size
    touch -d '1 hour ago' $place/source
    asked 1 $place/source $place/copy
    says "clone no" "kernel no"
    says_nothing_of "server no"
    mount=$scratch/nfs-ext4
    asked 1 $place/source "$mount/across"
    says "server no: source and destination are on different file systems (ext4, nfs4)"
    asked 1 "$mount/source" /root/across
    says "clone no: source and destination are on different file systems (nfs4, ext4)" "kernel no, for the same reason as clone."
}

by_settings() {
    old_source
    OFFLOAD_ENGINES=clone,kernel asked 1 "$mount/source" "$mount/copy"
    says "server no: the engine that could do it is switched off"
    OFFLOAD_ENGINES=server asked 0 "$mount/source" "$mount/copy"
    says "$by_server"
}

between_exports() {
    old_source
    asked 0 "$mount/source" "$scratch/nfs-ext4/across"
    says "The server copies." "$by_server"
}

# A signal in the middle: strace stops the probe where it empties the file that it has tried with.
killed() {
    command -v strace >/dev/null || skip "strace is not installed"
    old_source
    state >"$scratch/before"
    rm -f "$trace"
    strace -qq -o "$trace" -e inject=ftruncate:signal=SIGSTOP "$offload" probe "$mount/source" "$mount/copy" \
        >"$scratch/said" 2>&1 &
    local tracer=$!
    # Its file is there a while before: a signal then would end the probe, and leave none to go on.
    wait_for is_stopped || fail "it was not stopped: $(cat "$scratch/said")"
    named_file || fail "no file was made: $(cat "$scratch/said")"
    pkill -TERM -P $tracer
    pkill -CONT -P $tracer
    wait $tracer && fail "the probe came to its end: $(cat "$scratch/said")"
    grep -q 'killed by SIGTERM' "$trace" || fail "it ended otherwise: $(tail -n 3 "$trace")"
    leaves_nothing
}

named_file() {
    [ "$(find "$server_side" -mindepth 1 -maxdepth 1 -name '.*' | wc -l)" -gt 0 ]
}

# ---- a server that is gone --------------------------------------------------------------------------------------------

gone() {
    local status=0
    stop_server nfs
    limited "$offload" probe "$mount/source" "$mount/copy" >"$scratch/said" 2>"$scratch/complained" || status=$?
    limited "$offload" doctor >"$scratch/doctor" 2>&1 || status=doctor-$?
    start_server nfs
    [ $status = 125 ] || fail "it ended with $status: $(cat "$scratch/said" "$scratch/complained")"
    grep -q "did not answer within 10 seconds; " "$scratch/complained" || fail "$(cat "$scratch/complained")"
    grep -q "NVMe namespaces" "$scratch/doctor" || fail "doctor did not come to its end"
}

passes_cache() {
    refuses "server no: the kernel does not count what is written here" "cache=strict (the default)"
    doctor_says "cifs: no: the kernel does not count what is written here"
}

plan 18
on_nfs xfs || fail "cannot mount xfs"
verdict "NFS 4.2, XFS: a clone" serves clones "on nfs4 (NFS 4.2) mounted at"
verdict "doctor" doctor_says "nfs4: by server, if the server can; this mount speaks NFS 4.2"
verdict "the settings" by_settings
verdict "a signal while it tries" killed
on_nfs ext4 || fail "cannot mount ext4"
verdict "NFS 4.2, ext4: a copy" serves copies
verdict "local files, and one of each" local_files
mount=$scratch/nfs-xfs server_side=/export/xfs
verdict "two exports of one server" between_exports
on_nfs xfs vers=4.1,nosharecache || fail "cannot mount with vers=4.1"
verdict "NFS 4.1" refuses "on nfs4 (NFS 4.1) mounted at" "since no server copies in NFS 4.1" "Mount it with vers=4.2."
verdict "doctor on NFS 4.1" doctor_says "nfs4: no: no server copies in NFS 4.1, which this mount speaks."
on_smb xfs || fail "cannot mount xfs"
verdict "SMB, XFS: a copy" serves_some copies "on cifs (SMB 3.1.1) mounted at"
verdict "doctor on SMB" doctor_says \
    "cifs: by server, for programs that leave the copy to the kernel, if the server can; this mount speaks SMB 3.1.1"
OFFLOAD_SMB_ALONE=on verdict "SMB, by the user's word for all programs" serves copies
verdict "a signal while it tries, on SMB" killed
on_smb btrfs || fail "cannot mount btrfs"
verdict "SMB, Btrfs: a clone" serves_some clones
on_smb ext4 || fail "cannot mount ext4"
verdict "SMB, ext4: a copy" serves_some copies
on_smb ext4 vers=2.0 || fail "cannot mount with vers=2.0"
verdict "SMB 2.0: a copy" serves_some copies "(SMB 2.0)"
on_smb ext4 cache=none || fail "cannot mount with cache=none"
verdict "SMB past the cache" passes_cache
mount=$scratch/nfs-xfs server_side=/export/xfs
verdict "a server that is gone" gone
