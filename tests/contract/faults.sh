#!/bin/bash
# Each system call that the library makes fails once, at each place where it makes it, and once from there on: the
# program sees, prints and leaves what it would have without the library. And what is left by one that is killed.
test_limit=3600
. "$(dirname "$0")/../fixture.sh"
need_root
need strace python3 perl busybox

python_copy='
import shutil
with open("../source", "rb") as source, open("copy", "wb") as copy:
    shutil.copyfileobj(source, copy, 1 << 18)
'
python_half='
import os
source = os.open("../source", os.O_RDONLY)
copy = os.open("copy", os.O_RDWR | os.O_CREAT, 0o644)
for turn in range(10):
    os.write(copy, os.read(source, 262144))
os.write(copy, b"a marker")
'
# shellcheck disable=SC2016 # Perl's variables
perl_copy='open S, "<", "../source"; open C, ">", "copy"; while ($n = sysread S, $b, 262144) { syswrite C, $b } defined $n or die; close C or die'

programs='dd dd-half busybox-cp busybox-dd python python-half perl'
set_command() { # PROGRAM
    case $1 in
    dd) command=(dd if=../source of=copy bs=256k status=noxfer) ;;
    dd-half) command=(dd if=../source of=copy bs=256k count=10 status=noxfer) ;;
    busybox-cp) command=(busybox cp ../source copy) ;;
    busybox-dd) command=(busybox dd if=../source of=copy bs=256k) ;;
    python) command=(/usr/bin/python3 -S -c "$python_copy") ;;
    python-half) command=(/usr/bin/python3 -S -c "$python_half") ;;
    perl) command=(perl -e "$perl_copy") ;;
    esac
    # The rate that it prints is never the same.
    [ "$1" != busybox-dd ] || command=(sh -c 'exec "$@" 2>/dev/null' - "${command[@]}")
}

# ---- which calls are the library's -----------------------------------------------------------------

