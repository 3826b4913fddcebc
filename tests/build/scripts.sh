#!/bin/bash
# The scripts as a reader meets them: without the usual traps of the shell.
. "$(dirname "$0")/../fixture.sh"
need shellcheck

clean() { # SCRIPT
    # From its own directory, where it is run from the place it sources others by.
    cd "$source_tree/$(dirname "$1")" || exit
    shellcheck -x "$(basename "$1")"
}

cd "$source_tree" || exit 1
mapfile -t scripts < <(
    ls scripts/* .ci/run autogen.sh tests/lab/run tests/lab/machine tests/lab/image tests/lab/boot/* tests/lab/guest/init
    ls bench/programs/cat
    find bench tests -name '*.sh' -type f | sort
)
plan ${#scripts[@]}
for script in "${scripts[@]}"; do
    verdict "$script" clean "$script"
done
