#!/bin/bash
# Other people's tests of how they copy: the same list of passes plain and preloaded, on XFS, with every file served
# however small it is.
#
#   suites.sh [--all] [--coreutils DIR] [--only PATTERN] [--table]
#
#     --all        all the modules of Python's own tests that have to do with files and processes, not only those that a
#                  few minutes allow
#     --coreutils  the tests of cp, mv, install, dd, split, cat, tee and others, for the programs that are installed; DIR
#                  has their source, as apt-get source coreutils gives it. More of them run where it was configured and
#                  has src/getlimits. Python's run beside them only with --all
#     --only       what has a name of this pattern of the shell: test_os, or cp/root
#     --table      writes a row of docs/suites.md anew for each that has run
test_limit=10800
. "$(dirname "$0")/../fixture.sh"
need_root
limit=3000
PATH=/usr/bin:/bin:/usr/sbin:/sbin
export HOME=$scratch/home TMPDIR

few_modules='test_shutil test_tarfile test_fileio test_largefile'
all_modules="$few_modules test_os test_io test_subprocess test_file test_mmap test_tempfile test_zipfile
    test_posix test_bufio test_fcntl test_threading test_asyncio"
# What needs root is skipped by others, and much else by root: coreutils' tests run as both.
coreutils_runs=$(printf '%s/root ' cp mv install dd split cat tee head tac truncate csplit)
coreutils_runs+=$(printf '%s/nobody ' cp mv install dd split cat tee head tac truncate csplit)
modules=$few_modules all=no source='' only='*' table=no
while [ $# -gt 0 ]; do
    case $1 in
    --all) all=yes modules=$all_modules ;;
    --coreutils) source=$(readlink -f "$2") && shift ;;
    --only) only=$2 && shift ;;
    --table) table=yes ;;
    esac
    shift
done
[ $all = yes ] || [ -z "$source" ] || modules=''

matching() { # NAME...
    local name
    for name in "$@"; do
        # shellcheck disable=SC2254 # a pattern
        case $name in $only) echo "$name" ;; esac
    done
}

# ---- one list of verdicts, and the other -----------------------------------------------------------

# Some tests depend on the time: what differs once must not differ again.
same_lists() { # SUITE NAME FUNCTION ARGUMENTS...: FUNCTION WAY ARGUMENTS... prints "name TAB verdict" a line
    local suite=$1 name=$2 results=$3 turn
    shift 3
    : >"$scratch/differed"
    for turn in 1 2 3; do
        "$results" plain "$@" >"$scratch/plain.list"
        "$results" ours "$@" >"$scratch/ours.list"
        differing >"$scratch/differing"
        [ -s "$scratch/differing" ] || break
        sed "s/^/run $turn, /" "$scratch/differing" | tee -a "$scratch/differed"
    done
    note_counts "$suite" "$name" "$turn"
    [ ! -s "$scratch/differing" ] || fail "other tests of $name pass"
}

differing() {
    awk -F '\t' 'NR == FNR { plain[$1] = $2; next }
        { ours[$1] = $2; if (plain[$1] != $2) print $1 ": plain " plain[$1] ", preloaded " $2 }
        END { for (name in plain) if (!(name in ours)) print name ": plain " plain[name] ", preloaded not run" }' \
        "$scratch/plain.list" "$scratch/ours.list"
}

note_counts() { # SUITE NAME RUNS
    local either=$scratch/either.list tests pass skipped
    comm -12 "$scratch/plain.list" "$scratch/ours.list" >"$either"
    tests=$(wc -l <"$scratch/plain.list")
    pass=$(grep -c $'\tok$' "$either") || true
    skipped=$(grep -c $'\tskipped$' "$either") || true
    printf '| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n' "$1" "$2" "$tests" "$pass" "$skipped" \
        $(($(wc -l <"$either") - pass - skipped)) "$(wc -l <"$scratch/differing")" "$3" "$(library_commit)" \
        "$(uname -r | sed 's/-.*//')" "$(paste -s -d ';' "$scratch/differed" | sed 's/;/; /g')" >>"$scratch/rows"
    [ $table = no ] || write_table
    echo "$pass of $tests pass either way, $skipped are skipped"
    grep -v $'\tok$\|\tskipped$' "$either" || true
}

