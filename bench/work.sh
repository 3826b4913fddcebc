#!/bin/bash
# Work in which hardly a file is copied: what does it pay? An empty library shows what any preload costs.
. "$(dirname "$0")/measure.sh"

three() { # ROW COMMAND
    in_turn "$1" plain "$(with plain "$2")" 'an empty library' "$(with 'an empty library' "$2")" \
        offload "$(with offload "$2")"
}

# A script that is run before each run.
prepare() { # COMMANDS
    printf '#!/bin/sh\ncd "%s"\n%s\nsync -f .\n' "$mount" "$1" >"$work/before"
    chmod +x "$work/before"
    before=$work/before
}

# The library's own source, as a package that is built.
build_package() {
    mkdir package
    tar -C "$tree" -c --exclude=.git --exclude=.libs --exclude=.deps --exclude='*.o' --exclude='*.lo' --exclude='*.la' \
        --exclude=./Makefile --exclude=./config.status --exclude=./config.h --exclude=liboffload.map . | tar -C package -x
    prepare 'rm -rf built; mkdir built'
    three 'configure' "env -C built ../package/configure --quiet"
    prepare 'make -C built clean >/dev/null 2>&1'
    three 'make' "make -s -C built liboffload.la offload"
}

use_git() {
    local files=2000
    git init -q repository
    mkdir repository/tree
    find /usr/include -type f | sort | head -n $files | cpio -pdm --quiet repository/tree
    git -C repository add -A
    git -C repository -c user.name=bench -c user.email=bench@localhost commit -qm files
    prepare 'rm -rf clone'
    three 'git clone' 'git clone -q --no-local repository clone'
    prepare 'rm -rf clone; git clone -q --no-local repository clone'
    three 'git gc' 'git -C clone gc -q --aggressive'
}

use_tar() {
    local files=20000
    [ -z "$quick" ] || files=2000
    mkdir tree
    (cd tree && for ((i = 0; i < files; i += 200)); do
        mkdir $i
        for ((j = i; j < i + 200; j++)); do
            printf '%0*d' $((j % 4000 + 100)) $j >$i/$j
        done
    done)
    prepare 'rm -f tree.tar'
    three "tar of $files small files" 'tar -cf tree.tar tree'
    prepare 'rm -rf rsynced'
    three "rsync of $files small files" 'rsync -a tree/ rsynced'
    prepare 'rm -f tree.tar.gz; [ -f tree.tar ] || tar -cf tree.tar tree'
    three 'gzip' 'gzip -k -1 tree.tar'
}

use_pgbench() {
    local as_postgres='setpriv --reuid=postgres --regid=postgres --clear-groups' data=$PWD/data
    for binaries in /usr/lib/postgresql/*/bin; do
        PATH=$binaries:$PATH
    done
    command -v pgbench >/dev/null || {
        skip_row pgbench 'it is not installed'
        return
    }
    mkdir socket && chown postgres . socket
    $as_postgres initdb -D "$data" -N -A trust >"$work/initdb.log" 2>&1
    cat >"$work/server" <<END
#!/bin/sh
# server WAY: a server, plain or preloaded.
exec >>$work/server.log 2>&1
$as_postgres pg_ctl stop -D $data -m fast -t 120
preload=
case \$1 in
stop) exit ;;
offload) preload=$library ;;
an*) preload=$empty ;;
esac
$as_postgres env LD_PRELOAD=\$preload pg_ctl start -w -D $data -l $data.log -t 120 \
    -o "-c listen_addresses='' -c unix_socket_directories='$PWD/socket'"
END
    chmod +x "$work/server"
    at_end+=("'$work/server' stop")
    "$work/server" plain
    $as_postgres pgbench -q -i -s 5 -h "$PWD/socket" postgres >"$work/pgbench.log" 2>&1 || {
        skip_row pgbench "no server could be started: $(tail -n 1 "$work/pgbench.log")"
        return
    }
    before=$work/server
    processor=
    local command="$as_postgres pgbench -n -c 4 -t 500 -h $PWD/socket postgres"
    in_turn 'pgbench, 2000 transactions' plain "$command" 'an empty library' "$command" offload "$command"
    "$work/server" stop
}

section "work" s percent
mount_file_system xfs 4096 || {
    skip_row all "$why"
    exit
}
cd "$mount" || exit
use_tar
use_git
build_package
use_pgbench
