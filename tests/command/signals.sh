#!/bin/bash
# A watched command has the signals it would have alone: sent by whoever, to whichever of the two processes.
. "$(dirname "$0")/../fixture.sh"
need python3 ps

offload=$build/offload
export TMPDIR=$scratch/private
unset XDG_RUNTIME_DIR
mkdir "$TMPDIR"
cd "$scratch" || exit 1

until_true() { # COMMAND...
    for _ in {1..600}; do
        ! "$@" 2>/dev/null || return 0
        sleep 0.05
    done
    fail "never: $*"
}

nothing_left() {
    [ -z "$(ls -A "$TMPDIR")" ] || fail "left behind: $(ls -A "$TMPDIR")"
}

# Starts a watched program that says the signals it gets in ./got, and waits until it is ready for them.
# Sets $wrapper and $child.
start() { # HOW...
    rm -f ready got
    "$@" python3 -c '
import os, signal, sys
def note(number, frame):
    with open("got", "a") as got:
        print(signal.Signals(number).name, file=got)
    if number == signal.SIGTERM:
        sys.exit(42)
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGALRM,
               signal.SIGQUIT, signal.SIGCONT, signal.SIGRTMIN + 3):
    signal.signal(number, note)
with open("ready.new", "w") as ready:
    print(os.getpid(), file=ready)
os.rename("ready.new", "ready")
while True:
    signal.pause()
' 2>"$scratch/err" &
    wrapper=$!
    until_true [ -e ready ]
    child=$(cat ready)
}

finish() { # STATUS
    local status=0
    wait "$wrapper" || status=$?
    [ $status -eq "$1" ] || fail "it ended with $status: $(cat "$scratch/err")"
    nothing_left
}

is_forwarded() { # SIGNAL
    start "$offload" -v
    [ "$child" -ne "$wrapper" ] || fail "this is no child"
    kill -s "$1" "$wrapper"
    until_true grep -q "$1" got
    kill -TERM "$wrapper"
    finish 42
    [ "$(grep -c "$1" got)" -eq 1 ] || fail "not once: $(cat got)"
}

ends_alike() { # SIGNAL: by the same signal, with the summary before, and without a core
    local status=0
    (
        ulimit -c unlimited
        exec "$offload" --report sh -c "ulimit -c 0; kill -s $1 \$\$"
    ) 2>"$scratch/err" || status=$?
    [ $status -eq $((128 + $(kill -l "$1"))) ] || fail "it ended with $status"
    grep -q 'no copy was recognised' "$scratch/err" || fail "there was no summary"
    [ -z "$(find . -name 'core*')" ] || fail "a core: $(ls)"
    nothing_left
    # As waitpid(2) has it, not by a status that looks like it.
    python3 -c '
import signal, subprocess, sys
status = subprocess.run([sys.argv[1], "-v", "sh", "-c", "kill -s %s $$" % sys.argv[2]], stderr=subprocess.DEVNULL).returncode
assert status == -getattr(signal, "SIG" + sys.argv[2]), status
' "$offload" "$1"
}

keeps_statuses() {
    local status
    for expected in 0 1 124 125 126 127 128 255; do
        status=0
        "$offload" -v sh -c "exit $expected" || status=$?
        [ $status -eq $expected ] || fail "the status became $status, not $expected"
    done
}

# What is said at the end meets the limit, not the command, which writes nothing.
file_size_limit() {
    local status=0
    # shellcheck disable=SC2016
    bash -c 'ulimit -f 0; exec "$@"' bash "$offload" --report sh -c 'exit 7' 2>>limited-log || status=$?
    [ $status -eq 7 ] || fail "it ended with $status"
    nothing_left
}

cannot_start() {
    local status=0
    printf '#!/no/such/interpreter\n' >broken
    chmod +x broken
    "$offload" -v --report ./broken 2>"$scratch/err" || status=$?
    [ $status -eq 127 ] || fail "it ended with $status"
    [ "$(wc -l <"$scratch/err")" -eq 1 ] || fail "not one line: $(cat "$scratch/err")"
    nothing_left
}

# Mask, dispositions and descriptors, seen by a program that the kernel tells of them; the library is off, which has a
# descriptor of its own.
state='
import os
status = open("/proc/self/status").read()
print([line for line in status.splitlines() if line.startswith(("SigBlk", "SigIgn", "SigCgt"))])
print(sorted(int(fd) for fd in os.listdir("/proc/self/fd")), os.getpgrp(), os.getsid(0), os.getppid() > 0)
'
same_state() { # PYTHON TO RUN BEFORE EXEC
    cat >"$scratch/start.py" <<END
import os, signal, sys
$1
os.execv(sys.argv[1], sys.argv[1:])
END
    python3 "$scratch/start.py" "$(command -v python3)" -c "$state" >plain.state
    python3 "$scratch/start.py" "$offload" -v --off "$(command -v python3)" -c "$state" >our.state
    diff plain.state our.state || fail "the command's state is another"
}