# The places, counted from 1 among all calls of that name, that lie between the copy's opening and the last call that
# names it: there the program itself makes none (which the plain run shows).
places() { # CALL
    awk -v call="$1" '
        { sub(/^[0-9]+ +/, "") }
        /^openat\(.*"copy", O_(WRONLY|RDWR)/ { open = 1 }
        index($0, call "(") == 1 { count++; if (open) held = held " " count }
        /\/copy[>"]/ && open { told = told held; held = "" }
        END { print told }' "$trace"
}

traced() { # WAY...
    rm -rf traced
    mkdir traced
    (cd traced && "$@" "${command[@]}") >/dev/null 2>&1 </dev/null
}

# The first two, one in the middle and the last, of what may be hundreds.
some_of() { # PLACE...
    local places=("$@") n=$#
    [ $n -gt 0 ] || return 0
    printf '%s\n' "${places[0]}" "${places[n > 1]}" "${places[n / 2]}" "${places[n - 1]}" | sort -nu
}

# ---- a call fails ----------------------------------------------------------------------------------

# As `both`, but the plain run is made once for all.
as_if_nothing_failed() { # INJECTION
    local status=0
    rm -rf ours
    mkdir -m 777 ours
    (
        cd ours
        exec "$patience" "$limit" strace -f -qq -o "$scratch/injected" -e trace="${1%%:*}" -e "inject=$1" \
            -E LD_PRELOAD="$library" "${command[@]}"
    ) >"$scratch/ours.out" 2>"$scratch/ours.err" </dev/null || status=$?
    echo $status >"$scratch/ours.status"
    tree ours >"$scratch/ours.tree"
    (compare_ways "$PWD" "$1: ${command[*]}")
    runs=$((runs + 1))
    ! grep -q INJECTED "$scratch/injected" || hits=$((hits + 1))
}

# A file that could not be cut back is longer, but has the source's bytes there.
as_if_nothing_failed_or_longer() { # INJECTION
    as_if_nothing_failed "$1" >"$scratch/longer.log" 2>&1 || {
        size=$(stat -c %s plain/copy)
        cmp -n "$size" plain/copy ours/copy
        cmp -i "$size" ours/copy source 2>&1 | grep -v 'EOF on' && fail "the rest is not the source's"
        runs=$((runs + 1))
        hits=$((hits + 1))
    }
}

fails() { # PROGRAM CALL RESULT...
    local program=$1 call=$2 result place check=as_if_nothing_failed
    shift 2
    set_command "$program"
    # Without a look at it, or a cut, a file stays as it is.
    case $call in ftruncate | fstat) check=as_if_nothing_failed_or_longer ;; esac
    runs=0 hits=0
    traced trace_plain || fail "the plain run fails: ${command[*]}"
    [ -z "$(places "$call")" ] || skip "$program makes this call itself"
    traced trace_preloaded || fail "the preloaded run fails: ${command[*]}"
    # shellcheck disable=SC2046 # a list of numbers
    set -- "$(some_of $(places "$call"))" "$@"
    [ -n "$1" ] || skip "no such call is made for $program"
    rm -rf plain
    run_way plain "${command[@]}"
    for place in $1; do
        for result in "${@:2}"; do
            "$check" "$call:$result:when=$place"
            "$check" "$call:$result:when=$place+"
        done
    done
    [ "$hits" -gt 0 ] || fail "no call was made to fail: the test itself is wrong"
    echo "$runs runs, in $hits of which a call failed"
}

each_call() { # PROGRAM
    # A clone that fails in each way, and one that says that it was made and was not.
    verdict "$1: a clone fails" fails "$1" ioctl error=EIO error=ENOSPC error=EINTR error=EAGAIN error=EPERM \
        error=ENOSYS error=EDQUOT retval=0
    for call in fstat fstatfs pread64 madvise fcntl lseek; do
        verdict "$1: $call fails" fails "$1" $call error=EIO
    done
    verdict "$1: mmap fails" fails "$1" mmap error=ENOMEM
    verdict "$1: prlimit64 fails" fails "$1" prlimit64 error=EPERM
    verdict "$1: utimensat fails" fails "$1" utimensat error=EPERM
    verdict "$1: ftruncate fails" fails "$1" ftruncate error=EIO
    verdict "$1: copy_file_range fails" fails "$1" copy_file_range error=EIO
}

# ---- the program's own calls fail ------------------------------------------------------------------

# A source with a bad block: the program's own read fails, at the same place with the library and without.
bad_source() { # PROGRAM
    local way
    set_command "$1"
    rm -rf plain ours
    for way in plain ours; do
        run_injected "$way" || true
    done
    compare_ways "$PWD" "${command[*]}"
    [ "$(cat "$scratch/plain.status")" -ne 0 ] || fail "the test itself is wrong: no read failed"
}

run_injected() { # WAY
    local status=0 preload=()
    [ "$1" = plain ] || preload=(-E LD_PRELOAD="$library")
    mkdir -m 777 "$1"
    (
        cd "$1"
        exec "$patience" "$limit" strace -f -qq -P ../source -o "$scratch/injected" \
            -e inject=read:error=EIO:when=20+ "${preload[@]}" "${command[@]}"
    ) >"$scratch/$1.out" 2>"$scratch/$1.err" </dev/null || status=$?
    echo $status >"$scratch/$1.status"
    tree "$1" >"$scratch/$1.tree"
}

closed() { # PROGRAM DESCRIPTORS
    set_command "$1"
    # shellcheck disable=SC2016 # the other shell's
    both sh -c "exec \"\$@\" $2" - "${command[@]}"
}

# The least address space that it runs in, plain, and some more for the library itself. Where its memory lies is not left
# to chance: what fits into so little varies with that by a MiB, plain.
little_memory() { # PROGRAM
    local least=1024 most=262144 middle more
    set_command "$1"
    mkdir -p tried
    while [ $((most - least)) -gt 512 ]; do
        middle=$(((least + most) / 2))
        rm -f tried/copy
        if (cd tried && ulimit -v $middle && exec setarch -R "${command[@]}") >/dev/null 2>&1 </dev/null; then
            most=$middle
        else
            least=$middle
        fi
    done
    for more in 1000 1500 2000 4000 8000; do
        # shellcheck disable=SC2016 # the other shell's
        both sh -c 'ulimit -v $1; shift; exec setarch -R "$@"' - $((most + more)) "${command[@]}"
        expect_status 0
    done
    echo "needs $most KiB"
}

small_stack() { # PROGRAM
    set_command "$1"
    # shellcheck disable=SC2016 # the other shell's
    both sh -c 'ulimit -s 128; exec "$@"' - "${command[@]}"
    expect_status 0
}

# ---- the program is killed -------------------------------------------------------------------------

# At whatever moment: each byte that is there is the source's.
killed() { # PROGRAM
    local turn size cut=0
    set_command "$1"
    [ "$1" != dd ] || command=(dd if=../source of=copy bs=512 status=none)
    for ((turn = 0; turn < 40; turn++)); do
        rm -rf ours
        mkdir ours
        (
            cd ours
            exec timeout -s KILL "0.$(printf %03d $((RANDOM % 60 + 4)))" env LD_PRELOAD="$library" "${command[@]}"
        ) >/dev/null 2>&1 </dev/null || true
        [ -e ours/copy ] || continue
        size=$(stat -c %s ours/copy)
        [ "$size" -eq 0 ] || cmp -n "$size" source ours/copy || fail "bytes that nobody wrote"
        [ "$size" -le "$(stat -c %s source)" ] || fail "longer than the source"
        cut=$((cut + (size < 8400953)))
    done
    echo "$cut of 40 were stopped before the end"
}

on_xfs() {
    make_source source
    for program in $programs; do
        each_call "$program"
    done
    for program in dd busybox-dd python perl; do
        verdict "$program: the source cannot be read" bad_source "$program"
    done
    for program in dd busybox-cp python perl; do
        verdict "$program without standard input" closed "$program" '<&-'
        verdict "$program without standard output" closed "$program" '>&-'
        verdict "$program without any standard descriptor" closed "$program" '<&- >&- 2>&-'
        verdict "$program with little address space" little_memory "$program"
        verdict "$program with a small stack" small_stack "$program"
        verdict "$program is killed" killed "$program"
    done
}

plan $((7 * 12 + 4 * 7))
on_each xfs $((7 * 12 + 4 * 7)) on_xfs
