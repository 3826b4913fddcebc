#!/bin/bash
# Programs that copy, with nothing preloaded and with the library; beside them `cp --reflink=always`, which is the limit.
. "$(dirname "$0")/measure.sh"

programs=$tree/bench/programs
python="/usr/bin/python3 $programs/copyfileobj.py source copy"

# Before each run: no copy, nothing of the last one to be written, and the source in the cache, or not.
make_before() {
    printf '#!/bin/sh\ncd "%s" && rm -f copy && sync -f . && cat source >/dev/null\n' "$1" >"$work/warm"
    printf '#!/bin/sh\ncd "%s" && rm -f copy && sync -f . && echo 3 >/proc/sys/vm/drop_caches\n' "$1" >"$work/cold"
    chmod +x "$work/warm" "$work/cold"
}

both() { # ROW COMMAND
    in_turn "$1" plain "$(with plain "$2")" offload "$(with offload "$2")"
}

both_and_limit() { # ROW COMMAND
    in_turn "$1" plain "$(with plain "$2")" offload "$(with offload "$2")" \
        'cp --reflink=always' "$(with plain 'cp --reflink=always source copy')"
}

java_copies() {
    local class=$work/java
    if ! command -v java >/dev/null || ! command -v javac >/dev/null; then
        skip_row 'Java FileChannel' "java and javac are not installed (some 300 MB): apt install default-jdk-headless"
        return
    fi
    javac -d "$class" "$programs/Copy.java" 2>"$work/javac.log" || {
        skip_row 'Java FileChannel' "javac failed"
        return
    }
    both 'Java FileChannel.transferTo' "java -cp $class Copy channel source copy"
    both 'Java streams, 128 KiB' "java -cp $class Copy stream source copy"
}

by_programs() { # FS
    local bs
    section "$(in_words "$size_mib") on $1, in the page cache" s times
    for bs in 512 4k 64k 128k 1M 4M; do
        both_and_limit "dd bs=$bs" "dd if=source of=copy bs=$bs status=none"
    done
    both 'busybox dd bs=128k' 'busybox dd if=source of=copy bs=128k'
    both 'busybox cp' 'busybox cp source copy'
    both 'Python copyfileobj' "$python"
    both 'Python copyfile' "/usr/bin/python3 $programs/copyfile.py source copy"
    both 'Perl File::Copy' "perl -MFile::Copy -e 'copy(q(source), q(copy)) or die'"
    both 'cp --reflink=never' 'cp --reflink=never source copy'
    both 'cp' 'cp source copy'
    both 'cat' "$programs/cat source copy"
    both 'ddpt' 'ddpt if=source of=copy bs=4096 bpt=32 verbose=-1'
    java_copies
}

# What the reads cost: with them left out as well (OFFLOAD_BUFFERS=lazy), and the source in the page cache or not.
both_and_lazy() { # ROW COMMAND
    in_turn "$1" plain "$(with plain "$2")" offload "$(with offload "$2")" \
        lazy "$(with offload "OFFLOAD_BUFFERS=lazy $2")"
}

by_buffers() { # FS
    local temperature
    section "lazy buffers: $(in_words "$size_mib") on $1, in the page cache (warm) and not (cold)" s times
    for temperature in warm cold; do
        before=$work/$temperature
        both_and_lazy "$temperature: dd bs=128k" 'dd if=source of=copy bs=128k status=none'
        both_and_lazy "$temperature: busybox dd bs=1M" 'busybox dd if=source of=copy bs=1M'
        both_and_lazy "$temperature: Perl File::Copy" "perl -MFile::Copy -e 'copy(q(source), q(copy)) or die'"
        both_and_lazy "$temperature: Python copyfileobj" "$python"
    done
    before=$work/warm
}

on_file_system() { # FS MIB
    local temperature
    make_before "$mount"
    for temperature in warm cold; do
        # What is in memory is never cold.
        [ "$1 $temperature" != 'tmpfs cold' ] || continue
        before=$work/$temperature
        both "$1, $temperature: dd bs=128k" 'dd if=source of=copy bs=128k status=none'
        both "$1, $temperature: Python" "$python"
        both "$1, $temperature: busybox cp" 'busybox cp source copy'
    done
}

