#!/bin/bash
# The survey: how programs copy, one command a line of survey.list. Each runs plain and preloaded on XFS, and leaves the
# same: bytes, output, exit status, modes, owners, times. What it shares with its source is what the list says.
#
#   survey.sh [--only PATTERN] [--bytes N] [--rounds N] [--table] [--learn]
#
#     --only      the programs whose names match this pattern of the shell
#     --bytes     the size of the source
#     --rounds    how often each is timed, plain and preloaded in turns
#     --table     writes docs/programs.md anew
#     --learn     writes into the list what was found to be shared, or the cause why not
# There are many of them, and on a busy machine each takes its time.
test_limit=3600
. "$(dirname "$0")/../fixture.sh"
need_root
# Java and node take most of a second to start, where others copy a file in a hundredth.
limit=100

list=$source_tree/tests/programs/survey.list
export copiers=$source_tree/tests/programs/copiers tools=$scratch/tools elsewhere=$scratch/elsewhere HOME=$scratch/home
PATH=$tools:/usr/bin:/bin:/usr/sbin:/sbin
only='*' bytes=8400953 rounds=1 table=no learn=no
while [ $# -gt 0 ]; do
    case $1 in
    --only) only=$2 && shift ;;
    --bytes) bytes=$2 && shift ;;
    --rounds) rounds=$2 && shift ;;
    --table) table=yes ;;
    --learn) learn=yes ;;
    esac
    shift
done

# Half of the source, in whole blocks of 64 KiB.
export half_blocks=$((bytes / 131072))
export half=$((half_blocks * 65536))

# ---- what the programs copy ------------------------------------------------------------------------

make_files() {
    make_source source "$bytes"
    printf 'few bytes' >small
    tr '[:lower:]' '[:upper:]' <source >other
    head -c $((bytes / 65536 * 65536)) source >blocks
    truncate -s "$bytes" holes
    dd if=source of=holes bs=64k skip=16 seek=16 count=$((half_blocks / 2)) conv=notrunc status=none
    mkdir tree
    cp --reflink=always source tree/source
    sed '2s/Quick/quick/' source | diff -u source - >change || true
    echo 'int unit(void) { return 0; }' >unit.c
    make_database
    make_repository
    touch -d '2001-02-03 04:05:06.789' source holes blocks tree/source
    sync -f .
}

make_database() {
    command -v sqlite3 >/dev/null || return 0
    sqlite3 database "CREATE TABLE t (line); INSERT INTO t SELECT printf('line %d', value)
        FROM generate_series(1, 50000)" >/dev/null
}

make_repository() {
    command -v git >/dev/null || return 0
    mkdir repository
    cp --reflink=always source repository
    git -C repository -c init.defaultBranch=main init -q
    git -C repository add source
    git -C repository -c user.name=n -c user.email=e commit -q -m source
}

# ---- one program -----------------------------------------------------------------------------------

now() {
    date +%s.%N
}

# Runs it one way, and keeps when it began and ended, for the times that it leaves.
run_timed() { # WAY COMMAND
    local began=${EPOCHREALTIME/[.,]/}
    now >"$scratch/$1.began"
    run_way "$1" bash -c "$2"
    now >"$scratch/$1.ended"
    echo $((${EPOCHREALTIME/[.,]/} - began)) >>"$scratch/$1.took"
}

run_round() { # COMMAND
    rm -rf plain ours
    run_timed plain "$1"
    run_timed ours "$1"
    compare_ways "$PWD" "$1"
}

# A time that the program did not set is that of its writing.
same_time() {
    local way
    for way in plain ours; do
        stat -c %.9Y "$way/copy" | awk -v way="$way" \
            -v began="$(cat "$scratch/$way.began")" -v ended="$(cat "$scratch/$way.ended")" \
            '{ print ($1 >= began - 0.02 && $1 <= ended) ? "while it ran" : $1 }' >"$scratch/$way.time"
    done
    cmp -s "$scratch/plain.time" "$scratch/ours.time" ||
        fail "plain it left a time of $(cat "$scratch/plain.time"), preloaded $(cat "$scratch/ours.time")"
}

