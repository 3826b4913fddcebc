#!/bin/bash
# Other people's tests of how they copy: the same list of passes plain and preloaded, on XFS, with every file served
# however small it is.
#
#   suites.sh [--all] [--coreutils DIR] [--table]
#
#     --all        all the modules of Python's own tests that have to do with files and processes, not only those that a
#                  few minutes allow
#     --coreutils  the tests of cp, mv, install, dd, split, cat, tee and others, for the programs that are installed; DIR
#                  has their source, as apt-get source coreutils gives it. More of them run where it was configured and
#                  has src/getlimits. Python's run beside them only with --all
#     --table      writes docs/suites.md anew, of both; needs the other two
test_limit=10800
. "$(dirname "$0")/../fixture.sh"
need_root
limit=3000
PATH=/usr/bin:/bin:/usr/sbin:/sbin
export HOME=$scratch/home TMPDIR

few_modules='test_shutil test_tarfile test_fileio test_largefile'
all_modules="$few_modules test_os test_io test_subprocess test_file test_mmap test_tempfile test_zipfile
    test_posix test_bufio test_fcntl test_threading test_asyncio"
# What coreutils' own tests need root for is skipped by others, and much else by root: they run as both.
users='root nobody'
programs='cp mv install dd split cat tee head tac truncate csplit'
modules=$few_modules all=no source='' table=no
while [ $# -gt 0 ]; do
    case $1 in
    --all) all=yes modules=$all_modules ;;
    --coreutils) source=$(readlink -f "$2") && shift ;;
    --table) table=yes ;;
    esac
    shift
done
[ $all = yes ] || [ -z "$source" ] || modules=''
[ $table = no ] || { [ $all = yes ] && [ -n "$source" ]; } || {
    echo "--table needs --all and --coreutils DIR" >&2
    exit 2
}

# ---- one list of verdicts, and the other -----------------------------------------------------------

# Some tests depend on the time: what differs once must not differ again.
same_lists() { # WHOSE WHAT FUNCTION ARGUMENTS...: FUNCTION WAY ARGUMENTS... prints "name TAB verdict" a line
    local whose=$1 what=$2 results=$3 turn
    shift 3
    for turn in 1 2 3; do
        "$results" plain "$@" >"$scratch/plain.list"
        "$results" ours "$@" >"$scratch/ours.list"
        ! cmp -s "$scratch/plain.list" "$scratch/ours.list" || break
        echo "in run $turn: $(diff "$scratch/plain.list" "$scratch/ours.list")"
        diff --unchanged-line-format= --old-line-format="- $what, run $turn, plain: %L" \
            --new-line-format="- $what, run $turn, preloaded: %L" "$scratch/plain.list" "$scratch/ours.list" \
            >>"$scratch/differed" || true
    done
    note_counts "$whose" "$what" "$turn"
    cmp -s "$scratch/plain.list" "$scratch/ours.list" || fail "other tests of $what pass"
}

note_counts() { # WHOSE WHAT RUNS
    local either=$scratch/either.list tests pass skipped differ
    comm -12 "$scratch/plain.list" "$scratch/ours.list" >"$either"
    tests=$(wc -l <"$scratch/plain.list")
    pass=$(grep -c $'\tok$' "$either") || true
    skipped=$(grep -c $'\tskipped$' "$either") || true
    differ=$(diff "$scratch/plain.list" "$scratch/ours.list" | sed -n 's/^[<>] //p' | cut -f 1 | sort -u | wc -l)
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$tests" "$pass" "$skipped" \
        $(($(wc -l <"$either") - pass - skipped)) "$differ" "$3" >>"$scratch/rows"
    echo "$pass of $tests pass either way, $skipped are skipped"
    grep -v $'\tok$\|\tskipped$' "$either" || true
}

# ---- Python's --------------------------------------------------------------------------------------

