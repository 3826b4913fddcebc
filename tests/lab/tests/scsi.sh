#!/bin/bash
# The engine for SCSI disks, without the library around it: what it has a real target copy is right, nothing else on the
# disks changes, the machine moves none of it, and what cannot be copied is told and left alone.
# limit: 900
# shellcheck source-path=SCRIPTDIR/.. source=arrayfs.sh
. "$(dirname "$0")/../arrayfs.sh"

tool=$build/tests/tools/diskcopy
offload=$build/offload
# More than one command takes.
size=$((34 << 20))

# ---- disks and witnesses ------------------------------------------------------------------------------

# A disk that was taken away may have another name when it is back.
disk() { # NUMBER
    echo "/dev/$(scsi_node "$1" block)"
}

generic() { # NUMBER
    echo "/dev/$(scsi_node "$1" scsi_generic)"
}

# Text of which each sector names its place and its disk. What the kernel has of the disk is older.
fill() { # NUMBER
    local text=$scratch/text$1
    [ -e "$text" ] || perl -e 'for (my $n = 0; $n * 512 < $ARGV[0]; $n++) {
        print pack("A511x", sprintf("sector %012d of disk %d\n", $n, $ARGV[1]) x 14);
    }' $size "$1" >"$text"
    cp "$text" "$(lun_file "$1")"
    blockdev --flushbufs "$(disk "$1")"
}

# The target's own files are the disks: what is in them is compared, whole.
same_as() { # FILE NUMBER
    cmp "$1" "$(lun_file "$2")"
}

# What the machine has read from and written to SCSI disks, in sectors.
sectors_moved() {
    awk '$3 ~ /^sd/ { n += $6 + $10 } END { print n + 0 }' /proc/diskstats
}

# What the target has sent and been sent, in MB.
target_moved() {
    cat "$target"/core/fileio_0/*/statistics/scsi_lu/{read,write}_mbytes | awk '{ n += $1 } END { print n + 0 }'
}

# Has the disks copy, keeps what the tool says in $scratch/said, and fails if the machine moves data.
disks_copy() { # ARGUMENTS
    local before after
    before="$(sectors_moved) sectors, $(target_moved) MB"
    "$tool" "$@" >"$scratch/said" || {
        cat "$scratch/said"
        fail "diskcopy $*"
    }
    after="$(sectors_moved) sectors, $(target_moved) MB"
    [ "$before" = "$after" ] || fail "the machine moved data: $before before, $after after"
}

# A tool that does not copy, with what it says.
refuses() { # WHAT IS SAID, COMMAND...
    local said=$1
    shift
    ! "$@" >"$scratch/said" || fail "not refused: $*"
    grep -qx "$said" "$scratch/said" || {
        cat "$scratch/said"
        fail "not said: $said"
    }
}

commands() {
    grep -c '^command' "$scratch/said"
}

# COUNT random ranges of whole blocks, as the tool takes them: from the first half of a disk to the second.
random_ranges() { # COUNT BYTES OF A BLOCK
    perl -e 'my ($count, $block, $size) = @ARGV; srand 7; my $half = $size / $block / 2;
        for (1 .. $count) {
            my $n = 1 + int rand 300;
            printf "%d:%d:%d\n", $block * int(rand($half - $n)), $block * ($half + int rand($half - $n)), $block * $n;
        }' "$1" "$2" $size
}

# The same, made by reading and writing files.
copy_ranges() { # FROM TO RANGES...
    python3 -c '
import sys
with open(sys.argv[1], "rb") as source, open(sys.argv[2], "r+b") as target:
    for text in sys.argv[3:]:
        place, to, n = map(int, text.split(":"))
        source.seek(place)
        target.seek(to)
        target.write(source.read(n))
        target.flush()' "$@"
}

# ---- copies -------------------------------------------------------------------------------------------

between_disks() {
    fill 0
    fill 1
    disks_copy "$(disk 0)" "$(disk 1)"
    same_as "$(lun_file 0)" 1
    drop_caches
    cmp "$(disk 0)" "$(disk 1)"
}

# Nothing but the ranges changes, in the destination or the source.
in_ranges() { # SOURCE DESTINATION BYTES OF A BLOCK
    local source destination ranges
    source=$(lun_file "$1") destination=$(lun_file "$2")
    fill "$1"
    fill "$2"
    mapfile -t ranges < <(random_ranges 60 "$3")
    cp "$source" "$scratch/source"
    if [ "$1" = "$2" ]; then
        ln "$scratch/source" "$scratch/destination"
    else
        cp "$destination" "$scratch/destination"
    fi
    copy_ranges "$scratch/source" "$scratch/destination" "${ranges[@]}"
    disks_copy "$(disk "$1")" "$(disk "$2")" "${ranges[@]}"
    same_as "$scratch/source" "$1"
    same_as "$scratch/destination" "$2"
    rm "$scratch/source" "$scratch/destination"
}

of_4096() {
    in_ranges 2 3 4096
    cp "$(lun_file 3)" "$scratch/before"
    refuses "error 22" "$tool" "$(disk 2)" "$(disk 3)" 0:512:4096
    refuses "error 22" "$tool" "$(disk 2)" "$(disk 3)" 0:0:512
    same_as "$scratch/before" 3
}

keeps_to_the_ends() {
    local last=$((size - 4096))
    fill 0
    fill 1
    cp "$(lun_file 1)" "$scratch/before"
    refuses "error 22" "$tool" "$(disk 0)" "$(disk 1)" 0:$last:8192
    refuses "error 22" "$tool" "$(disk 0)" "$(disk 1)" $last:0:8192
    refuses "error 22" "$tool" "$(disk 0)" "$(disk 0)" 0:4096:8192
    same_as "$scratch/before" 1
    disks_copy "$(disk 0)" "$(disk 1)" 0:$last:4096 $last:0:4096
    copy_ranges "$(lun_file 0)" "$scratch/before" 0:$last:4096 $last:0:4096
    same_as "$scratch/before" 1
}

# Only nodes for commands are opened, and nowhere near the numbers that a program is given.
opens_no_disk() {
    strace -y -e trace=openat,fcntl -o "$scratch/calls" "$tool" "$(disk 0)" "$(disk 1)" 0:0:512 >/dev/null
    ! grep -E '"/dev/(sd|sg|block)' "$scratch/calls" || fail "a disk was opened"
    [ "$(grep -cE 'F_DUPFD_CLOEXEC.* = [0-9]{3,}.*/dev/bsg' "$scratch/calls")" = 2 ] || {
        cat "$scratch/calls"
        fail "not two nodes with high numbers"
    }
}

