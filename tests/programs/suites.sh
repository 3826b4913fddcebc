#!/bin/bash
# Other people's tests of how they copy: the same list of passes plain and preloaded, on XFS, with every file served
# however small it is.
#
#   suites.sh                  the modules of Python's own tests that a few minutes allow
#   suites.sh --all            all of them that have to do with files and processes
#   suites.sh --coreutils DIR  the tests of cp, mv, install, dd, split, cat, tee and others, for the programs that are
#                              installed; DIR has their source, as apt-get source coreutils gives it
test_limit=7200
. "$(dirname "$0")/../fixture.sh"
need_root
limit=3000
PATH=/usr/bin:/bin:/usr/sbin:/sbin
export HOME=$scratch/home TMPDIR

modules='test_shutil test_tarfile test_fileio test_largefile'
[ "${1-}" != --all ] || modules="$modules test_os test_io test_subprocess test_file test_mmap test_tempfile test_zipfile
    test_posix test_bufio test_fcntl test_threading test_asyncio"

# ---- Python's --------------------------------------------------------------------------------------

# "name verdict" a line. Reported to be counted alone: a process that reports has one more descriptor, and test_subprocess
# looks which there are.
python_results() { # WAY MODULE
    local preload=()
    case $1 in
    ours) preload=(env LD_PRELOAD="$library" OFFLOAD_MIN_SIZE=1) ;;
    reported) preload=(env LD_PRELOAD="$library" OFFLOAD_MIN_SIZE=1 OFFLOAD_REPORT="$scratch/report") ;;
    esac
    TMPDIR=$PWD/temporary
    rm -rf temporary work
    mkdir -m 777 temporary work
    (cd work && limited "${preload[@]}" /usr/bin/python3 -W ignore -m unittest -v "test.$2") >"$scratch/$1.log" 2>&1 \
        </dev/null || true
    TMPDIR=/tmp
    tr '\r' '\n' <"$scratch/$1.log" |
        awk '/^test[A-Za-z_0-9]* \(/ { name = $1 " " $2 }
            match($0, /\.\.\. (ok|FAIL|ERROR|skipped.*|expected failure)$/) { sub(/skipped.*/, "skipped"); print name, substr($0, RSTART + 4) }' | sort
}

need_module() { # MODULE
    /usr/bin/python3 -c "import test.$1" 2>/dev/null || skip "Python's $1 is not installed (package libpython3.11-testsuite)"
}

same_passes() { # MODULE
    local turn
    need_module "$1"
    # Some of them depend on the time: what differs once must not differ again.
    for turn in 1 2 3; do
        python_results plain "$1" >"$scratch/plain.list"
        python_results ours "$1" >"$scratch/ours.list"
        [ "$(wc -l <"$scratch/plain.list")" -gt 3 ] || fail "no test of $1 ran: $(tail "$scratch/plain.log")"
        ! cmp -s "$scratch/plain.list" "$scratch/ours.list" || break
        echo "in turn $turn: $(diff "$scratch/plain.list" "$scratch/ours.list")"
        [ $turn -lt 3 ] || fail "other tests of $1 pass"
    done
    echo "$(grep -c ' ok$' "$scratch/ours.list") of $(wc -l <"$scratch/ours.list") pass either way"
}

# That the library does something meanwhile: by the module that copies most.
are_offloaded() {
    local copies
    need_module test_shutil
    python_results reported test_shutil >"$scratch/reported.list"
    copies=$(grep -c '"engine": "clone"' "$scratch/report") || fail "no copy was offloaded: $(tail "$scratch/reported.log")"
    echo "$copies copies were offloaded"
}

# ---- coreutils' ------------------------------------------------------------------------------------

# "test status" a line: 0 has passed, 77 was skipped. The programs are those that are installed.
coreutils_results() { # WAY
    local preload=() test status
    [ "$1" = plain ] || preload=(LD_PRELOAD="$library" OFFLOAD_MIN_SIZE=1 OFFLOAD_REPORT="$scratch/report")
    for test in $tests; do
        status=0
        (
            cd coreutils
            exec 9>&2
            exec "$patience" 400 env "${preload[@]}" srcdir=. abs_srcdir="$PWD" abs_top_srcdir="$PWD" \
                abs_top_builddir="$PWD" CONFIG_HEADER=config.h built_programs="$built" VERSION=9.1 PACKAGE_VERSION=9.1 \
                LOCALE_FR=none LOCALE_FR_UTF8=none SHELL=/bin/sh PREFERABLY_POSIX_SHELL=/bin/sh PERL=perl EGREP='grep -E' \
                SED=sed AWK=awk MAKE=make PATH="$PWD/src:$PATH" /bin/bash "$test"
        ) >"$scratch/$1.log" 2>&1 </dev/null || status=$?
        echo "$test $status"
    done
}

same_coreutils() { # DIRECTORY
    tests=$(cd "$1" && for test in tests/{cp,mv,dd,split,install}/*.sh tests/misc/{cat,tee,head,tac,truncate,csplit}*.sh; do
        [ ! -e "$test" ] || echo "$test"
    done)
    mkdir coreutils coreutils/src
    cp -a "$1/tests" "$1/build-aux" "$1/init.cfg" coreutils 2>/dev/null || cp -a "$1/tests" coreutils
    : >coreutils/config.h
    built=$(dpkg -L coreutils | sed -n 's|^\(/usr\)*/s*bin/||p' | tr '\n' ' ')
    # Some of them go on as another user.
    : >"$scratch/report"
    chmod 666 "$scratch/report"
    coreutils_results plain >"$scratch/plain.list"
    coreutils_results ours >"$scratch/ours.list"
    [ "$(grep -c ' 0$' "$scratch/plain.list")" -gt 50 ] ||
        fail "they did not run: $(tail "$scratch/plain.log" "$scratch/plain.list")"
    diff "$scratch/plain.list" "$scratch/ours.list" || fail "other tests pass"
    echo "$(grep -c ' 0$' "$scratch/ours.list") pass either way, $(grep -c ' 77$' "$scratch/ours.list") are skipped," \
        "$(grep -vc ' 0$\| 77$' "$scratch/ours.list") fail;" \
        "$(grep -c '"engine": "clone"' "$scratch/report" 2>/dev/null) copies were offloaded"
}

mkdir -p "$HOME"
if [ "${1-}" = --coreutils ]; then
    plan 1
    mount_xfs 4G || skip_all "XFS cannot be mounted here"
    cd "$mount" || exit 1
    verdict "the tests of coreutils" same_coreutils "$(readlink -f "$2")"
    exit
fi

on_xfs() {
    for module in $modules; do
        verdict "Python's $module" same_passes "$module"
    done
    verdict "copies of Python's test_shutil are offloaded" are_offloaded
}

# shellcheck disable=SC2086 # a list of words
count=$(($(echo $modules | wc -w) + 1))
plan "$count"
on_each xfs "$count" on_xfs
