# shellcheck shell=bash
# Sourced by the tests of the packages, with tests/fixture.sh. What several of them look at is built
# once for the tarball that the sources give, and kept in the build tree until they give another.
#
#   have KIND    sets $built to the folder with KIND: tarball, deb, rpm, or old, a .deb of the version
#                before; and $tarball to the tarball. Ends a verdict's function where it cannot be built.
. "$(dirname "${BASH_SOURCE[0]}")/../fixture.sh"

# A make of our own, not a part of the one that may be running us.
unset MAKEFLAGS MAKELEVEL MFLAGS

kept=$build/tests/packages/built

# Commands that nobody needs who has the tarball. Who calls one all the same is written down.
forbid() { # COMMAND...
    local command
    mkdir -p "$scratch/forbidden"
    : >"$scratch/called"
    for command in "$@"; do
        printf '#!/bin/sh\necho "%s $*" >>"%s"\nexit 1\n' "$command" "$scratch/called" >"$scratch/forbidden/$command"
        chmod +x "$scratch/forbidden/$command"
    done
}

# As by somebody who has nothing but the tarball: no settings of ours, no network where it can be cut off.
# Fails if what is forbidden was called.
alone() { # COMMAND...
    local cut_off=() status=0
    if unshare --net true 2>/dev/null; then
        cut_off=(unshare --net)
    fi
    env -i PATH="$scratch/forbidden:$PATH" HOME="$scratch" TMPDIR="${TMPDIR:-/tmp}" LC_ALL=C \
        DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS-}" "${cut_off[@]}" "$@" || status=$?
    if [ -s "$scratch/called" ]; then
        echo "this was called: $(sort -u "$scratch/called")" >&2
        status=1
    fi
    return $status
}

make_old() { # FOLDER
    mkdir "$scratch/old"
    tar -C "$scratch/old" -xf "$tarball"
    (
        cd "$scratch/old/liboffload-$version" || exit
        sed -i 's/^\(AC_INIT(\[liboffload\], \)\[.*\])/\1[0.1.0])/' configure.ac
        sed -i '1s/(.*)/(0.1.0-1)/' debian/changelog
        DEB_BUILD_OPTIONS=nocheck alone dpkg-buildpackage -us -uc -b >"$1/old.log" 2>&1 ||
            fail "$(tail -n 20 "$1/old.log")"
    )
    mv "$scratch"/old/*.deb "$1"
    rm -rf "$scratch/old"
}

have() { # KIND
    local lock sum new kind=$1
    mkdir -p "$kept"
    exec {lock}>"$kept/lock"
    flock "$lock"
    make -s -C "$build" dist >"$kept/tarball.log" 2>&1 || fail "make dist: $(tail -n 20 "$kept/tarball.log")"
    new=$build/liboffload-$version.tar.xz
    sum=$(sha256sum "$new" | cut -c 1-16)
    # What the sources gave before is not looked at again.
    [ -d "$kept/$sum" ] || rm -rf "${kept:?}"/*/
    mkdir -p "$kept/$sum/tarball"
    mv "$new" "$kept/$sum/tarball"
    tarball=$kept/$sum/tarball/liboffload-$version.tar.xz
    built=$kept/$sum/$kind
    if ! [ -e "$built" ]; then
        forbid git
        rm -rf "$built.new"
        mkdir "$built.new"
        case $kind in
        old) make_old "$built.new" ;;
        *) alone "$source_tree/scripts/package" "$kind" "$built.new" "$tarball" >"$scratch/package.log" 2>&1 ||
            fail "scripts/package $kind: $(tail -n 40 "$scratch/package.log")" ;;
        esac
        mv "$built.new" "$built"
    fi
    flock -u "$lock"
}

version=$(sed -n 's/^AC_INIT(\[liboffload\], \[\(.*\)\])$/\1/p' "$source_tree/configure.ac")
