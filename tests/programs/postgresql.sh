#!/bin/bash
# PostgreSQL: CREATE DATABASE with file_copy, in a server that runs with the library as user postgres.
. "$(dirname "$0")/../fixture.sh"
need_root
need setpriv
# Debian keeps the server's programs out of the PATH.
for binaries in /usr/lib/postgresql/*/bin; do
    PATH=$binaries:$PATH
done
need initdb pg_ctl psql
id postgres >/dev/null 2>&1 || skip_all "there is no user postgres"

as_postgres() {
    setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
}

sql() { # DATABASE STATEMENT
    as_postgres psql -X -q -A -t -h "$PWD" -d "$1" -c "$2"
}

stop_server() {
    as_postgres pg_ctl stop -D "$1" -m immediate -t 30 >/dev/null 2>&1
}

# Starts a server plain or preloaded, copies a database in it, and tells where the table's files lie.
copy_database() { # WAY PRELOAD
    local data=$PWD/$1
    as_postgres initdb -D "$data" -N -A trust >/dev/null || fail "initdb failed"
    at_end+=("stop_server '$data'")
    as_postgres env ${2:+LD_PRELOAD="$2"} pg_ctl start -D "$data" -l "$data.log" -t 60 \
        -o "-c listen_addresses='' -c unix_socket_directories='$PWD' -c fsync=on" >/dev/null ||
        fail "the server did not start: $(cat "$data.log")"
    sql postgres 'CREATE DATABASE original'
    sql original "CREATE TABLE lines AS SELECT n, md5(n::text) AS sum FROM generate_series(1, 60000) n"
    sql original 'VACUUM FREEZE lines'
    sql postgres 'CHECKPOINT'
    sql postgres "CREATE DATABASE copy TEMPLATE original STRATEGY = file_copy"
    sql postgres 'CHECKPOINT'
    sql original 'SELECT count(*), md5(string_agg(sum, $$$$ ORDER BY n)) FROM lines' >"$1.original"
    sql copy 'SELECT count(*), md5(string_agg(sum, $$$$ ORDER BY n)) FROM lines' >"$1.copy"
    cmp "$1.original" "$1.copy" || fail "the copied table has other lines"
    original=$data/$(sql original "SELECT pg_relation_filepath('lines')")
    copy=$data/$(sql copy "SELECT pg_relation_filepath('lines')")
    as_postgres pg_ctl stop -D "$data" -t 60 >/dev/null || fail "the server did not stop"
    assert_same "$original" "$copy"
}

becomes_clone() {
    copy_database plain ''
    assert_not_shared "$original" "$copy"
    copy_database ours "$library"
    cmp plain.copy ours.copy || fail "the preloaded server's copy differs from the plain one's"
    assert_shared "$original" "$copy"
    if grep -i -e liboffload -e 'ld\.so' ours.log; then
        fail "the library printed into the server's log"
    fi
}

each_filesystem() {
    verdict "CREATE DATABASE by file_copy on $fs becomes a clone" becomes_clone
}

plan 2
on_each "xfs btrfs" 1 each_filesystem
