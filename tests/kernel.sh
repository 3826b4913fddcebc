#!/bin/bash
# The claims about the kernel that comparing rests on (docs/decisions/023), and lazy buffers (010, 025): each program of tests/kernel tries one and exits 1 if it is
# false here, 77 if this kernel or this user cannot have userfaultfd.
. "$(dirname "$0")/fixture.sh"

claim() { # NAME
    local status=0
    "${OFFLOAD_TEST_CC:-cc}" -O2 -w -pthread -o "$scratch/$1" "$source_tree/tests/kernel/$1.c" ||
        fail "it does not compile"
    (cd "$place" && limited "$scratch/$1") >"$scratch/said" 2>&1 || status=$?
    [ $status -ne 77 ] || skip "$(tail -n 1 "$scratch/said")"
    [ $status -eq 0 ] || fail "status $status: $(grep -v '^ok' "$scratch/said" | tail -n 20)"
}

command -v "${OFFLOAD_TEST_CC:-cc}" >/dev/null || skip_all "there is no compiler"
# One of them clones a file: where this user may mount, they run on XFS.
place=$scratch
if [ "$(id -u)" -eq 0 ] && mount_xfs >"$scratch/mount.log" 2>&1; then
    place=$mount
fi
claims=("$source_tree"/tests/kernel/*.c)
plan ${#claims[@]}
for program in "${claims[@]}"; do
    name=$(basename "$program" .c)
    verdict "$name" claim "$name"
done