# Reported to be counted alone: a process that reports has one more descriptor, and test_subprocess looks which there are.
python_results() { # WAY MODULE
    local preload=()
    case $1 in
    ours) preload=(env LD_PRELOAD="$library" OFFLOAD_MIN_SIZE=1) ;;
    reported) preload=(env LD_PRELOAD="$library" OFFLOAD_MIN_SIZE=1 OFFLOAD_REPORT="$scratch/report") ;;
    esac
    TMPDIR=$PWD/temporary
    rm -rf temporary work verdicts
    mkdir -m 777 temporary work
    (cd work && limited "${preload[@]}" /usr/bin/python3 -W ignore "$source_tree/tests/programs/verdicts.py" \
        "test.$2" ../verdicts) >"$scratch/$1.log" 2>&1 </dev/null || true
    TMPDIR=/tmp
    cat verdicts || true
}

need_module() { # MODULE
    /usr/bin/python3 -c "import test.$1" >/dev/null 2>&1 || skip "Python's $1 is not installed (package libpython3.11-testsuite)"
}

same_passes() { # MODULE
    need_module "$1"
    same_lists "Python's, as root" "$1" python_results "$1"
    [ "$(wc -l <"$scratch/plain.list")" -gt 3 ] || fail "no test of $1 ran: $(tail "$scratch/plain.log")"
}

# That the library does something meanwhile: by the module that copies most.
are_offloaded() {
    local copies
    need_module test_shutil
    python_results reported test_shutil >"$scratch/reported.list"
    copies=$(grep -c '"engine": "clone"' "$scratch/report") || fail "no copy was offloaded: $(tail "$scratch/reported.log")"
    echo "$copies" >"$scratch/python.copies"
    echo "$copies copies were offloaded"
}

# ---- coreutils' ------------------------------------------------------------------------------------

