#!/bin/bash
# The drop-in for systemd: what systemd would make of its lines, for a unit with the filters of a careful service.
. "$(dirname "$0")/../fixture.sh"
need_root
dropin=$source_tree/examples/systemd/offload.conf

# The variables that a unit gets from the drop-in: NAME=VALUE, a line each. Words in it would need quotes; none has any.
environment() {
    sed -n 's/^Environment=//p' "$dropin" | sed "s|LD_PRELOAD=liboffload.so|LD_PRELOAD=$library|"
}

verified() {
    command -v systemd-analyze >/dev/null || skip "systemd-analyze is not installed"
    mkdir -p units/copier.service.d
    cp "$dropin" units/copier.service.d
    cat >units/copier.service <<'END'
[Unit]
Description=Copies
[Service]
ExecStart=/bin/true
SystemCallFilter=@system-service
MemoryDenyWriteExecute=yes
END
    # It may have something to say about units that are installed here.
    SYSTEMD_LOG_LEVEL=info systemd-analyze verify --man=no "$PWD/units/copier.service" >verify.log 2>&1 || true
    if grep -E 'copier|offload' verify.log; then
        fail "systemd complains of the drop-in"
    fi
    # The check can see a mistake: else it would prove nothing.
    sed -i 's/^Environment=/Enviroment=/' units/copier.service.d/offload.conf
    SYSTEMD_LOG_LEVEL=info systemd-analyze verify --man=no "$PWD/units/copier.service" >verify.log 2>&1 || true
    grep -q 'Enviroment' verify.log || skip "systemd-analyze does not look at drop-ins here"
}

copies() {
    mapfile -t variables < <(environment)
    [ ${#variables[@]} -ge 2 ] || fail "no variables in $dropin"
    rm -f plain copy
    limited env -i PATH=/usr/bin:/bin dd if=source of=plain bs=64k status=none
    limited env -i PATH=/usr/bin:/bin "${variables[@]}" "$@" dd if=source of=copy bs=64k status=none
    assert_not_shared source plain
    assert_shared source copy
    assert_same source copy
}

by_name() {
    mkdir -p "$scratch/lib"
    cp "$library" "$scratch/lib"
    rm -f copy
    limited env -i PATH=/usr/bin:/bin LD_LIBRARY_PATH="$scratch/lib" LD_PRELOAD=liboffload.so OFFLOAD_CONFIG=none \
        dd if=source of=copy bs=64k status=none
    assert_shared source copy
}

# The group @system-service as this systemd has it, given to the kernel as systemd does.
filtered() {
    command -v systemd-analyze >/dev/null || skip "systemd-analyze is not installed"
    # The module is the distribution's, which another Python in the PATH does not have.
    for python in python3 /usr/bin/python3 ''; do
        ! "$python" -c 'import seccomp' 2>/dev/null || break
    done
    [ -n "$python" ] || skip "Python's seccomp module is not installed"
    cat >filter.py <<'END'
import os, subprocess, sys, seccomp
names, seen = set(), set()
def add(group):
    if group in seen: return
    seen.add(group)
    for line in subprocess.run(["systemd-analyze", "syscall-filter", group], capture_output=True, text=True,
                               check=True).stdout.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"): add(word)
        elif word and not word.startswith("#"): names.add(word)
for group in ("@default", "@system-service"): add(group)
filter = seccomp.SyscallFilter(seccomp.ERRNO(1))
for name in names:
    try: filter.add_rule(seccomp.ALLOW, name)
    except (OSError, ValueError, RuntimeError): pass  # another architecture's call
filter.load()
os.execvp(sys.argv[1], sys.argv[1:])
END
    mapfile -t variables < <(environment)
    rm -f copy
    limited env -i PATH=/usr/bin:/bin "$python" filter.py "$build/offload" --report dd if=source of=copy bs=64k \
        status=none 2>report
    assert_shared source copy
    grep -q '^offload: 1 file, .* 100.0% offloaded' report || fail "the report: $(cat report)"
    rm -f copy
    limited env -i PATH=/usr/bin:/bin "$python" filter.py env "${variables[@]}" dd if=source of=copy bs=64k status=none
    assert_shared source copy
}

# The command in ExecStart, as systemd starts it: almost no environment, a session of its own, and the journal's socket for
# all that is printed. It is stopped as systemd stops a service, by a SIGTERM to each of its processes.
as_service() {
    rm -f copy
    mkdir -p tmp
    limited python3 - "$build/offload" "$PWD" <<'END'
import os, signal, socket, subprocess, sys, time
offload, folder = sys.argv[1:]
def start(*command):
    ours, journal = socket.socketpair()
    service = subprocess.Popen([offload, "-v", "--report", *command], stdin=subprocess.DEVNULL, stdout=journal,
                               stderr=journal, cwd="/", start_new_session=True, env={
                                   "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TMPDIR": f"{folder}/tmp",
                                   "INVOCATION_ID": "0" * 32})
    journal.close()
    return service, ours
service, ours = start("dd", f"if={folder}/source", f"of={folder}/copy", "bs=64k", "status=none")
printed = ours.makefile().read()
assert service.wait() == 0, service.returncode
assert printed.count("bytes by clone: ") == 1 and "offload: 1 file, " in printed, printed
service, ours = start("sh", "-c", "trap 'echo stopped; exit 3' TERM; echo ready; while :; do sleep 0.1; done")
assert ours.recv(100) == b"ready\n"
os.killpg(service.pid, signal.SIGTERM)
printed = ours.makefile().read()
assert service.wait() == 3, service.returncode
assert "stopped" in printed and "no copy was recognised" in printed, printed
END
    assert_shared source copy
    [ -z "$(ls -A tmp)" ] || fail "left behind: $(ls -A tmp)"
}

mount_xfs >"$scratch/mount.log" 2>&1 || skip_all "XFS cannot be mounted here: $(tail -n1 "$scratch/mount.log")"
cd "$mount" || exit 1
plan 5
make_source source
verdict "systemd takes the drop-in" verified
verdict "a service's copies are clones" copies
verdict "the library is found by its name" by_name
verdict "the command in ExecStart" as_service
verdict "under SystemCallFilter=@system-service" filtered
