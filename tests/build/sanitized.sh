#!/bin/bash
# The unit tests once more, the library's code and theirs built with AddressSanitizer and UndefinedBehaviorSanitizer.
. "$(dirname "$0")/../fixture.sh"
need autoconf automake libtoolize

[ -x "$build/tests/unit/unit" ] || skip_all "Criterion was not there at configure time: install libcriterion-dev"

tree=$scratch/tree
flags='-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer'

build_them() {
    make -s -C "$build" distdir distdir="$tree" && cd "$tree" &&
        ./configure -q CC="${OFFLOAD_TEST_CC:-cc}" CFLAGS="$flags" && make -s -j "$(nproc)" tests/unit/unit
}

builds() {
    build_them >"$scratch/build.log" 2>&1 || fail "$(tail -n 20 "$scratch/build.log")"
}

# Memory that has been given back is kept for a while by default, which one test takes for a leak.
finds_nothing() {
    [ -x "$tree/tests/unit/unit" ] || fail "it was not built"
    ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=0:thread_local_quarantine_size_kb=0 \
        "$tree/tests/unit/unit" --tap --always-succeed >"$scratch/tap" 2>"$scratch/said" ||
        fail "it ended with $?: $(tail -n 20 "$scratch/said")"
    grep -q '^ok ' "$scratch/tap" || fail "no test was run: $(cat "$scratch/tap")"
    ! grep -A 4 '^not ok' "$scratch/tap" || fail "$(head -n 40 "$scratch/said")"
}

plan 2
verdict "they are built" builds
# Where none can be mounted, the tests of a session use the place of temporary files, and say so if it shares no extents.
export TMPDIR=$scratch
if [ "$(id -u)" -eq 0 ] && mount_xfs; then
    TMPDIR=$mount
fi
verdict "they find nothing" finds_nothing