tests_of() { # PROGRAM
    (cd coreutils && ls tests/"$1"/*.sh tests/"$1"/*.pl tests/misc/"$1".* tests/misc/"$1"-* 2>/dev/null) || true
}

# The programs are those that are installed.
coreutils_results() { # WAY USER PROGRAM
    local preload=() as=() test status
    [ "$1" = plain ] || preload=(LD_PRELOAD="$library" OFFLOAD_MIN_SIZE=1 OFFLOAD_REPORT="$scratch/report")
    [ "$2" = root ] || as=(setpriv --reuid "$2" --regid "$(id -g "$2")" --clear-groups)
    : >"$scratch/$1.log"
    for test in $(tests_of "$3"); do
        status=0
        run_coreutils_test "$test" >>"$scratch/$1.log" 2>&1 </dev/null || status=$?
        case $status in
        0) printf '%s\tok\n' "$test" ;;
        77) printf '%s\tskipped\n' "$test" ;;
        *) printf '%s\tfailed (%s)\n' "$test" "$status" ;;
        esac
    done | sort
}

run_coreutils_test() { # TEST, in the way that coreutils_results says
    local shell=(/bin/bash)
    [ "$1" = "${1%.pl}" ] || shell=(perl -w -I"$PWD/coreutils/tests" -MCuSkip -MCoreutils "-MCuTmpdir qw($1)")
    (
        cd coreutils
        exec 9>&2
        exec timeout -k 5 400 "${as[@]}" env "${preload[@]}" srcdir=. abs_srcdir="$PWD" abs_top_srcdir="$PWD" \
            abs_top_builddir="$PWD" CONFIG_HEADER="$PWD/config.h" built_programs="$built" VERSION="$version" \
            PACKAGE_VERSION="$version" LOCALE_FR=none LOCALE_FR_UTF8=none SHELL=/bin/sh \
            PREFERABLY_POSIX_SHELL=/bin/sh PERL=perl EGREP='grep -E' SED=sed AWK=awk MAKE=make CC=gcc \
            PATH="$PWD/src:$PATH" "${shell[@]}" "$1"
    )
}

prepare_coreutils() {
    mkdir coreutils coreutils/src
    cp -a "$source/tests" "$source/build-aux" "$source/init.cfg" coreutils
    cp "$source/lib/config.h" coreutils/config.h 2>/dev/null || : >coreutils/config.h
    cp "$source/src/getlimits" coreutils/src 2>/dev/null || true
    # Which is what they call the program that is installed as install.
    ln -s /usr/bin/install coreutils/src/ginstall
    version=$(cp --version | sed -n '1s/.* //p')
    built=$(dpkg -L coreutils | sed -n 's|^\(/usr\)*/s*bin/||p' | tr '\n' ' ')ginstall
    : >"$scratch/report"
    # Others write there too.
    find coreutils -type d -exec chmod 777 {} +
    chmod 666 "$scratch/report"
}

same_coreutils() { # USER PROGRAM
    same_lists "coreutils', as $1" "$2" coreutils_results "$1" "$2"
    grep -q $'\tok$' "$scratch/plain.list" || fail "none of them passes: $(tail "$scratch/plain.log")"
}

coreutils_are_offloaded() {
    local copies
    copies=$(grep -c '"engine": "clone"' "$scratch/report") || fail "no copy was offloaded"
    echo "$copies" >"$scratch/coreutils.copies"
    echo "$copies copies were offloaded"
}

# ---- the table -------------------------------------------------------------------------------------

print_table() {
    cat <<END
# Other people's tests, plain and with the library

Made by \`bash tests/programs/suites.sh --all --coreutils DIR --table\`, which writes this file. DIR is the source of coreutils
(\`apt-get source coreutils\`) after \`./configure && make\`, of which only lib/config.h and src/getlimits are used: the programs are the installed ones. Python's tests are in the package libpython3.11-testsuite.
Each module of Python's tests, and each test of coreutils, is run without the library and with it, on XFS with reflink on a loop device, with every
file served however small it is (\`OFFLOAD_MIN_SIZE=1\`). The lists of verdicts must then be the same, test for test.

A test *differs* whose verdict is not the same plain and preloaded. Some depend on the time and not on the library, so a list with a
difference is made again, both ways, and what differs must not do so in each of three runs; *runs* says how many there were. The other columns
are those of the last run. Root skips what asks for another user, and the other way round. What fails either way does so on this machine without the library.

$(versions)

Copies that were offloaded meanwhile: $(cat "$scratch/python.copies") in Python's test_shutil (once more, with a report), $(cat "$scratch/coreutils.copies") in the tests of coreutils.

| whose tests | module or program | tests | pass either way | skipped | fail either way | differ | runs |
|---|---|---|---|---|---|---|---|
END
    awk -F '\t' '{ print "| " $1 " | " $2 " | " $3 " | " $4 " | " $5 " | " $6 " | " $7 " | " $8 " |" }' "$scratch/rows"
    [ ! -s "$scratch/differed" ] || printf '\nWhat differed in some run:\n\n%s\n' "$(cat "$scratch/differed")"
}

versions() {
    echo "$(/usr/bin/python3 --version), coreutils $version, Linux $(uname -r | sed 's/-.*//'), the library of commit" \
        "$(git -C "$source_tree" log -1 --format=%h -- src configure.ac Makefile.am)$(
            git -C "$source_tree" diff --quiet HEAD -- src configure.ac Makefile.am || echo ' with changes'
        )."
}

table_is_of_this_list() {
    local table=$source_tree/docs/suites.md
    # shellcheck disable=SC2086 # lists of words
    printf '%s\n' $all_modules $programs $programs | sort >"$scratch/names"
    sed -n '/^|---/,$ s/^| [^|]* | \([^|]*\) | .*/\1/p' "$table" | sort >"$scratch/told"
    diff "$scratch/names" "$scratch/told" || fail "docs/suites.md is of other tests"
}

# ---- all of them -----------------------------------------------------------------------------------

on_xfs() {
    local module program user
    if [ -n "$source" ]; then
        prepare_coreutils
        for user in $users; do
            for program in $programs; do
                verdict "coreutils' $program, as $user" same_coreutils "$user" "$program"
            done
        done
        verdict "copies of coreutils' tests are offloaded" coreutils_are_offloaded
    fi
    for module in $modules; do
        verdict "Python's $module" same_passes "$module"
    done
    [ -z "$modules" ] || verdict "copies of Python's test_shutil are offloaded" are_offloaded
}

mount_xfs_4g() {
    mount_xfs 4G
}

mkdir -p "$HOME"
# shellcheck disable=SC2086 # lists of words
set -- $modules ${modules:+offloaded} ${source:+$programs $programs offloaded}
plan $(($# + 1))
on_each xfs_4g $# on_xfs
if [ $table = yes ] && [ -s "$scratch/rows" ]; then
    print_table >"$source_tree/docs/suites.md"
fi
verdict "docs/suites.md is made from this list" table_is_of_this_list
