#!/bin/bash
# The guest lab: every test of tests/lab/tests, in guests with NFS and SMB servers. See docs/lab.md.
# shellcheck disable=SC2034 # for the fixture: longer than the lab's own limit
test_limit=4200
. "$(dirname "$0")/fixture.sh"
need qemu-system-x86_64 cpio setpriv

# To fetch packages is no part of a test, and would take of its time.
image=$("$source_tree/tests/lab/image" --print 2>"$scratch/reason") || skip_all "$(cat "$scratch/reason")"
[ -d "$image" ] || skip_all "the guest has not been made: scripts/install-packages lab"

# What failed is told by its verdict.
OFFLOAD_TEST_BUILD=$build OFFLOAD_TEST_SOURCE=$source_tree "$source_tree/tests/lab/run" || [ $? -eq 1 ]
