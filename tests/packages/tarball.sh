#!/bin/bash
# The tarball: it holds what belongs to the project and nothing else, is the same wherever it is made,
# and is all that is needed to build, test and install.
. "$(dirname "$0")/built.sh"
need xz pkg-config

# What git knows and the tarball lacks on purpose:
#   .gitignore    is of no use outside of git
left_out='.gitignore'

# What the tarball has and git lacks on purpose: what autogen.sh makes, so that autotools are not needed.
made_by_autogen='^(aclocal\.m4|config\.h\.in|configure|Makefile\.in|(build-aux|m4)/.*)$'

holds_what_git_knows() {
    git -C "$source_tree" rev-parse --git-dir >/dev/null 2>&1 || skip "the source tree is not a git checkout"
    have tarball
    git -C "$source_tree" ls-files | sort >"$scratch/known"
    tar -tf "$tarball" | sed 's|^[^/]*/||' | grep -v '/$' | grep . | sort >"$scratch/held"
    missing=$(comm -23 "$scratch/known" "$scratch/held" | grep -vFx "$left_out") || true
    [ -z "$missing" ] || fail "not in the tarball, and not named in this test:" "$missing"
    [ -z "$(comm -12 <(printf '%s\n' "$left_out" | sort) "$scratch/held")" ] || fail "$left_out is in the tarball"
    more=$(comm -13 "$scratch/known" "$scratch/held" | grep -vE "$made_by_autogen") || true
    [ -z "$more" ] || fail "in the tarball, and unknown to git:" "$more"
}

# Builds from the tarball in a folder of its own: configure, make, a test, make install, make uninstall,
# make distclean, and the tarball again; with the sources read-only.
needs_no_more() {
    have tarball
    mkdir "$scratch/alone"
    tar -C "$scratch/alone" -xf "$tarball"
    cd "$scratch/alone/liboffload-$version" || exit
    forbid git autoconf autoheader automake aclocal autoreconf autom4te libtoolize
    umask 077
    alone ./configure -q
    TZ=Asia/Tokyo alone make -s distcheck TESTS=tests/build/object.sh >"$scratch/distcheck.log" 2>&1 ||
        fail "make distcheck: $(tail -n 30 "$scratch/distcheck.log")"
    grep -q '^PASS: tests/build/object.sh' "$scratch/distcheck.log" || fail "make distcheck ran no test"
}

gives_itself() {
    have tarball
    cmp "$tarball" "$scratch/alone/liboffload-$version/liboffload-$version.tar.xz" ||
        fail "the tarball that is made from the tarball is another one"
}

one_version() {
    in_package=$(sed -n '1s/^copy-offload (\(.*\)-[^-]*) .*/\1/p' "$source_tree/debian/changelog")
    [ "$in_package" = "$version" ] || fail "configure.ac has $version, debian/changelog $in_package"
    in_spec=$(sed -n 's/^Version: *//p' "$source_tree/packaging/copy-offload.spec")
    [ "$in_spec" = "$version" ] || fail "configure.ac has $version, copy-offload.spec $in_spec"
}

tells_pkg_config() {
    export PKG_CONFIG_PATH=$build/packaging
    [ "$(pkg-config --modversion copy-offload)" = "$version" ] ||
        fail "pkg-config says version $(pkg-config --modversion copy-offload)"
    libdir=$(pkg-config --variable=libdir copy-offload)
    [ "$(pkg-config --variable=preload copy-offload)" = "$libdir/liboffload.so" ] ||
        fail "pkg-config says preload=$(pkg-config --variable=preload copy-offload)"
    pkg-config --validate copy-offload
}

plan 5
verdict "holds what git knows" holds_what_git_knows
verdict "builds, tests and installs without git and autotools" needs_no_more
verdict "gives the same tarball again" gives_itself
verdict "has one version" one_version
verdict "pkg-config tells the version and the library" tells_pkg_config
