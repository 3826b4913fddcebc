#!/bin/bash
# What is in the built object: it needs libc only, is sealed once it is loaded, and exports the names
# of the table of calls and no other.
. "$(dirname "$0")/../fixture.sh"
need readelf nm

needs_only_libc() {
    needed=$(readelf -dW "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
    # Before glibc 2.34 two parts of libc were libraries of their own.
    others=$(printf '%s\n' "$needed" | grep -vE '^(libc\.so\.6|ld-linux.*|libdl\.so\.2|libpthread\.so\.0)$') || true
    [ -z "$others" ] || fail "it needs $others"
}

is_sealed() {
    dynamic=$(readelf -dW "$library")
    printf '%s\n' "$dynamic" | grep -q 'BIND_NOW' || fail "no BIND_NOW"
    readelf -lW "$library" | grep -q GNU_RELRO || fail "no RELRO"
    if printf '%s\n' "$dynamic" | grep -q TEXTREL; then
        fail "it has text relocations"
    fi
    if readelf -lW "$library" | grep 'GNU_STACK' | grep -q 'E '; then
        fail "its stack is executable"
    fi
}

static_tls() {
    if readelf -rW "$library" | grep -E 'TLSDESC|DTPMOD|TLS_TPREL.*__tls_get_addr'; then
        fail "thread-local state that libc may have to allocate"
    fi
    if nm -D "$library" | grep -w __tls_get_addr; then
        fail "it calls __tls_get_addr"
    fi
}

exported() {
    nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u
}

# By the preprocessor, as a reader of the table would: not by the version script that the build made.
declared() {
    printf '%s\n' '#define FAMILY_ALL' '#define CALL(returns, name, ...) @name' \
        '#define TWIN(twin, name) @twin' '#define HANDOVER(name) @name' \
        '#define ENDING(name) @name' '#define THREADING(name) @name' '#define LENDING(name) @name' '#define CLONING(name) @name' '#define HOOK_ONLY(name) @name' "#include \"$source_tree/src/hooks/calls.def\"" |
        ${OFFLOAD_TEST_CC:-cc} -E -P -D_GNU_SOURCE -x c - | sed -n 's/^@ *\([A-Za-z_0-9]*\).*/\1/p' | sort -u
}

exports_the_table() {
    command -v "${OFFLOAD_TEST_CC:-cc}" >/dev/null || skip "there is no compiler"
    declared >"$scratch/declared"
    exported >"$scratch/exported"
    [ -s "$scratch/declared" ] || fail "the table was not understood"
    diff -u "$scratch/declared" "$scratch/exported" || fail "the exported names are not those of calls.def"
}

list_libc() {
    libc=$(ldd "$library" | sed -n 's/.*libc\.so\.6 => \([^ ]*\).*/\1/p')
    [ -r "$libc" ] || skip "libc was not found"
    # What is private to glibc, no program can have been linked to.
    nm -D --defined-only "$libc" | awk '!/GLIBC_PRIVATE/ { sub(/@.*/, "", $3); print $3 }' |
        sort -u >"$scratch/libc"
    exported >"$scratch/exported"
}

# By whatever of these that the libc has; some are newer than others.
starts_of_processes() {
    list_libc
    printf '%s\n' fork _Fork vfork clone daemon forkpty system popen wordexp posix_spawn posix_spawnp pidfd_spawn pidfd_spawnp |
        sort | comm -12 - "$scratch/libc" >"$scratch/starts"
    # Before 2.34 one of the first ten was in a library of its own, and another not there yet.
    [ "$(wc -l <"$scratch/starts")" -ge 8 ] || fail "only these are libc's: $(cat "$scratch/starts")"
    missing=$(comm -23 "$scratch/starts" "$scratch/exported")
    [ -z "$missing" ] || fail "not hooked: $missing"
}

# glibc's own other names for a hooked call would pass the library by.
known_aliases() {
    list_libc
    missing=
    while read -r name; do
        for alias in "${name}64" "__$name" "__${name}64" "__${name}_chk" "__${name}64_chk" "__${name}_2" "__${name}64_2" "__libc_$name"; do
            if grep -qx "$alias" "$scratch/libc" && ! grep -qx "$alias" "$scratch/exported"; then
                missing="$missing $alias"
            fi
        done
    done < <(grep -vE '^_|(64|_unlocked)$' "$scratch/exported")
    [ -z "$missing" ] || fail "libc exports these too, and they are not hooked:$missing"
}

plan 6
verdict "needs libc only" needs_only_libc
verdict "is sealed when it is loaded" is_sealed
verdict "has static thread-local state" static_tls
verdict "exports the table of calls" exports_the_table
verdict "stands before what starts processes" starts_of_processes
verdict "knows the other names of its calls" known_aliases
