#!/bin/bash
# The Debian package, built from the tarball.
. "$(dirname "$0")/built.sh"
need dpkg-buildpackage dh lintian readelf pkg-config
dpkg-checkbuilddeps "$source_tree/debian/control" 2>"$scratch/missing" || skip_all "$(tail -n 1 "$scratch/missing")"

triplet=$(dpkg-architecture -qDEB_HOST_MULTIARCH)

# Each verdict looks at the same package, which the first one builds.
look() {
    have deb
    deb=$(echo "$built"/copy-offload_*.deb)
    unpacked=$scratch/unpacked
    [ -d "$unpacked" ] || dpkg-deb -R "$deb" "$unpacked"
}

builds() {
    look
    for part in .dsc .orig.tar.xz .debian.tar.xz .deb; do
        [ "$(find "$built" -name "copy-offload_*$part" | wc -l)" -eq 1 ] || fail "no $part: $(ls "$built")"
    done
}

ran_tests() {
    look
    for test in tests/unit.sh tests/build/object.sh; do
        grep -q "^PASS: $test" "$built/deb.log" || fail "the build did not run $test"
    done
}

lintian_is_content() {
    look
    lintian --allow-root --info --display-info --fail-on error,warning "$built"/*.changes
}

holds() {
    look
    (cd "$unpacked" && find . -path ./DEBIAN -prune -o ! -type d -printf '%P\n' | sort) >"$scratch/held"
    for wanted in usr/bin/offload "usr/lib/$triplet/liboffload.so" "usr/lib/$triplet/pkgconfig/copy-offload.pc" \
        usr/share/man/man1/offload.1.gz usr/share/man/man7/liboffload.7.gz usr/share/zsh/vendor-completions/_offload \
        usr/share/bash-completion/completions/offload usr/share/doc/copy-offload/examples/offload.conf \
        usr/share/doc/copy-offload/copyright usr/share/doc/copy-offload/changelog.Debian.gz; do
        grep -qx "$wanted" "$scratch/held" || fail "it lacks $wanted"
    done
    [ -z "$(ls -A "$unpacked/usr/lib/offload")" ] || fail "/usr/lib/offload is not empty"
    elsewhere=$(grep -vE "^usr/(bin/offload|lib/$triplet/(liboffload\.so|pkgconfig/copy-offload\.pc)|\
share/(doc/copy-offload|lintian/overrides|man/man[17]|bash-completion|zsh)/.*)$" "$scratch/held") || true
    [ -z "$elsewhere" ] || fail "it has also:" "$elsewhere"
}

# bpftrace takes it as it is installed.
example_names_library() {
    look
    sed -n 's/^usdt:\(.*\):liboffload:.*/\1/p' "$unpacked/usr/share/doc/copy-offload/examples/offload.bt" | sort -u >"$scratch/named"
    [ "$(cat "$scratch/named")" = "/usr/lib/$triplet/liboffload.so" ] || fail "it names $(cat "$scratch/named")"
}

changes_nothing_else() {
    look
    for file in conffiles preinst postinst prerm postrm config; do
        [ ! -e "$unpacked/DEBIAN/$file" ] || fail "it has $file: $(cat "$unpacked/DEBIAN/$file")"
    done
}

depends_on_libc() {
    look
    depends=$(dpkg-deb -f "$deb" Depends | sed 's/ *([^)]*)//g')
    [ "$depends" = libc6 ] || fail "it depends on $depends"
    [ -z "$(dpkg-deb -f "$deb" Pre-Depends Recommends)" ] || fail "it wants more: $(dpkg-deb -f "$deb")"
}

tells_whats_inside() {
    look
    dpkg-deb -f "$deb" Static-Built-Using | grep -qE '^jansson \(= [^)]+\)$' ||
        fail "Static-Built-Using is: $(dpkg-deb -f "$deb" Static-Built-Using)"
    grep -aq 'JSON_DECODE_ANY\|json_dumps\|unable to decode byte' "$unpacked/usr/bin/offload" ||
        fail "Jansson is not in the command"
}

is_hardened() {
    look
    for object in "$unpacked/usr/bin/offload" "$unpacked/usr/lib/$triplet/liboffload.so"; do
        readelf -hW "$object" | grep -q 'Type: *DYN' || fail "$object is not position independent"
        readelf -lW "$object" | grep -q GNU_RELRO || fail "$object has no RELRO"
        readelf -dW "$object" | grep -qE 'BIND_NOW|FLAGS_1.*NOW' || fail "$object is bound as it goes"
        ! readelf -dW "$object" | grep -qE 'RPATH|RUNPATH' || fail "$object has a run path"
    done
    readelf --dyn-syms -W "$unpacked/usr/bin/offload" | grep -q '_chk@' || fail "the command is not fortified"
}

is_reproducible() {
    look
    folder="$scratch/another place"
    mkdir -p "$folder" "$scratch/elsewhere"
    forbid git
    (
        umask 077
        export TMPDIR=$scratch/elsewhere DEB_BUILD_OPTIONS=nocheck
        alone env TZ=Asia/Tokyo "$source_tree/scripts/package" deb "$folder" "$tarball" >"$scratch/again.log" 2>&1 ||
            fail "$(tail -n 20 "$scratch/again.log")"
    )
    for name in "$(basename "$deb")" "$(cd "$built" && ls copy-offload_*.debian.tar.xz)"; do
        cmp "$built/$name" "$folder/$name" || fail "$name differs when it is built in another place"
    done
    cp "$folder/deb.log" "$scratch/again.log"
}

honours_nocheck() {
    [ -s "$scratch/again.log" ] || fail "the second build left no log"
    ! grep -E '^PASS:|make.* check( |$)' "$scratch/again.log" || fail "tests were run though nocheck was set"
}

source_unpacks() {
    look
    dpkg-source -x "$(echo "$built"/*.dsc)" "$scratch/source" >"$scratch/dpkg-source.log" 2>&1 ||
        fail "$(cat "$scratch/dpkg-source.log")"
    mkdir "$scratch/plain"
    tar -C "$scratch/plain" -xf "$tarball"
    # dpkg-source's own notes.
    diff -r --exclude=.pc "$scratch/plain/liboffload-$version" "$scratch/source" || fail "the source package is not the tarball"
}

tells_pkg_config() {
    look
    export PKG_CONFIG_LIBDIR=$unpacked/usr/lib/$triplet/pkgconfig
    preload=$(pkg-config --variable=preload copy-offload)
    [ "$preload" = "/usr/lib/$triplet/liboffload.so" ] || fail "pkg-config says preload=$preload"
    [ -e "$unpacked$preload" ] || fail "$preload is not in the package"
}

plan 13
verdict "builds without git and network" builds
verdict "the build runs tests" ran_tests
verdict "lintian has nothing to say" lintian_is_content
verdict "holds what it should" holds
verdict "the script for bpftrace names its library" example_names_library
verdict "has no scripts and no configuration" changes_nothing_else
verdict "depends on libc alone" depends_on_libc
verdict "tells what is linked into it" tells_whats_inside
verdict "is hardened" is_hardened
verdict "is the same from another place" is_reproducible
verdict "honours nocheck" honours_nocheck
verdict "the source package is the tarball" source_unpacks
verdict "pkg-config finds the library" tells_pkg_config