# The list that another's tool sends, but for how the command is named (the first two bytes).
sends_what_sg_xcopy_sends() {
    local ours theirs
    sg_list() {
        strace -xx -s 200 -e trace=ioctl "$@" 2>&1 >/dev/null | tr -d ' \n' |
            grep -oE '"\\x[0-9a-f]{2}\\x[0-9a-f]{2}\\x00\\x40(\\x[0-9a-f]{2}){104}"' | tail -n 1
    }
    ours=$(sg_list "$tool" "$(disk 0)" "$(disk 1)" 4096:8192:2048)
    theirs=$(sg_list sg_xcopy if="$(generic 0)" of="$(generic 1)" bs=512 skip=8 seek=16 count=4)
    if [ -z "$ours" ] || [ -z "$theirs" ]; then
        fail "a list was not seen: '$ours' '$theirs'"
    fi
    [ "${ours:9}" = "${theirs:9}" ] || fail "ours is $ours, theirs $theirs"
}

# ---- what comes between -------------------------------------------------------------------------------

# A disk that comes makes every other one tell of it at the next command.
after_a_disk_came() {
    hide_lun 3
    show_lun 3
    ! sg_turs "$(generic 1)" >/dev/null 2>&1 || fail "the disk had nothing to tell, so that this shows nothing"
    sg_turs "$(generic 1)" >/dev/null
    hide_lun 3
    show_lun 3
    fill 0
    disks_copy "$(disk 0)" "$(disk 1)"
    same_as "$(lun_file 0)" 1
}

# In small commands, so that there is time to do something to them; $copying is the tool's process.
start_copying() {
    fill 0
    fill 1
    rm -f "$scratch/said"
    "$@" "$tool" -r 16384 "$(disk 0)" "$(disk 1)" >"$scratch/said" 2>"$scratch/errors" &
    copying=$!
    wait_for grep -q ^command "$scratch/said"
}

# A command that a disk answers with what it has to tell is sent again.
while_a_disk_comes() {
    local asked
    strace -e trace=ioctl -o "$scratch/calls" "$tool" "$(disk 0)" "$(disk 1)" 0:0:512 >/dev/null
    asked=$(($(grep -c SG_IO "$scratch/calls") - 1))
    start_copying strace -e trace=ioctl -o "$scratch/calls"
    hide_lun 3
    show_lun 3
    wait $copying || fail "it ended with $(tail -n 1 "$scratch/said")"
    same_as "$(lun_file 0)" 1
    [ "$(grep -c SG_IO "$scratch/calls")" -gt $((asked + $(commands))) ] ||
        fail "no command was sent twice, so that this shows nothing"
}

