#!/bin/bash
# The RPM package, built from the tarball.
. "$(dirname "$0")/built.sh"
need rpmbuild rpm

look() {
    have rpm
    rpm=$(find "$built" -name "copy-offload-$version-*.$(uname -m).rpm")
    [ -e "$rpm" ] || fail "there is no package: $(ls "$built")"
}

ask() { # OPTION... PACKAGE
    rpm --dbpath "$scratch/rpmdb" -qp "$@"
}

builds() {
    look
    grep -q '^PASS: tests/build/object.sh' "$built/rpm.log" || fail "the build did not run its tests"
}

holds() {
    look
    libdir=$(rpm --eval '%{_libdir}')
    ask -l "$rpm" >"$scratch/held"
    for wanted in /usr/bin/offload '/usr/share/man/man1/offload.1.*' '/usr/share/man/man7/liboffload.7.*' "$libdir/liboffload.so" "$libdir/pkgconfig/copy-offload.pc" /usr/lib/offload; do
        grep -qx "$wanted" "$scratch/held" || fail "it lacks $wanted"
    done
    elsewhere=$(grep -vE "^(/usr/bin/offload|$libdir/(liboffload\.so|pkgconfig/copy-offload\.pc)|/usr/lib/(offload|\.build-id.*)|/usr/share/(man/man[17]/.*|bash-completion/.*|zsh/.*)|/usr/share/(doc|licenses)/copy-offload-$version(/.*)?)$" "$scratch/held") || true
    [ -z "$elsewhere" ] || fail "it has also:" "$elsewhere"
    ask --licensefiles "$rpm" | grep -q LICENSE || fail "the license is not marked as one"
}

example_names_library() {
    look
    rpm2cpio "$rpm" | (cd "$scratch" && cpio -id --quiet '*/offload.bt')
    named=$(find "$scratch" -path '*/doc/*/offload.bt' -exec sed -n 's/^usdt:\(.*\):liboffload:.*/\1/p' {} + | sort -u)
    [ "$named" = "$(rpm --eval '%{_libdir}')/liboffload.so" ] || fail "it names $named"
}

needs_libc_alone() {
    look
    others=$(ask --requires "$rpm" | grep -vE '^(ld-linux.*|libc\.so\.6.*|rpmlib\(.*|rtld\(.*)') || true
    [ -z "$others" ] || fail "it needs $others"
}

# LLVM's packages may promise a library of the same name.
promises_no_library() {
    look
    ! ask --provides "$rpm" | grep liboffload || fail "it promises a library to others"
}

rpmlint_is_content() {
    look
    command -v rpmlint >/dev/null || skip "rpmlint is not installed"
    rpmlint --rpmlintrc "$source_tree/packaging/copy-offload.rpmlintrc" "$built"/*.rpm \
        "$source_tree/packaging/copy-offload.spec" >"$scratch/rpmlint" 2>&1 || fail "$(cat "$scratch/rpmlint")"
    grep -q ' 0 errors, 0 warnings' "$scratch/rpmlint" || fail "$(cat "$scratch/rpmlint")"
}

plan 6
verdict "builds from the tarball" builds
verdict "holds what it should" holds
verdict "the script for bpftrace names its library" example_names_library
verdict "needs libc alone" needs_libc_alone
verdict "promises no library" promises_no_library
verdict "rpmlint has nothing to say" rpmlint_is_content
