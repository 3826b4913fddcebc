#!/bin/bash
# Programs that read one file and write another without copying it: what they write must be, to the
# last byte, what they write without the library.
. "$(dirname "$0")/../fixture.sh"
need_root
export HOME=$scratch

as_plain() { # PROGRAM COMMAND...
    local program=$1
    shift
    command -v "$program" >/dev/null || skip "$program is not installed"
    both "$@"
    expect_status 0
    [ -s ours/copy ] || [ -d ours/copy ] || fail "$program wrote nothing"
}

key=000102030405060708090a0b0c0d0e0f

reflink_filesystem() {
    make_source source
    touch -d '2001-02-03 04:05:06' source
    verdict "tr of two letters on $fs" as_plain tr sh -c 'tr ab cd <../source >copy'
    # The same letters: tr changes nothing, and its output is the source.
    verdict "tr of no letter on $fs" as_plain tr sh -c 'tr a a <../source >copy'
    verdict "gzip on $fs" as_plain gzip sh -c 'gzip -n -1 <../source >copy && gzip -dc copy >back'
    verdict "sed on $fs" as_plain sed sh -c 'sed s/Quick/quick/ ../source >copy'
    verdict "sed -i on $fs" as_plain sed sh -c 'cp ../source copy && sed -i 1d copy'
    verdict "dd conv=ucase on $fs" as_plain dd dd if=../source of=copy bs=64k conv=ucase status=noxfer
    verdict "dd conv=swab on $fs" as_plain dd dd if=../source of=copy bs=64k conv=swab status=noxfer
    verdict "openssl enc on $fs" as_plain openssl sh -c "
        openssl enc -aes-128-ctr -K $key -iv $key -nosalt -in ../source -out copy &&
        openssl enc -d -aes-128-ctr -K $key -iv $key -nosalt -in copy -out back"
    verdict "rsync on $fs" as_plain rsync rsync -a ../source copy
    verdict "rsync --inplace -W on $fs" as_plain rsync rsync -a --inplace -W ../source copy
    verdict "7z on $fs" as_plain 7z sh -c '
        7z a -mx0 -bso0 -bsp0 copy.7z ../source && mv copy.7z copy && 7z t -bso0 -bsp0 copy'
    verdict "zip on $fs" as_plain zip sh -c 'cp -p ../source source && zip -q -X -0 copy.zip source &&
        mv copy.zip copy'
    verdict "tar on $fs" as_plain tar sh -c '
        tar cf copy -C .. source && mkdir back && tar xf copy -C back'
}

plan 26
on_each "xfs btrfs" 13 reflink_filesystem
