#!/bin/bash
# pg_upgrade: the new cluster's files are clones of the old one's, and hold what they held.
. "$(dirname "$0")/../fixture.sh"
need_root
need setpriv
# The newest that is here is upgraded to itself, which takes the same way.
for binaries in /usr/lib/postgresql/*/bin; do
    PATH=$binaries:$PATH
done
need initdb pg_ctl psql pg_upgrade
id postgres >/dev/null 2>&1 || skip_all "there is no user postgres"
binaries=$(dirname "$(command -v pg_upgrade)")

as_postgres() {
    setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
}

start() { # DATA
    as_postgres pg_ctl start -D "$1" -l "$1.log" -t 60 \
        -o "-c listen_addresses='' -c unix_socket_directories='$PWD'" >/dev/null || fail "no server: $(cat "$1.log")"
}

stop() { # DATA
    as_postgres pg_ctl stop -D "$1" -m fast -t 60 >/dev/null
}

sql() {
    as_postgres psql -X -q -A -t -h "$PWD" -d postgres -c "$1"
}

checksum='SELECT count(*), md5(string_agg(sum, $$$$ ORDER BY n)) FROM lines'

make_cluster() {
    limited setpriv --reuid=postgres --regid=postgres --clear-groups initdb -D "$PWD/$1" -N -A trust >/dev/null
}

old_cluster() {
    rm -rf old
    make_cluster old
    start "$PWD/old"
    at_end+=("stop '$PWD/old' 2>/dev/null")
    sql "CREATE TABLE lines AS SELECT n, md5(n::text) AS sum FROM generate_series(1, 60000) n"
    sql 'VACUUM FREEZE lines'
    sql "$checksum" >before
    stop "$PWD/old"
}

upgrade() { # COMMAND
    rm -rf new work
    make_cluster new
    mkdir work
    chown postgres work
    (
        cd work
        # The build tree may be closed to other users.
        PATH=$scratch/bin:$PATH as_postgres timeout -k 5 "$limit" "$@" "$binaries" "$binaries" "$PWD/../old" \
            "$PWD/../new" -s "$mount" >../upgrade.log 2>&1
    ) || fail "pg_upgrade: $(tail -n 20 upgrade.log)"
    start "$PWD/new"
    at_end+=("stop '$PWD/new' 2>/dev/null")
    sql "$checksum" >after
    file=$(sql "SELECT pg_relation_filepath('lines')")
    stop "$PWD/new"
    cmp before after || fail "the table has other lines"
    # The new cluster keeps the file's number.
    original=$(find old/base -name "${file##*/}" | head -n 1)
    assert_same "$original" "new/$file"
}

plainly() {
    sed 's/^exec offload .*\\$/exec \\/' "$source_tree/examples/pg_upgrade" >"$scratch/plain"
    upgrade sh "$scratch/plain"
    assert_not_shared "$original" "new/$file"
}

as_clones() {
    cp "$source_tree/examples/pg_upgrade" "$scratch/pg_upgrade"
    upgrade sh "$scratch/pg_upgrade"
    assert_shared "$original" "new/$file"
    grep -q 'clone' work/offload-report.txt || fail "the report: $(cat work/offload-report.txt)"
    grep -c '"engine": "clone"' work/offload-copies.json
}

mount_xfs >"$scratch/mount.log" 2>&1 || skip_all "XFS cannot be mounted here: $(tail -n1 "$scratch/mount.log")"
cd "$mount" || exit 1
plan 3
mkdir -p "$scratch/bin/.libs"
cp "$build/offload" "$scratch/bin"
cp "$library" "$scratch/bin/.libs"
chmod -R go+rX "$scratch/bin"
verdict "an old cluster with a table" old_cluster
verdict "pg_upgrade without the library copies" plainly
verdict "pg_upgrade as in the example clones" as_clones