library_commit() {
    local parts=(src configure.ac Makefile.am) commit
    commit=$(git -C "$source_tree" log -1 --format=%h -- "${parts[@]}" 2>/dev/null) || commit=none
    [ "$commit" = none ] || git -C "$source_tree" diff --quiet HEAD -- "${parts[@]}" || commit+=' with changes'
    echo "$commit"
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
    same_lists "$(/usr/bin/python3 --version)" "$1" python_results "$1"
    [ "$(wc -l <"$scratch/plain.list")" -gt 3 ] || fail "no test of $1 ran: $(tail "$scratch/plain.log")"
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
    # Some take the program from there; and install is ginstall to them.
    dpkg -L coreutils | grep 'bin/.' | xargs ln -s -t coreutils/src
    ln -s /usr/bin/install coreutils/src/ginstall
    version=$(cp --version | sed -n '1s/.* //p')
    built=$(dpkg -L coreutils | sed -n 's|^\(/usr\)*/s*bin/||p' | tr '\n' ' ')ginstall
    : >"$scratch/report"
    # Others write there too.
    find coreutils -type d -exec chmod 777 {} +
    chmod 666 "$scratch/report"
}

same_coreutils() { # PROGRAM/USER
    same_lists "coreutils $version" "$1" coreutils_results "${1#*/}" "${1%/*}"
    grep -q $'\tok$' "$scratch/plain.list" || fail "none of them passes: $(tail "$scratch/plain.log")"
}

coreutils_are_offloaded() {
    local copies
    copies=$(grep -c '"engine": "clone"' "$scratch/report") || fail "no copy was offloaded"
    echo "$copies copies were offloaded"
}

# ---- the table -------------------------------------------------------------------------------------

# After each row: a run that is broken off keeps what it found.
write_table() {
    cp "$written" "$scratch/rows.before" 2>/dev/null || : >"$scratch/rows.before"
    print_table >"$scratch/table"
    cp "$scratch/table" "$written"
}

print_table() {
    local name
    cat <<'END'
# Other people's tests, plain and with the library

Each row was written by `bash tests/programs/suites.sh --all --coreutils DIR --table`, or by a run of some of them (`--only 'test_*'`,
`--only 'cp/*'`); nothing here is typed. DIR is the source of coreutils (`apt-get source coreutils`) after `./configure && make`, of which only
lib/config.h and src/getlimits are used: the programs are the installed ones. Python's tests are in the package libpython3.11-testsuite.

Each module of Python's tests (as root), and each test of a program of coreutils (as root, and as nobody), is run without the library and with it,
on XFS with reflink on a loop device, with every file served however small it is (`OFFLOAD_MIN_SIZE=1`). The verdicts must be the same, test for test.
Those of coreutils write a report meanwhile, and Python's test_shutil is run once more with one: copies must have been offloaded.

A test *differs* whose verdict is not the same plain and preloaded. Some depend on the time and not on the library, so after a difference
all of the row are run again, both ways, up to three times; *runs* says how often, the last column what differed before, and the
others are of the last run. Root skips what asks for another user, and the other way round. What fails either way does so here without the library.

| tests of | module, or program and user | tests | pass either way | skipped | fail either way | differ | runs | library's commit | kernel | differed in a run |
|---|---|---|---|---|---|---|---|---|---|---|
END
    # shellcheck disable=SC2086 # lists of words
    for name in $coreutils_runs $all_modules; do
        grep -h -m 1 "^| [^|]* | $name |" "$scratch/rows" "$scratch/rows.before" | head -n 1
    done
}

table_is_of_this_list() {
    # shellcheck disable=SC2086 # lists of words
    printf '%s\n' $coreutils_runs $all_modules >"$scratch/names"
    sed -n '/^|---/,$ s/^| [^|]* | \([^|]*\) | .*/\1/p' "$written" >"$scratch/told"
    # As that of the survey: a machine without some of them makes a table without these.
    grep -vxF -f "$scratch/names" "$scratch/told" && fail "docs/suites.md tells of tests that are not run"
    [ "$(wc -l <"$scratch/told")" -ge $(($(wc -l <"$scratch/names") * 9 / 10)) ] || fail "docs/suites.md lacks tests"
}

# ---- all of them -----------------------------------------------------------------------------------

on_xfs() {
    local name
    if [ -n "$source" ]; then
        prepare_coreutils
        for name in $programs; do
            verdict "coreutils' $name" same_coreutils "$name"
        done
        verdict "copies of coreutils' tests are offloaded" coreutils_are_offloaded
    fi
    for name in $modules; do
        verdict "Python's $name" same_passes "$name"
    done
    [ -z "$modules" ] || verdict "copies of Python's test_shutil are offloaded" are_offloaded
}

mount_xfs_4g() {
    mount_xfs 4G
}

mkdir -p "$HOME"
written=$source_tree/docs/suites.md
# shellcheck disable=SC2086 # lists of words
modules=$(matching $modules) programs=$(matching $coreutils_runs)
[ -n "$programs" ] || source=''
# shellcheck disable=SC2086 # lists of words
set -- $modules ${modules:+offloaded} ${source:+$programs offloaded}
plan $(($# + 1))
on_each xfs_4g $# on_xfs
verdict "docs/suites.md is made from this list" table_is_of_this_list