process_group() {
    # shellcheck disable=SC2016
    "$offload" -v sh -c 'ps -o pgid= -p $$ -p $PPID' | sort -u >groups
    [ "$(wc -l <groups)" -eq 1 ] || fail "groups: $(cat groups)"
}

under_nohup() {
    start nohup "$offload" -v
    kill -HUP "$wrapper"
    # It is handed on, to a command that has asked for it itself.
    until_true grep -q SIGHUP got
    kill -TERM "$wrapper"
    finish 42
    rm -f nohup.out
    # One that has not never sees it.
    # shellcheck disable=SC2016
    nohup "$offload" -v sh -c 'echo $$ >ready; kill -HUP $$; kill -HUP $PPID; sleep 0.2; exit 7' 2>/dev/null &
    wait $! && fail "it ended with 0"
    [ $? -eq 7 ] || fail "a hangup ended it"
}

# A timer set before it, as perl -e 'alarm 5; exec @ARGV' does for want of timeout(1).
alarm_of_the_caller() {
    local status=0
    python3 -c '
import os, signal, sys
signal.alarm(1)
os.execv(sys.argv[1], sys.argv[1:])' "$offload" -v sleep 60 || status=$?
    [ $status -eq 142 ] || fail "it ended with $status"
    nothing_left
}

child_ignored_by_the_caller() {
    python3 -c '
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])' "$offload" -v sh -c 'exit 9' && fail "it ended with 0"
    [ $? -eq 9 ] || fail "the status was lost"
}

# A group of its own, whose leader's parent is in the session: in an orphaned one SIGTSTP stops nobody (signal(7)).
stops_and_goes_on() {
    set -m
    start "$offload" -v
    set +m
    kill -TSTP "$child"
    until_true grep -q '^State:.T' "/proc/$wrapper/status"
    kill -CONT "$wrapper"
    until_true grep -q SIGCONT got
    until_true grep -q '^State:.S' "/proc/$wrapper/status"
    kill -TERM "$wrapper"
    finish 42
}

# What stops and continues the command alone (cpulimit) must not leave us stopped.
stopped_from_outside() {
    start setsid --wait "$offload" -v
    local ours
    ours=$(awk '{print $4}' "/proc/$child/stat")
    kill -STOP "$child"
    until_true grep -q '^State:.T' "/proc/$child/status"
    kill -CONT "$child"
    kill -TERM "$child"
    finish 42
    [ ! -e "/proc/$ours" ] || fail "it lives on"
}

