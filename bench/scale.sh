#!/bin/bash
# What the cost of a copy depends on: bytes, extents of the source, copies at once, descriptors; and the memory that the
# library takes in a process.
. "$(dirname "$0")/measure.sh"

scale=$work/scale
cc -std=gnu11 -D_GNU_SOURCE -O2 -pthread -o "$scale" "$tree/bench/scale.c" || exit

# busybox cp leaves the copy to the kernel (sendfile): nothing is compared, and what remains is what the engine costs.
copies() { # ROW
    in_turn "$1" plain "$(with plain 'busybox cp source copy')" offload "$(with offload 'busybox cp source copy')" \
        'cp --reflink=always' "$(with plain 'cp --reflink=always source copy')"
}

# As the program itself says, in a round each; what was copied is removed before the next.
said() { # ROW SCALE-ARGUMENT...
    local row=$1 round way began=$SECONDS
    shift
    echo "  $row" >&2
    for ((round = 0; round <= rounds; round++)); do
        for way in plain offload; do
            rm -rf copies && mkdir copies && sync -f . && cat source >/dev/null
            env LD_PRELOAD="$(preload_of $way)" "$scale" "$@" >"$work/said" 2>"$work/log" || {
                skip_row "$row" "it failed: $(tail -n 1 "$work/log")"
                return
            }
            [ $round -eq 0 ] || value "$row" $way $round "$(cat "$work/said")"
        done
        [ $round -lt 3 ] || [ $((SECONDS - began)) -lt $row_seconds ] || break
    done
}

# All system calls of one copy: the witness is strace, which sees those of the library too.
count_calls() { # ROW COMMAND...
    local row=$1 way
    shift
    for way in plain offload; do
        rm -f copy
        strace -f -qq -o "$work/trace" -E LD_PRELOAD="$(preload_of $way)" "$@"
        value "$row" $way 1 "$(wc -l <"$work/trace")"
    done
}

prepare() {
    printf '#!/bin/sh\ncd "%s" && rm -f copy && sync -f . && cat source >/dev/null\n' "$mount" >"$work/before"
    chmod +x "$work/before"
    before=$work/before
}

by_size() {
    local mib sizes=(1 16)
    for mib in 128 1024 "$size_mib"; do
        if [ "$mib" -le "$size_mib" ] && [ "$mib" -ne "${sizes[-1]}" ]; then
            sizes+=("$mib")
        fi
    done
    runs=3
    section "time by size, busybox cp" s "times:MiB"
    for mib in "${sizes[@]}"; do
        make_source source "$mib" && copies "$mib"
    done
    runs=1
    section "system calls by size, dd bs=128k" calls "more:MiB"
    for mib in "${sizes[@]:0:3}"; do
        make_source source "$mib" && count_calls "$mib" dd if=source of=copy bs=128k status=none
    done
    section "system calls by size, busybox cp" calls "more:MiB"
    for mib in "${sizes[@]:0:3}"; do
        make_source source "$mib" && count_calls "$mib" busybox cp source copy
    done
}

# Each source has as many bytes, and as many holes. A plain copy would fill the holes, and is left out.
by_extents() {
    local extents most=1000000 mib
    [ -z "$quick" ] || most=10000
    # Two blocks for each, of which one has bytes.
    mib=$((most * 8192 / 1048576 + 1))
    printf '#!/bin/sh\ncd "%s" && rm -f copy && sync -f .\n' "$mount" >"$work/before"
    section "time by extents of a source of $(in_words $((mib / 2))) with holes, busybox cp" s \
        "alone:extents, as the file system counts them"
    for ((extents = 1; extents <= most; extents *= 10)); do
        rm -f source copy
        if ! "$scale" fragments source $extents $mib 2>"$work/log"; then
            skip_row $extents "$(tail -n 1 "$work/log")"
            continue
        fi
        in_turn "$(xfs_io -r -c stat source | sed -n 's/^fsxattr.nextents = //p')" \
            offload "$(with offload 'busybox cp source copy')" \
            'cp --reflink=always' "$(with plain 'cp --reflink=always source copy')"
    done
}

by_threads() {
    local threads
    make_source source 16
    section "time by copies of 16 MiB at once, in threads of one process" s "times:threads"
    for threads in 1 4 16 64; do
        said $threads threads $threads source copies
    done
}

# Each process is a dd.
by_processes() {
    local processes
    make_source source 64
    printf '#!/bin/sh\ncd "%s" && rm -rf copies && mkdir copies && sync -f . && cat source >/dev/null\n' "$mount" \
        >"$work/before"
    section "time by copies of 64 MiB at once, each in a process (dd bs=128k)" s "times:processes"
    for processes in 1 4 16; do
        cat >"$work/processes-$processes" <<END
for i in \$(seq $processes); do
    dd if=source of=copies/\$i bs=128k status=none &
done
wait
END
        in_turn $processes plain "$(with plain "sh $work/processes-$processes")" \
            offload "$(with offload "sh $work/processes-$processes")"
    done
}

memory() { # DESCRIPTORS
    local round each bytes
    for ((round = 1; round <= rounds; round++)); do
        for each in "${preloads[@]}"; do
            bytes=$(env LD_PRELOAD="${each#*=}" "$scale" memory "$1" 2>"$work/log") || {
                skip_row "$1" "it failed: $(tail -n 1 "$work/log")"
                return
            }
            value "$1" "${each%%=*}" $round $((bytes / 1024))
        done
    done
}

by_descriptors() {
    local descriptors most
    most=$(($(ulimit -H -n) - 64))
    [ $most -lt 100000 ] || most=100000
    make_source source 64
    section "time of a copy of 64 MiB by descriptors that are open" s "times:descriptors"
    for descriptors in 10 1000 "$most"; do
        said "$descriptors" descriptors "$descriptors" source copies/copy
    done
    section "private memory of a process that has made no copy" KiB "more:descriptors"
    for descriptors in 10 1000 "$most"; do
        memory "$descriptors"
    done
}

extents_mib=8600
[ -z "$quick" ] || extents_mib=600
# The sixteen copies of 64 MiB take a GiB.
if ! mount_file_system xfs $((size_mib * 2 + size_mib / 2 + extents_mib + 1200)); then
    section "scale" s times
    skip_row all "$why"
    exit
fi
cd "$mount" || exit
prepare
by_size
by_extents
prepare
by_threads
by_descriptors
by_processes
