#!/bin/bash
# Random programs do on an NFS mount with the library what they do without (tests/transparency/run tells more).
. "$(dirname "$0")/../guest.sh"

differ=$build/tests/transparency

no_difference() {
    mkdir -p "$mount/programs"
    OFFLOAD_REPORT=$scratch/log "$differ/differ" --actor "$differ/actor" --lib "$library" --seen --seeds "$1" \
        --dir "$mount/programs" --jobs 1
    grep -q '"engine": "server"' "$scratch/log" || fail "the server copied nothing, so nothing was tried"
}

plan 2
on_nfs xfs || fail "cannot mount xfs"
# The first has a program that copies to a file with the set-group-ID bit.
verdict "no program can tell, on xfs" no_difference 5060-5090
on_nfs ext4 || fail "cannot mount ext4"
verdict "no program can tell, on ext4" no_difference 7000-7030
