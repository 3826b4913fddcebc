# shellcheck shell=bash
# What the shell of tests/lab/run --shell begins with: the mounts, and a word on what can be done with them.
export OFFLOAD_TEST_INSIDE=yes
# shellcheck source-path=SCRIPTDIR source=../guest.sh
. /lab/source/tests/lab/guest.sh
# Made for scripts: a shell would end at the first name that is mistyped.
set +u

for fs in xfs ext4 btrfs; do
    on_nfs $fs && echo "NFS of $fs: $mount, on the server $server_side"
    on_smb $fs && echo "SMB of $fs: $mount, on the server $server_side"
done
echo "run_preloaded COMMAND loads the library; the functions of tests/lab/guest.sh and tests/fixture.sh are all here."
echo "exit ends the guest, and so does Ctrl-A X."
cd "$scratch" || exit
PS1='guest:\w# '