# What was done is right, and what was not is as it was, but for the one command that may be half done.
ends_with() { # NUMBER OF THE DISK THAT GOES, ERROR NUMBERS THAT MAY BE TOLD
    local copied
    [ -d "$portal/lun/lun_$1" ] || show_lun "$1"
    start_copying
    hide_lun "$1"
    ! wait $copying || fail "the copy was done before the disk was gone"
    tail -n 2 "$scratch/said"
    grep -qE "^error ($2)$" "$scratch/said" || fail "another error: $(tail -n 1 "$scratch/said")"
    copied=$(sed -n 's/^bytes //p' "$scratch/said")
    [ "$copied" -lt $size ] || fail "all was done"
    cmp -n "$copied" "$(lun_file 0)" "$(lun_file 1)"
    tail -c +$((copied + 16384 + 1)) "$(lun_file 1)" >"$scratch/rest"
    show_lun "$1"
    fill 1
    tail -c +$((copied + 16384 + 1)) "$(lun_file 1)" | cmp - "$scratch/rest"
}

# A signal does not end a command: it ends as it would have, and so do the others.
stopped_and_continued() {
    local i
    start_copying
    for ((i = 0; i < 40; i++)); do
        kill -STOP $copying 2>/dev/null || break
        kill -CONT $copying
        sleep 0.02
    done
    [ "$i" -gt 3 ] || fail "it was too quick to be stopped"
    wait $copying
    same_as "$(lun_file 0)" 1
}

# When the program is gone, nothing goes on by itself. Each command changes what the one before it has made.
killed() {
    local first ranges=() i
    fill 0
    fill 1
    for ((i = 0; i < 100; i++)); do
        ranges+=(0:0:$((31 << 20)) 1048576:0:$((31 << 20)))
    done
    rm -f "$scratch/said"
    "$tool" "$(disk 0)" "$(disk 1)" "${ranges[@]}" >"$scratch/said" &
    copying=$!
    wait_for grep -q ^command "$scratch/said"
    kill -KILL $copying
    ! wait $copying 2>/dev/null || fail "it was done before it was killed"
    first=$(sha256sum <"$(lun_file 1)")
    sleep 1
    [ "$first" = "$(sha256sum <"$(lun_file 1)")" ] || fail "the disk was still being written to"
}

# ---- what cannot be -----------------------------------------------------------------------------------

# The bytes of the commands that were noted for it. 12 00 is INQUIRY of no page.
asked_of() { # NUMBER
    sed -n "s/.*scsi_dispatch_cmd_start:.* lun=$1 .* raw=\([0-9a-f ]*\)).*/\1/p" $tracing/trace
}

# There are disks that choke on what they do not know: one that does not copy is asked for nothing but that.
says_cannot() {
    local lun
    for lun in 0 1; do
        echo 0 >"$(lun_folder $lun)/attrib/emulate_3pc"
        note_commands
        refuses "open scsi DISK_CANNOT" "$tool" "$(disk 0)" "$(disk 1)" 0:0:4096
        asked_of $lun >"$scratch/asked"
        grep -q '^12 00 ' "$scratch/asked" || fail "the test itself is wrong: $(cat $tracing/trace)"
        ! grep -v '^12 00 ' "$scratch/asked" || fail "disk $lun was asked for more"
        echo 1 >"$(lun_folder $lun)/attrib/emulate_3pc"
    done
    refuses "open scsi DISK_CANNOT" "$tool" /dev/vdb "$(disk 1)" 0:0:4096
    disks_copy "$(disk 0)" "$(disk 1)" 0:0:4096
}

other_blocks() {
    refuses "open scsi DISK_FORMAT" "$tool" "$(disk 0)" "$(disk 2)" 0:0:4096
    refuses "open scsi DISK_FORMAT" "$tool" "$(disk 2)" "$(disk 0)" 0:0:4096
}

# Their numbers differ in the 26th digit alone, which the target leaves out of their names.
one_name() {
    make_lun 4 $size 512 aaaaaaaaaaaaaaaaaaaaaaaaa1
    make_lun 5 $size 512 aaaaaaaaaaaaaaaaaaaaaaaaa2
    refuses "open scsi DISKS_ALIKE" "$tool" "$(disk 4)" "$(disk 5)" 0:0:4096
}

# To this target a disk of another one is out of reach.
two_targets() {
    local second=$target/loopback/naa.5001405000000002/tpgt_1 first
    first=$(disk 0)
    mkdir -p "$second/lun/lun_0"
    echo naa.6001405000000002 >"$second/nexus"
    ln -s "$(lun_folder 1)" "$second/lun/lun_0/port"
    wait_for disk_beside "$first"
    refuses "open scsi DISKS_APART" "$tool" "$first" "/dev/$(disk_beside "$first")" 0:0:4096
    rm "$second/lun/lun_0/port"
    rmdir "$second/lun/lun_0" "$second" "${second%/*}"
}

