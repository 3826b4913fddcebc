#!/bin/bash
# The script for bpftrace, and the four probes that it listens to.
. "$(dirname "$0")/../fixture.sh"
script=$source_tree/examples/offload.bt

built_with_probes() {
    grep -q '^#define HAVE_SYS_SDT_H 1' "$build/config.h" || skip "the library was built without <sys/sdt.h>"
}

probes() {
    built_with_probes
    command -v readelf >/dev/null || skip "readelf is not installed"
    readelf -n "$library" | sed -n '/Provider: liboffload$/{n;s/.*Name: //p}' | sort -u | tr '\n' ' ' >"$scratch/notes"
    [ "$(cat "$scratch/notes")" = 'offload recognise refuse settle ' ] || fail "the probes: $(cat "$scratch/notes")"
    sed -n 's/^usdt:.*:liboffload:\([a-z]*\)$/\1/p' "$script" | sort -u | tr '\n' ' ' >"$scratch/listened"
    cmp "$scratch/notes" "$scratch/listened" || fail "the script listens to: $(cat "$scratch/listened")"
}

localised() {
    sed "s|usdt:/usr/lib/liboffload.so|usdt:$library|" "$script" >"$scratch/offload.bt"
}

parsed() {
    built_with_probes
    command -v bpftrace >/dev/null || skip "bpftrace is not installed"
    localised
    limited bpftrace -d "$scratch/offload.bt" >"$scratch/parsed" 2>&1 || {
        # Without BTF, BPF or the right to use it, bpftrace says so before it reads the script.
        if grep -qiE 'root|permitted|not supported|BTF|kernel' "$scratch/parsed"; then
            skip "bpftrace does not work here: $(head -n 1 "$scratch/parsed")"
        fi
        fail "$(tail -n 20 "$scratch/parsed")"
    }
    # It does look at the script.
    printf 'usdt:%s:liboffload:recognise { nonsense(arg0); }\n' "$library" >"$scratch/wrong.bt"
    if limited bpftrace -d "$scratch/wrong.bt" >/dev/null 2>&1; then
        fail "bpftrace -d takes anything"
    fi
}

traces() {
    built_with_probes
    command -v bpftrace >/dev/null || skip "bpftrace is not installed"
    [ "$(id -u)" -eq 0 ] || skip "only root may trace"
    limited bpftrace -e 'BEGIN { exit(); }' >"$scratch/bpf" 2>&1 ||
        skip "bpftrace cannot trace here: $(head -n 1 "$scratch/bpf")"
    mount_xfs >"$scratch/mount.log" 2>&1 || skip "XFS cannot be mounted here: $(tail -n1 "$scratch/mount.log")"
    cd "$mount"
    make_source source
    localised
    limited bpftrace -c "$(command -v env) LD_PRELOAD=$library dd if=source of=copy bs=64k status=none" \
        "$scratch/offload.bt" >"$scratch/traced" 2>&1 || fail "$(cat "$scratch/traced")"
    grep -q 'recognise' "$scratch/traced" && grep -q 'by clone' "$scratch/traced" ||
        fail "it showed: $(cat "$scratch/traced")"
}

plan 3
verdict "the library has the probes that the script listens to" probes
verdict "bpftrace takes the script" parsed
verdict "bpftrace shows a copy" traces
