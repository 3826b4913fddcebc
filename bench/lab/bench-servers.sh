#!/bin/bash
# In the guest: copies on file servers, plain and with the library in turn, and what goes over the wire. Lines that
# begin with "bench:" are values for bench/array.sh: ROW, WAY, ROUND, SECONDS, BYTES.
# shellcheck source-path=SCRIPTDIR/../../tests/lab source-path=SCRIPTDIR/../../tests source=guest.sh
. "$(dirname "$0")/../guest.sh"
# limit: 1200

size=$((16 << 20))
rounds=3

copy_by() { # PROGRAM
    case $1 in
    'dd bs=128k') dd if="$mount/source" of="$mount/target" bs=128k status=none ;;
    Python) python3 -c 'import shutil, sys
with open(sys.argv[1], "rb") as source, open(sys.argv[2], "wb") as copy:
    shutil.copyfileobj(source, copy)' "$mount/source" "$mount/target" ;;
    'busybox cp') busybox cp "$mount/source" "$mount/target" ;;
    esac
}

# What the client has not written yet goes over the wire too, and takes its time.
one() { # ROW WAY ROUND PROGRAM
    local before bytes began took
    rm -f "$mount/target"
    [ "$temperature" = warm ] || drop_caches
    cat "$([ "$temperature" = warm ] && echo "$mount/source" || echo /dev/null)" >/dev/null
    before=$(wire_bytes "$mount")
    began=$(date +%s%N)
    if [ "$2" = plain ]; then
        copy_by "$4"
    else
        LD_PRELOAD=$library copy_by "$4"
    fi
    sync "$mount/target"
    took=$(($(date +%s%N) - began))
    bytes=$(($(wire_bytes "$mount") - before))
    printf 'bench:\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$(awk -v ns=$took 'BEGIN { printf "%.6f", ns / 1e9 }')" $bytes
}

compared() { # NAME
    local program round way
    make_source "$server_side/source" $size
    for temperature in warm cold; do
        for program in 'dd bs=128k' Python 'busybox cp'; do
            for ((round = 0; round <= rounds; round++)); do
                for way in plain offload; do
                    # The first is the warm-up.
                    one "$1, $temperature: $program" $way $round "$program" | sed "/\t0\t[0-9.]*\t/d"
                done
            done
        done
    done
    assert_same "$server_side/source" "$server_side/target"
}

plan 3
for server in nfs-xfs nfs-ext4 smb-xfs; do
    if "on_${server%-*}" "${server#*-}"; then
        verdict "$server" compared "${server%-*} of ${server#*-}"
    else
        verdict "$server" skip "it cannot be mounted"
    fi
done
