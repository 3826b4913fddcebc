#!/bin/bash
# One byte changed in one step of thousands, in every kind of memory and at every place of a buffer and its pages, is in
# the copy: a write that was dropped without proof would lack it.
. "$(dirname "$0")/../fixture.sh"
need_root
need jq nm
sees_threads || skip_all "built with this libc, the library has no lazy buffers"

changes=$build/tests/lazy/changes
export OFFLOAD_BUFFERS=lazy

changed() { # KIND OFFSET
    local place
    for place in $("$changes" --places); do
        rm -f copy "$scratch/report"
        run_preloaded env OFFLOAD_REPORT="$scratch/report" "$changes" copy "$1" "$place" "$2" source copy
        # With this offset the buffer has no such part.
        [ -e copy ] || continue
        run_plain "$changes" check "$place" "$2" source copy
        case $1 in
        *shared* | memory_file_* | data | read_only_*) ;;
        *)
            # The test is of buffers that were lazy up to the change.
            jq -e '.reads_elided > 1000' "$scratch/report" >/dev/null ||
                fail "$place: the buffers were not lazy: $(cat "$scratch/report")" ;;
        esac
    done
}

reflink_filesystem() {
    local kind offset
    make_source source 41000123
    for kind in $("$changes" --kinds); do
        verdict "a byte changed in $kind on $fs" changed "$kind" 33
    done
    for offset in 0 1 16 4095; do
        verdict "a byte changed in a buffer $offset behind a page on $fs" changed private_memory "$offset"
    done
}

count=$(($("$changes" --kinds | wc -l) + 4))
plan "$count"
on_each xfs "$count" reflink_filesystem
