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
    [ "$mounted" = yes ] || skip "XFS cannot be mounted here: $(tail -n1 "$scratch/mount.log")"
    cd "$mount"
    make_source source
    localised
    limited bpftrace -B line "$scratch/offload.bt" >"$scratch/traced" 2>"$scratch/problems" &
    tracer=$!
    # Its first line comes before the probes are in place: copies are made until one is seen.
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        rm -f copy
        run_preloaded dd if=source of=copy bs=64k status=none
        ! grep -q 'settle' "$scratch/traced" || break
        kill -0 $tracer 2>/dev/null || break
        sleep 0.1
    done
    kill -INT $tracer 2>/dev/null || true
    wait $tracer || true
    for said in 'recognise .*is copied to' 'offload .* by clone' 'settle .*: [A-Z_]*$'; do
        grep -q "$said" "$scratch/traced" || fail "no '$said': $(cat "$scratch/traced" "$scratch/problems")"
    done
}

mounted=no
if [ "$(id -u)" -eq 0 ] && mount_xfs >"$scratch/mount.log" 2>&1; then
    mounted=yes
fi
plan 3
verdict "the library has the probes that the script listens to" probes
verdict "bpftrace takes the script" parsed
verdict "bpftrace shows a copy" traces