# In hundredths of the whole blocks of the original, holes apart, or of a copy that is shorter.
share() { # WAY
    local original=source common size length stored
    case $command in
    *../holes*) original=holes ;;
    *../blocks*) original=blocks ;;
    *../database*) original=database ;;
    esac
    [ ! -L "$1/original" ] || original=$(readlink -f "$1/original")
    read -r common size length < <("$extents" "$original" "$1/copy")
    read -r stored _ < <("$extents" "$original")
    [ "$length" -ge "$size" ] || size=$length
    [ "$stored" -ge "$size" ] || size=$stored
    echo $((common * 100 / (size / 4096 * 4096 + 1 - (size >= 4096))))
}

# Why it was not offloaded, in the report's one word; `unseen` if the report knows of no copy.
cause() {
    rm -rf ours
    rm -f "$scratch/report"
    mkdir ours
    (
        cd ours
        run_preloaded env OFFLOAD_REPORT="$scratch/report" bash -c "$command"
    ) >/dev/null 2>&1 </dev/null || true
    [ -s "$scratch/report" ] || echo '{"event": "copy"}' >"$scratch/report"
    jq -rs 'map(select(.event == "copy" and .written != 0 and .cause != "none")) | last | .cause // "unseen"' \
        "$scratch/report"
}

# The median of how long it took plain, by that preloaded.
ratio() {
    paste "$scratch/plain.took" "$scratch/ours.took" | awk '{ print $1 / $2 }' | sort -n |
        awk '{ r[NR] = $1 } END { printf "%.1f", NR % 2 ? r[(NR + 1) / 2] : (r[NR / 2] + r[NR / 2 + 1]) / 2 }'
}

as_the_list_says() { # PLAIN OURS
    case $expected in
    self) [ "$1" -ge 99 ] && [ "$2" -ge 99 ] ;;
    all) [ "$1" -eq 0 ] && [ "$2" -ge 99 ] ;;
    [0-9]*) [ "$1" -eq 0 ] && [ "$2" -ge "$expected" ] ;;
    # What is offloaded though it need not be is a gain.
    *) [ "$2" -gt "$1" ] || [[ " $expected " = *" $why "* ]] ;;
    esac
}

# What the list should say of what was found.
found() { # PLAIN OURS
    if [ "$1" -ge 99 ]; then
        echo self
    elif [ "$2" -ge 99 ]; then
        echo all
    elif [ "$2" -gt 0 ]; then
        echo $(($2 / 10 * 10))
    else
        echo "$why"
    fi
}

surveyed() {
    local round plain ours why=-
    command -v "$program" >/dev/null || skip "$program is not installed (package ${package%\?})"
    mkdir -p "$tools"
    [ "$setup" = - ] || sh -c "$setup" >"$scratch/setup.log" 2>&1 || fail "$(cat "$scratch/setup.log")"
    rm -f "$scratch"/{plain,ours}.took
    run_round "$command"
    [ -s ours/copy ] || fail "it made no copy: $(cat "$scratch/ours.err")"
    same_time
    plain=$(share plain) ours=$(share ours)
    for ((round = 1; round < rounds; round++)); do
        run_round "$command"
    done
    if [ "$ours" -lt 99 ]; then
        why=$(cause)
    fi
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$name" "$way" "$plain" "$ours" "$(ratio)" "$why" >>"$scratch/rows"
    printf '%s\t%s\n' "$name" "$(found "$plain" "$ours")" >>"$scratch/learnt"
    echo "shared $ours% (plain $plain%)${why:+, cause $why}, $(ratio) times as fast"
    as_the_list_says "$plain" "$ours" ||
        fail "the list says '$expected': $ours% is shared, $plain% plain; cause: $why"
}

