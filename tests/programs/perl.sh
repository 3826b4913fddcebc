#!/bin/bash
# Perl: File::Copy, and a loop of sysread and syswrite.
. "$(dirname "$0")/../fixture.sh"
need_root
need perl

shared_copy() {
    both perl -e "$1"
    expect_status 0
    assert_same source ours/copy
    assert_not_shared source plain/copy
    assert_shared source ours/copy
}

reflink_filesystem() {
    make_source source
    # shellcheck disable=SC2016 # the variables are Perl's
    verdict "sysread and syswrite on $fs become a clone" shared_copy '
open(my $in, "<", "../source") or die $!;
open(my $out, ">", "copy") or die $!;
my ($block, $n, $sum);
while ($n = sysread($in, $block, 65536)) {
    $sum += syswrite($out, $block, $n);
}
print "$sum\n";
'
    if perl -MFile::Copy -e 1 2>/dev/null; then
        verdict "File::Copy on $fs becomes a clone" shared_copy '
use File::Copy;
copy("../source", "copy") or die $!;
print -s "copy", "\n";
'
    else
        verdict "File::Copy on $fs becomes a clone" skip "this perl lacks File::Copy"
    fi
}

plan 4
on_each "xfs btrfs" 2 reflink_filesystem
