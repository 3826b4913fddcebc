# shellcheck shell=bash
# Where the compiled programs of the tester are: beside the scripts, in a build tree, or made here
# and now.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

compile_programs() {
    local cc="${OFFLOAD_TEST_CC:-cc} -std=gnu11 -D_GNU_SOURCE -O2"
    local program=(generate.c program.c sources.c)
    $cc -o "$programs/differ" differ.c pair.c compare.c "${program[@]}" &&
        $cc -shared -fPIC -o "$programs/mutant.so" mutant.c -ldl &&
        $cc -pthread -o "$programs/actor" actor.c process.c stream.c kcopy.c many.c copy.c attributes.c \
            files.c buffers.c trace.c "${program[@]}"
}

build_programs() {
    for programs in "${OFFLOAD_TEST_BUILD:-.}/tests/transparency" "$here"; do
        [ -x "$programs/actor" ] && [ -x "$programs/differ" ] && [ -e "$programs/mutant.so" ] &&
            return
    done
    programs=$(mktemp -d)
    trap 'rm -rf "$programs"' EXIT
    chmod 755 "$programs"
    (cd "$here" && compile_programs) || exit 2
}
