#!/bin/bash
# What a hooked call and a start cost in instructions, more than plain: counted (not timed) by callgrind; the calls from
# the difference of a long and a short run, which is a thousand of each. None may cost more than instructions.ceiling
# says. A change that makes a hot path longer fails here: it gets shorter again, or raises the ceiling and says why. A
# shorter path lowers it.
#
#   instructions.sh --print >instructions.ceiling    writes the ceilings as they are measured now
#
# How many instructions a function has is the compiler's choice. Where another compiler, other options or another
# processor than those of the ceilings built the library, the wider bounds below hold, which are what is promised.
. "$(dirname "$0")/../fixture.sh"

program=$build/tests/tools/calls
ceilings=$source_tree/tests/cost/instructions.ceiling
bound=60 # of a hooked call
# A program that changes bytes in place makes the calls of a copy: each write is looked up among the reads, and
# now and then compared, ever more seldom.
bound_in_place=85
# A read and a write of a copy of 4 KiB: left out, which takes comparing and asking the kernel how both files are; or,
# where nothing can be shared, looked up and made.
bound_left_out=2500
bound_made=300
bound_start=100000
# Where memory lies, by the length of the tree's own name too, makes a difference of half an instruction a call (memcpy's ways);
# and the linker's part of a start depends on the length of names.
leeway=900
start_leeway=2000

# The library looks through the environment, so that is the same each time.
instructions() { # PRELOAD COMMAND...
    local preload=$1 counted
    shift
    counted=$(limited env -i PATH=/usr/bin:/bin OFFLOAD_CONFIG=none ${preload:+LD_PRELOAD="$preload"} \
        "$valgrind" --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 >/dev/null | sed -n 's/.*Collected : *//p')
    [ -n "$counted" ] || fail "valgrind counted nothing of: $*"
    echo "$counted"
}

# Of a thousand turns.
turns() { # NAME FILE [PRELOAD]
    local short long
    short=$(instructions "${3-}" "$program" "$1" 200 "$2")
    long=$(instructions "${3-}" "$program" "$1" 1200 "$2")
    echo $((long - short))
}

# Of a thousand turns, more than plain.
more() { # NAME FILE
    local plain ours
    plain=$(turns "$1" "$2")
    ours=$(turns "$1" "$2" "$library")
    echo $((ours - plain))
}

more_in_a_pair() { # FILE SHARED
    local common copied count
    count=$(more copy-a-block "$1")
    # The copy that was counted last is witness that the calls were left out, or made.
    read -r common _ copied < <("$extents" "$1" "$1.written")
    [ $((common == copied)) = "$2" ] || fail "$common of $copied bytes are shared"
    echo "$count"
}

more_at_start() {
    local empty ours
    empty=$(instructions "$scratch/empty.so" true)
    ours=$(instructions "$library" true)
    echo $((ours - empty))
}

# ---- ceilings ------------------------------------------------------------------------------------------

# As far as it decides how many instructions there are. libc compares by other instructions where there is AVX2.
built_by() {
    local compiler vectors=
    ! grep -qw avx2 /proc/cpuinfo || vectors=', AVX2'
    compiler=$(readelf -p .comment "$build/.libs/liboffload.so" | sed -n 's/.*\(GCC\|clang\).* \([0-9]*\)\..*/\1 \2/p')
    echo "$(uname -m)$vectors, $(getconf GNU_LIBC_VERSION), ${compiler%%$'\n'*}, $(sed -n 's/^CFLAGS = //p' "$build/Makefile")"
}

ceiling_of() { # NAME
    [ "$(sed -n 's/^# built by: //p' "$ceilings")" != "$(built_by)" ] ||
        awk -v name="$1" '$1 == name { print $2 }' "$ceilings"
}

within() { # NAME COUNT BOUND LEEWAY
    local ceiling most
    ceiling=$(ceiling_of "$1")
    most=$((ceiling ? ceiling + $4 : $3))
    echo "$2 instructions more than plain; ${ceiling:+the ceiling is $ceiling, }the bound is $3"
    [ "$2" -le $most ] || fail "$1 has become longer: $2 instructions, where the ceiling is ${ceiling:-$3}." \
        "Shorten it, or raise its ceiling (tests/cost/instructions.sh --print) and say why."
    [ "$2" -le "$3" ] || fail "$1 costs more than is promised: $2 instructions, where the bound is $3"
    [ -z "$ceiling" ] || [ "$2" -ge $((ceiling - 2 * $4)) ] ||
        echo "it has become shorter: lower the ceiling (tests/cost/instructions.sh --print)"
}

print_ceilings() {
    local name
    if [ -z "$on_xfs" ] || [ -z "$on_ext4" ]; then
        fail "XFS or ext4 cannot be mounted here, and all are to be counted"
    fi
    echo "# Instructions more than plain: of a thousand turns of tests/tools/calls, of a thousand pairs of calls of a copy, of a start."
    echo "# Written by tests/cost/instructions.sh --print"
    echo "# built by: $(built_by)"
    while read -r name _; do
        echo "$name $(more "$name" "$scratch/file")"
    done <"$scratch/turns"
    echo "pair-left-out $(more_in_a_pair "$on_xfs" 1)"
    echo "pair-made $(more_in_a_pair "$on_ext4" 0)"
    echo "start $(more_at_start)"
}

# ---- verdicts ------------------------------------------------------------------------------------------

calls() { # NAME HOOKED-CALLS
    local most=$bound count
    [ "$1" != change-in-place ] || most=$bound_in_place
    count=$(more "$1" "$scratch/file")
    within "$1" "$count" $((most * $2 * 1000)) $leeway
}

pair() { # NAME FILE SHARED BOUND
    local count
    [ -n "$2" ] || skip "this file system cannot be mounted here"
    count=$(more_in_a_pair "$2" "$3")
    within "$1" "$count" $(($4 * 1000)) $leeway
}

start() {
    local count
    count=$(more_at_start)
    within start "$count" $bound_start $start_leeway
}

print_verdicts() {
    local name hooked
    plan $(($(wc -l <"$scratch/turns") + 3))
    while read -r name hooked; do
        verdict "instructions of $name" calls "$name" "$hooked"
    done <"$scratch/turns"
    verdict "instructions of a pair of calls that is left out" pair pair-left-out "$on_xfs" 1 $bound_left_out
    verdict "instructions of a pair that cannot be left out" pair pair-made "$on_ext4" 0 $bound_made
    verdict "instructions of a start" start
}

# ---- what it takes -------------------------------------------------------------------------------------

compile_empty() {
    printf 'void offload_test_empty(void);\nvoid offload_test_empty(void)\n{\n}\n' >"$scratch/empty.c"
    # shellcheck disable=SC2086 # a compiler and its options
    ${OFFLOAD_TEST_CC:-cc} -shared -fPIC -O2 -o "$scratch/empty.so" "$scratch/empty.c"
}

# Sets `file`, to nothing where the file system cannot be had.
file_on() { # SETUP
    file=
    if [ "$(id -u)" -ne 0 ] || ! "$1" >"$scratch/mount.log" 2>&1; then
        return
    fi
    file=$mount/file
    cp "$scratch/file" "$file"
    sync "$file"
}

need valgrind readelf
valgrind=$(command -v valgrind)
compile_empty || skip_all "there is no compiler"
make_source "$scratch/file" 8388608
"$program" --list >"$scratch/turns"
file_on mount_xfs
on_xfs=$file
file_on mount_ext4
on_ext4=$file
case ${1-} in
--print) print_ceilings ;;
*) print_verdicts ;;
esac
