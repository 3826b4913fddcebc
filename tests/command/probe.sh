#!/bin/bash
# offload probe: what it says is compared with what dd does there under the library.
. "$(dirname "$0")/../fixture.sh"

offload=${OFFLOAD_TEST_COMMAND:-$build/offload}
export OFFLOAD_CONFIG=none

# All that is under the mount, with every time that a look could move. Access times are kept strictly there.
state() { # DIRECTORY...
    find "$@" -printf '%p %i %y %m %n %s %A@ %T@ %C@\n' | sort
    find "$@" -type f -exec sha256sum {} + 2>/dev/null | sort
}

asked() { # STATUS SOURCE DESTINATION
    local status=0 wanted=$1
    shift
    "$offload" probe "$@" >"$scratch/said" 2>"$scratch/complained" || status=$?
    [ $status -eq "$wanted" ] ||
        fail "probe $* ended with $status, not $wanted: $(cat "$scratch/said" "$scratch/complained")"
}

says() { # TEXT: in the answer, however its lines are broken
    tr -s ' \n' ' ' <"$scratch/said" | grep -qF -- "$1" || fail "not a word of '$1': $(cat "$scratch/said")"
}

# The copy is made into FILE, or FILE's name in a directory. The source has grown old enough to be believed.
shares() { # SOURCE DESTINATION
    local destination=$2
    [ ! -d "$2" ] || destination=$2/${1##*/}
    run_preloaded dd if="$1" of="$destination" bs=128k status=none
    sync "$destination"
    assert_same "$1" "$destination"
    read -r common _ < <("$extents" "$1" "$destination")
    [ "$common" -gt 0 ]
}

# The verdict is what is expected, nothing has changed, and dd then shares extents or does not, as was said.
judges() { # yes|no SOURCE DESTINATION TEXT [PLACE...]
    local expected=$1 source=$2 destination=$3 text=$4 status=1
    shift 4
    [ "$expected" = no ] || status=0
    # Reading the state moves times as well: what is read here is not read again below.
    state . "$@" >/dev/null
    find . "$@" -printf '%p %i %y %m %n %s %A@ %T@ %C@\n' | sort >"$scratch/before"
    find . "$@" -printf '%p %i %y %m %n %s %A@ %T@ %C@\n' | sort >"$scratch/again"
    asked $status "$source" "$destination"
    find . "$@" -printf '%p %i %y %m %n %s %A@ %T@ %C@\n' | sort >"$scratch/after"
    only_files "$scratch/before" >"$scratch/before.files"
    only_files "$scratch/after" >"$scratch/after.files"
    diff "$scratch/before.files" "$scratch/after.files" || fail "the probe changed something"
    says "$text"
    if shares "$source" "$destination"; then
        [ "$expected" = yes ] || fail "it said no, and dd shares extents: $(cat "$scratch/said")"
    else
        [ "$expected" = no ] || fail "it said yes, and dd shares nothing: $(cat "$scratch/said")"
    fi
}

# find itself reads the directories: of those all but the time of access counts.
only_files() {
    awk '$3 == "d" { $7 = "-" } { print }' "$1"
}

sources() { # DIRECTORY
    make_source "$1/source" 8400953
    sleep 0.05
}

# ---- file systems ----------------------------------------------------------------------------------

new_file() {
    judges yes source copy "tried with the first 4.0 MiB"
    judges yes source copy "the destination holds data"
}

into_directory() {
    mkdir sub
    judges yes source sub "sub/source"
}

odd_sizes() {
    local size
    for size in 65536 65537 69632 1048575 4194304 4194305; do
        make_source "of$size" $size
        file_tick
        judges yes "of$size" "copy$size" "A copy would be offloaded by clone."
    done
}

file_tick() {
    local now
    now=$(date +%s%N)
    while [ "$(date +%s%N)" -lt $((now + 30000000)) ]; do :; done
}

too_small() {
    make_source small 65535
    file_tick
    judges no small copy-small "OFFLOAD_MIN_SIZE"
    : >empty
    OFFLOAD_MIN_SIZE=0 asked 1 empty copy-empty
    says "the source is empty"
    OFFLOAD_MIN_SIZE=1 judges_with OFFLOAD_MIN_SIZE=1 yes small copy-small2 "all of it"
}

judges_with() { # NAME=VALUE ARGUMENT...: the setting is dd's too
    local setting=$1
    shift
    (
        export "${setting?}"
        judges "$@"
    )
}

young() {
    make_source young 1000000
    asked 0 young copy-young
}

by_settings() {
    judges_with OFFLOAD=off no source copy-a "OFFLOAD=off"
    judges_with OFFLOAD_ENGINES=kernel no source copy-b "OFFLOAD_ENGINES" || [ $? -eq 0 ]
}

symbolic_link() {
    mkdir -p other
    ln -sf other/target link
    asked 125 source link
    : >other/target
    judges yes source link "link (0 bytes)"
}

refuses_plain() { # on ext4 and tmpfs
    local text="cannot share extents"
    judges no source copy "$text"
}

plan 1
on_each "xfs" 1 true