# That of the other target.
disk_beside() { # DISK
    local disk
    for disk in /sys/class/scsi_device/*:0:1:0/device/block/*; do
        [ "/dev/${disk##*/}" = "$1" ] || basename "$disk"
    done | grep .
}

without_privilege() {
    cp "$(lun_file 1)" "$scratch/before"
    chmod 755 "$scratch"
    refuses "open scsi DISK_FORBIDDEN" setpriv --reuid 1000 --clear-groups "$tool" "$(disk 0)" "$(disk 1)"
    refuses "open scsi DISK_FORBIDDEN" setpriv --bounding-set -sys_rawio --inh-caps -all \
        "$tool" "$(disk 0)" "$(disk 1)"
    same_as "$scratch/before" 1
}

# ---- what the command says ----------------------------------------------------------------------------

doctor_knows() {
    "$offload" doctor >"$scratch/doctor"
    grep -A 2 "^${1#/dev/} " "$scratch/doctor" | tr -s ' \n' ' ' | grep -F -- "$2" || {
        sed -n '/^SCSI/,$p' "$scratch/doctor"
        fail "not said of $1: $2"
    }
}

doctor() {
    doctor_knows "$(disk 0)" "copies by itself; one command takes up to 31.0 MiB in 1 range"
    echo 0 >"$(lun_folder 0)/attrib/emulate_3pc"
    doctor_knows "$(disk 0)" "a disk does not copy by itself"
    echo 1 >"$(lun_folder 0)/attrib/emulate_3pc"
    setpriv --reuid 1000 --clear-groups "$offload" doctor >"$scratch/doctor"
    grep -A 2 "^$(basename "$(disk 0)") " "$scratch/doctor" | tr -s ' \n' ' ' | grep -F "only root may ask it"
}

# ---- others' tools ------------------------------------------------------------------------------------

# Each in turn, so that what else goes on is the same for both. Prints the fastest of five of each, in microseconds.
race() { # COMMAND... -- COMMAND...
    # shellcheck disable=SC2016 # the names are Perl's
    perl -MTime::HiRes=time -MList::Util=min -e '
        open my $out, ">&", \*STDOUT; open STDOUT, ">", "/dev/null"; open STDERR, ">&", \*STDOUT;
        my ($at) = grep { $ARGV[$_] eq "--" } 0 .. $#ARGV;
        my @commands = ([@ARGV[0 .. $at - 1]], [@ARGV[$at + 1 .. $#ARGV]]);
        my @times = ([], []);
        for (1 .. 5) {
            for my $i (0, 1) {
                my $begin = time;
                system(@{$commands[$i]}) == 0 or exit 1;
                push @{$times[$i]}, time - $begin;
            }
        }
        printf $out "%.0f %.0f\n", map { 1e6 * min(@$_) } @times' -- "$@"
}

# Within a command of the other tool, which leaves out what is more.
as_fast_as_others() {
    local blocks=65535 ours theirs times
    times=$(race "$tool" "$(disk 0)" "$(disk 1)" 0:0:$((blocks * 512)) -- \
        ddpt "if=$(generic 0)" "of=$(generic 1)" bs=512 iflag=xcopy count=$blocks)
    read -r ours theirs <<<"$times"
    echo "$((blocks * 512)) bytes: $ours us, ddpt $theirs us, ratio $((100 * ours / theirs)) %"
    [ "$ours" -lt $((theirs * 3 / 2)) ] || fail "it took half as long again"
}

plan 20
need_scsi $size || fail "no SCSI disks"
make_lun 2 $size 4096
make_lun 3 $size 4096
verdict "a disk copies to another" between_disks
verdict "ranges between disks" in_ranges 0 1 512
verdict "ranges within a disk" in_ranges 0 0 512
verdict "ranges between disks with sectors of 4096 bytes" of_4096
verdict "nothing beyond the ends, and nothing over what is read" keeps_to_the_ends
verdict "no disk is opened" opens_no_disk
verdict "the list is that of sg_xcopy" sends_what_sg_xcopy_sends
verdict "after a disk came" after_a_disk_came
verdict "while a disk comes" in_one_of_three while_a_disk_comes
verdict "while it is stopped and continued" in_one_of_three stopped_and_continued
verdict "when it is killed, nothing goes on" in_one_of_three killed
verdict "the destination vanishes" in_one_of_three ends_with 1 "5|6|19"
verdict "the source vanishes" in_one_of_three ends_with 0 "5"
verdict "disks that do not copy" says_cannot
verdict "disks with other blocks" other_blocks
verdict "disks with one name" one_name
verdict "disks of two targets" two_targets
verdict "without privilege" without_privilege
verdict "offload doctor" doctor
verdict "it takes no longer than ddpt" in_one_of_three as_fast_as_others
