#!/bin/bash
# The C sources as clang-format, clang-tidy and cppcheck see them. Other versions of the first two decide otherwise.
. "$(dirname "$0")/../fixture.sh"
need clang-format clang-tidy cppcheck

version=14
flags=(-std=gnu11 -D_GNU_SOURCE -DHAVE_CONFIG_H -DSYSCONFDIR='"/etc"' -DBINDIR='"/bin"' -DLIBDIR='"/lib"'
    -I"$source_tree/src" -I"$build")

is_of_the_version() { # PROGRAM
    "$1" --version | grep -q "version $version\." || skip "$1 is not of version $version: $("$1" --version | head -n 1)"
}

layout() {
    is_of_the_version clang-format
    find src tests bench -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run -Werror
}

tidy() { # FOLDER
    is_of_the_version clang-tidy
    # How many warnings of the system's own headers it has suppressed goes to standard error.
    find "$1" -maxdepth 1 -name '*.c' -print0 |
        xargs -0 -P "$(nproc)" -I'{}' clang-tidy --quiet '{}' -- "${flags[@]}" 2>"$scratch/tidy.log"
}

# The macros of calls.def are not the file's own.
cpp_check() {
    cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --inline-suppr -j "$(nproc)" \
        --suppress=unknownMacro --suppress=missingIncludeSystem -D__x86_64__=1 "${flags[@]:1}" src
}

cd "$source_tree" || exit 1
mapfile -t folders < <(find src -name '*.c' -printf '%h\n' | sort -u)
plan $((2 + ${#folders[@]}))
verdict "clang-format: src, tests, bench" layout
for folder in "${folders[@]}"; do
    verdict "clang-tidy: $folder" tidy "$folder"
done
verdict "cppcheck: src" cpp_check