# Nothing worse than a file that stays: the command goes on.
killed() {
    start "$offload" -v
    kill -KILL "$wrapper"
    wait "$wrapper" 2>/dev/null || true
    kill -USR1 "$child"
    until_true grep -q SIGUSR1 got
    kill -TERM "$child"
    until_true [ ! -e "/proc/$child" ]
    [ "$(find "$TMPDIR" -type f | wc -l)" -eq 1 ] || fail "left behind: $(ls -A "$TMPDIR")"
    rm -f "$TMPDIR"/*
}

# Who reads from the command, or waits for a lock that it has, must not wait for us.
lets_go_of_descriptors() {
    mkfifo fifo
    rm -f ready
    # shellcheck disable=SC2016
    "$offload" -v sh -c 'exec >&- 9>&-; until [ -e go ]; do sleep 0.05; done; exit 5' 9>lock >fifo 2>/dev/null &
    wrapper=$!
    limited cat fifo
    limited flock lock true
    touch go
    finish 5
}

# Not by the shell: its own child still has its handlers before it becomes the command, and a signal can be lost there.
terminated_at_once() {
    limited python3 - "$offload" <<'END'
import subprocess, sys, time
for i in range(100):
    wrapper = subprocess.Popen([sys.argv[1], "-v", "sleep", "10"], stderr=subprocess.DEVNULL)
    time.sleep(i % 20 / 500)
    wrapper.terminate()
    if wrapper.wait() != -15:
        sys.exit(f"it ended with {wrapper.returncode}")
END
    nothing_left
}

no_process() {
    # One process may be there, the command itself: no child can be started.
    [ "$(id -u)" -eq 0 ] || skip "only root can become another user"
    local status=0
    chmod 777 "$TMPDIR"
    cp "$offload" .
    mkdir -p .libs
    cp "$library" .libs
    # shellcheck disable=SC2016
    setpriv --reuid 54321 --clear-groups bash -c 'ulimit -u 1 && exec ./offload -v true' 2>"$scratch/err" || status=$?
    [ $status -eq 125 ] || fail "it ended with $status: $(cat "$scratch/err")"
    grep -q '^offload: cannot start a process' "$scratch/err" || fail "it said $(cat "$scratch/err")"
    nothing_left
}

# Standard error is a pipe that is full and not read: the command has its signals, and afterwards we have ours.
full_pipe() {
    limited python3 - "$offload" <<'END' || fail "signals did not come through a full pipe"
import fcntl, os, signal, subprocess, sys, time
reader, writer = os.pipe()
fcntl.fcntl(writer, getattr(fcntl, "F_SETPIPE_SZ", 1031), 4096)
version = subprocess.check_output([sys.argv[1], "--version"], text=True).split()[1]
line = ('{"event": "copy", "version": "%s", "program": "/a", "pid": 1, "source": "/a", "destination": "/b", "size": 9,'
        '"offloaded": 9, "written": 0, "engine": "clone", "reads_elided": 1, "writes_elided": 1, "cause": "none",'
        '"reason": ""}\\n' % version)
command = """
import os, signal, sys
with open(os.environ["OFFLOAD_COLLECT"], "a") as collect:
    collect.write('%s' * COUNT)
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(42))
open("ready", "w")
signal.pause()
""" % line
def start(count):
    if os.path.exists("ready"):
        os.remove("ready")
    run = subprocess.Popen([sys.argv[1], "-v", sys.executable, "-c", command.replace("COUNT", str(count))], stderr=writer)
    while not os.path.exists("ready"):
        time.sleep(0.05)
    # Until it has nothing to do but to wait.
    while open("/proc/%d/stat" % run.pid).read().split()[2] != "S":
        time.sleep(0.05)
    return run
def child_of(run):
    return open("/proc/%d/task/%d/children" % (run.pid, run.pid)).read().split()
def read_all(run):
    text = b""
    os.set_blocking(reader, False)
    while True:
        ended = run.poll() is not None
        try:
            text += os.read(reader, 65536)
        except BlockingIOError:
            if ended:
                return text.splitlines()
            time.sleep(0.01)
# All lines come in the end, to one who reads late.
run = start(1000)
run.send_signal(signal.SIGTERM)
while child_of(run):
    time.sleep(0.05)
lines = read_all(run)
assert run.returncode == 42, run.returncode
assert len(lines) == 1000 and set(lines) == {b"offload: 9 bytes by clone: /a -> /b"}, (len(lines), set(lines))
# More than is kept: the rest is told of.
run = start(40000)
run.send_signal(signal.SIGTERM)
while child_of(run):
    time.sleep(0.05)
lines = read_all(run)
assert run.returncode == 42, run.returncode
assert b"lines of -v are lost" in lines[-1] and len(lines) < 40000, lines[-1]
# The one who does not read at all can have us end.
run = start(1000)
run.send_signal(signal.SIGTERM)
while child_of(run):
    time.sleep(0.05)
# A signal before we have seen the end is the command's.
while run.poll() is None:
    run.send_signal(signal.SIGTERM)
    time.sleep(0.05)
assert run.returncode == -signal.SIGTERM, run.returncode
END
    nothing_left
}

no_busy_loop() {
    start "$offload" -v
    until_true grep -q '^State:.S' "/proc/$wrapper/status"
    # What it does after it has read must not be a change of which it is told.
    echo something >>"$(echo "$TMPDIR"/offload.*)"
    sleep 0.3
    before=$(awk '{print $14 + $15}' "/proc/$wrapper/stat")
    sleep 1
    after=$(awk '{print $14 + $15}' "/proc/$wrapper/stat")
    kill -TERM "$wrapper"
    finish 42
    [ $((after - before)) -le 2 ] || fail "it used $((after - before)) ticks in a second of waiting"
}

plan 32
for signal in HUP INT QUIT USR1 USR2 ALRM; do
    verdict "$signal is handed on, once" is_forwarded SIG$signal
done
for signal in TERM INT KILL SEGV HUP PIPE; do
    verdict "a command that $signal ends" ends_alike $signal
done
verdict "exit statuses" keeps_statuses
verdict "a limit of file sizes" file_size_limit
verdict "a command that cannot be started" cannot_start
verdict "the state as it was" same_state ''
verdict "the state with signals ignored" same_state 'for n in (1, 2, 3, 13, 15, 17, 20): signal.signal(n, signal.SIG_IGN)'
verdict "the state with signals blocked" same_state 'signal.pthread_sigmask(signal.SIG_BLOCK, (1, 2, 10, 17, 28))'
verdict "the state with descriptors" same_state 'os.set_inheritable(os.dup2(0, 7), True)'
verdict "the state with descriptors closed" same_state 'os.close(0); os.close(2)'
verdict "one process group" process_group
verdict "under nohup" under_nohup
verdict "with a timer of the caller's" alarm_of_the_caller
verdict "with SIGCHLD ignored by the caller" child_ignored_by_the_caller
verdict "a command that stops" stops_and_goes_on
verdict "a command that is stopped from outside" stopped_from_outside
verdict "killed by SIGKILL" killed
verdict "waits without work" no_busy_loop
verdict "a full pipe that nobody reads" full_pipe
verdict "descriptors are the command's alone" lets_go_of_descriptors
verdict "terminated at any moment" terminated_at_once
verdict "no process to be had" no_process