by_file_systems() {
    local fs mib=$((size_mib / 4))
    section "$(in_words $mib) by file system, in the page cache (warm) and not (cold)" s times
    for fs in xfs btrfs ext4 tmpfs overlay; do
        if mount_file_system $fs $((mib * 2 + mib / 2 + 600)) && cd "$mount" && make_source source $mib; then
            on_file_system $fs
        else
            skip_row $fs "${why:-no room}"
        fi
        unmount_all
    done
}

# Small files are over in a moment, so that more of them make a round.
by_sizes() { # FS
    local kib
    section "dd bs=128k on $1, in the page cache, by size" s times
    for kib in 64 256 1024 16384 262144 $((size_mib * 1024)); do
        rm -f source copy
        head -c "${kib}K" /dev/urandom >source && sync source
        runs=$((kib < 2048 ? 40 : kib < 32768 ? 5 : 1))
        both_and_limit "$([ $kib -ge 1024 ] && in_words $((kib / 1024)) || echo "$kib KiB")" \
            'dd if=source of=copy bs=128k status=none'
    done
    runs=1
}

# ---- a database's copy ---------------------------------------------------------------------------------------

as_postgres='setpriv --reuid=postgres --regid=postgres --clear-groups'

start_template() { # MIB: a server with a database to copy
    local data=$PWD/data
    mkdir socket && chown postgres . socket
    $as_postgres initdb -D "$data" -N -A trust >"$work/initdb.log" 2>&1 || return 1
    cat >>"$data/postgresql.conf" <<END
listen_addresses = ''
unix_socket_directories = '$PWD/socket'
wal_level = minimal
max_wal_senders = 0
END
    cat >"$work/server" <<END
#!/bin/sh
# server WAY: a server that has nothing of an earlier copy, plain or preloaded.
exec >>$work/server.log 2>&1
stop() { $as_postgres pg_ctl stop -D $data -m fast -t 120; }
stop
[ "\$1" = stop ] && exit
preload=
[ "\$1" = offload ] && preload=$library
$as_postgres env LD_PRELOAD=\$preload pg_ctl start -w -D $data -l $data.log -t 120 || exit
$as_postgres psql -X -q -h $PWD/socket -d postgres -c 'DROP DATABASE IF EXISTS copy' -c CHECKPOINT
END
    chmod +x "$work/server"
    at_end+=("'$work/server' stop")
    "$work/server" plain && $as_postgres psql -X -q -h "$PWD/socket" -d postgres -c 'CREATE DATABASE original' &&
        $as_postgres psql -X -q -h "$PWD/socket" -d original -c "CREATE TABLE lines AS SELECT n, repeat(md5(n::text), 30)
            AS sums FROM generate_series(1, $1 * 1024) n" -c 'VACUUM FREEZE lines' -c CHECKPOINT
}

by_database() { # FS
    local mib=$((size_mib / 4)) statement='CREATE DATABASE copy TEMPLATE original STRATEGY file_copy'
    local psql="$as_postgres psql -X -q -h $PWD/socket -d postgres"
    section "PostgreSQL on $1, a template of $(in_words $mib)" s times
    for binaries in /usr/lib/postgresql/*/bin; do
        PATH=$binaries:$PATH
    done
    if ! command -v initdb >/dev/null || ! start_template $mib; then
        skip_row 'CREATE DATABASE' "no server could be started"
        return
    fi
    before=$work/server
    processor=
    in_turn 'CREATE DATABASE' plain "$psql -c '$statement'" offload "$psql -c '$statement'"
    "$work/server" stop
    processor=yes
}

for fs in xfs btrfs; do
    if mount_file_system $fs $((size_mib * 2 + size_mib / 2 + 600)); then
        cd "$mount" || exit
        make_before "$mount"
        before=$work/warm
        [ $fs != xfs ] || by_sizes $fs
        rm -f source copy
        make_source source "$size_mib" || exit
        by_programs $fs
        by_buffers $fs
        rm -f source copy
        by_database $fs
    else
        section "$(in_words "$size_mib") on $fs" s times
        skip_row 'all' "$why"
    fi
    unmount_all
done
by_file_systems
