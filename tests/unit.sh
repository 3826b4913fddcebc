#!/bin/bash
# Runs the Criterion tests of the library's core, each of which is a verdict.
. "$(dirname "$0")/fixture.sh"

program=$build/tests/unit/unit
[ -x "$program" ] || skip_all "Criterion was not there at configure time: install libcriterion-dev"

# The tests of a session need a file system that shares extents: where none can be mounted, they
# use the place of temporary files, and say so if it is none.
export TMPDIR=$scratch
if [ "$(id -u)" -eq 0 ] && mount_xfs; then
    TMPDIR=$mount
fi
# The status says what the verdicts say too, unless the runner itself ended badly.
"$program" --tap --always-succeed || echo "Bail out! the unit tests ended with status $?"