each_program() { # FUNCTION
    local line
    while IFS= read -r line; do
        case $line in '#'* | '') continue ;; esac
        IFS=$'\t' read -r name program package way expected setup command < <(printf '%s\n' "${line// ## /$'\t'}")
        # shellcheck disable=SC2254 # a pattern
        case $name in $only) "$1" ;; esac
    done <"$list"
}

# ---- the table -------------------------------------------------------------------------------------

words_for() { # CAUSE
    case $1 in
    -) ;;
    unseen) echo 'the library is not asked, or sees no copy in what it is asked' ;;
    *) sed -n "s/^REASON(${1^^}, *\"\(.*\)\",\$/\1/p; /^REASON(${1^^},\$/{n; s/^ *\"\(.*\)\",\$/\1/p}" \
        "$source_tree/src/core/reasons.def" ;;
    esac
}

print_table() {
    cat <<END
# How programs copy, and what becomes of it

Made by \`bash tests/programs/survey.sh --table --bytes $bytes --rounds $rounds\`, which writes this file: what it runs is in
\`tests/programs/survey.list\`. Linux $(uname -r | sed 's/-.*//'), XFS with reflink on a loop device; a source of $((bytes / 1048576)) MiB in the page cache,
each program plain and preloaded in turns. The commands are run by bash with the library, which hands the file behind \`>\` on
([decision 022](decisions/022-handed-on-output.md)); from dash, or a shell without the library, the rows of \`pv\`, \`toybox cat\` and \`perl -pe\` have nothing shared.

*Shared* is the part of the source's blocks that the copy keeps in the same place, told by the kernel's map of both files
(FIEMAP): without the library, and with it. *Ratio* is how long the command took plain, by how long preloaded, the median of $rounds:
above 1 it was faster with the library. Every one of them left the same bytes, output, exit status, modes, owners and times either way.

| program | how it copies | shared, plain | with offload | ratio | why not all |
|---|---|---|---|---|---|
END
    while IFS=$'\t' read -r name way plain ours ratio why; do
        echo "| ${name//|/\\|} | ${way//|/\\|} | $plain% | $ours% | $ratio | $(words_for "$why") |"
    done <"$scratch/rows"
}

table_is_of_this_list() {
    local table=$source_tree/docs/programs.md
    only='*'
    each_program print_name >"$scratch/names"
    sed -n '/^|---/,$ s/^| \(.*\) | .* | .*% | .*% | .* | .* |$/\1/p' "$table" | sed 's/\\|/|/g' >"$scratch/told"
    [ -s "$scratch/told" ] || fail "docs/programs.md has no table"
    # A machine without one of them makes a table without it; one that the list does not know is an old one.
    grep -vxF -f "$scratch/names" "$scratch/told" && fail "docs/programs.md tells of programs that are not surveyed"
    [ "$(wc -l <"$scratch/told")" -ge $(($(wc -l <"$scratch/names") * 9 / 10)) ] || fail "docs/programs.md lacks programs"
}

print_name() {
    echo "$name"
}

learn_from_what_was_found() {
    awk -F ' ## ' -v OFS=' ## ' 'NR == FNR { split($0, part, "\t"); learnt[part[1]] = part[2]; next }
        /^[^#]/ && $1 in learnt { $5 = learnt[$1] } { print }' "$scratch/learnt" "$list" >"$scratch/list" &&
        cp "$scratch/list" "$list"
}

one_program() {
    verdict "$name" surveyed
}

each_program print_name >"$scratch/names"
plan $(($(wc -l <"$scratch/names") + 1))
mkdir -p "$HOME" "$elsewhere"
mount -t tmpfs tmpfs "$elsewhere" && mounts+=("$elsewhere")
mount_xfs 4G >/dev/null || skip_all "XFS cannot be mounted here"
cd "$mount" || exit 1
make_files
each_program one_program
[ $table = no ] || print_table >"$source_tree/docs/programs.md"
[ $learn = no ] || learn_from_what_was_found
verdict "docs/programs.md is made from this list" table_is_of_this_list
