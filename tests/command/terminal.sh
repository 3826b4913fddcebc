#!/bin/bash
# The command on a terminal: what --progress draws there and takes away again, and the keys that send signals.
. "$(dirname "$0")/../fixture.sh"
need tmux script ps pgrep python3

offload=$build/offload
export TMPDIR=$scratch/private
unset XDG_RUNTIME_DIR TMUX
mkdir "$TMPDIR"
cd "$scratch" || exit 1
server=offload-$$
at_end+=("tmux -L $server kill-server 2>/dev/null")
version=$("$offload" --version)
export version=${version#offload }

# Writes records as the library does, and waits for the test between them: step N goes on when ./go.N is there.
cat >records.sh <<'END'
copy() { # DESTINATION SIZE
    printf '{"event": "copy", "version": "%s", "program": "/bin/dd", "pid": %d, "source": "/a", "destination": "%s", "size": %d, "offloaded": %d, "written": 0, "engine": "clone", "reads_elided": 1, "writes_elided": 2, "cause": "none", "reason": "the words"}\n' \
        "$version" $$ "$1" "$2" "$2" >>"$OFFLOAD_COLLECT"
}
progress() { # DESTINATION SIZE DONE ENGINE [PID]
    printf '{"event": "progress", "version": "%s", "program": "/bin/dd", "pid": %d, "source": "/a", "destination": "%s", "size": %d, "done": %d, "engine": %s}\n' \
        "$version" "${5-$$}" "$1" "$2" "$3" "$4" >>"$OFFLOAD_COLLECT"
}
wait_for() {
    until [ -e "$1" ]; do sleep 0.05; done
}
END
export BASH_ENV=$scratch/records.sh

until_true() { # COMMAND...
    for _ in {1..200}; do
        ! "$@" 2>/dev/null || return 0
        sleep 0.05
    done
    fail "never: $*; the screen is: $(screen)"
}

# ---- a terminal ----------------------------------------------------------------------------------

screen() {
    tmux -L "$server" capture-pane -p -t 0
}

row() { # NUMBER
    screen | sed -n "$1p"
}

last_row_is() { # PATTERN
    row "$rows" | LC_ALL=C.UTF-8 grep -qE -e "$1"
}

row_is() { # NUMBER TEXT
    [ "$(row "$1")" = "$2" ]
}

shows() { # PATTERN
    screen | LC_ALL=C.UTF-8 grep -qE -e "$1"
}

terminal() { # COLUMNS ROWS COMMAND
    columns=$1 rows=$2
    rm -f go.* status
    tmux -L "$server" kill-server 2>/dev/null || true
    until_true no_server
    tmux -L "$server" -u -f /dev/null new-session -d -x "$columns" -y "$rows" bash -c "$3"
    tmux -L "$server" set -g status off
    tmux -L "$server" resize-window -x "$columns" -y "$rows"
}

no_server() {
    ! tmux -L "$server" has-session 2>/dev/null
}

keys() {
    tmux -L "$server" send-keys -t 0 "$@"
}

# A shell of the user's, with a prompt that can be waited for.
shell_on_terminal() {
    terminal 90 24 "env -u BASH_ENV PS1='ready> ' bash --norc --noprofile -i"
    until_true shows '^ready>'
}

# ---- progress ------------------------------------------------------------------------------------

draws() {
    cat >steps <<'END'
printf 'a line\nand the start of another... '
progress /there/disk.copy 1073741824 0 null
wait_for go.1
progress /there/disk.copy 1073741824 536870912 '"clone"'
wait_for go.2
printf 'its end\nmore\nmore still\n'
wait_for go.3
copy /there/disk.copy 1073741824
wait_for go.4
END
    terminal 70 10 "'$offload' --progress bash steps; echo \$? >status; wait_for go.5; seq 1 15; sleep 60"
    until_true last_row_is '^disk\.copy +0% +0 bytes +0 bytes/s +not offloaded$'
    shows '^and the start of another\.\.\.$' || fail "the command's line: $(screen)"
    touch go.1
    until_true last_row_is '^disk\.copy +50% +512\.0 MiB +[0-9.]+ [MGT]iB/s +clone$'
    touch go.2
    until_true shows '^more still$'
    shows '^and the start of another\.\.\. its end$' || fail "the command's line: $(screen)"
    [ "$(screen | grep -c disk.copy)" -eq 1 ] || fail "more than one line: $(screen)"
    touch go.3
    until_true last_row_is '^$'
    touch go.4
    until_true [ -s status ]
    [ "$(screen | sed '/^$/d' | wc -l)" -eq 4 ] || fail "something was left: $(screen)"
    # The whole screen scrolls again.
    touch go.5
    until_true row_is 9 15
    [ "$(row 1)" = 7 ] || fail "the screen: $(screen)"
}

# It is there in the last row when the command has long filled the screen, and the line of -v stands above.
draws_at_the_end_of_the_screen() {
    cat >steps <<'END'
seq 1 30
progress /there/disk.copy 1000000000 300000000 '"clone"'
progress /there/other.copy 1000000000 200000000 '"kernel"'
wait_for go.1
copy /there/other.copy 1000000000
seq 31 33
wait_for go.2
END
    terminal 70 8 "'$offload' --progress -v bash steps; sleep 60"
    until_true last_row_is '^other\.copy +20% .*kernel +\(1 more\)$'
    [ "$(row 6)" = 30 ] || fail "the command's last line: $(screen)"
    touch go.1
    until_true last_row_is '^disk\.copy +30% .*clone$'
    until_true shows '^33$'
    shows '^offload: 1000000000 bytes by clone: /a -> /there/other.copy$' || fail "no line of -v: $(screen)"
    touch go.2
    until_true last_row_is '^$'
}

cuts() {
    cat >steps <<'END'
progress "/there/$(printf '本%.0s' {1..60})" 1000000000 300000000 '"clone"'
wait_for go.1
progress "/there/$(printf '本%.0s' {1..60})" 1000000000 310000000 '"clone"'
wait_for go.2
END
    terminal 60 8 "LC_ALL=C.UTF-8 '$offload' --progress bash steps; sleep 60"
    until_true last_row_is '^本+\.\.\. +30% .*clone$'
    [ "$(row 7)" = '' ] || fail "the line was too wide: $(screen)"
    tmux -L "$server" resize-window -x 75 -y 12
    rows=12
    until_true last_row_is '^本{15,}\.\.\. +30% .*clone$'
    [ "$(screen | grep -c 本)" -eq 1 ] || fail "an old line is left: $(screen)"
    touch go.1
    until_true last_row_is ' 31% '
    tmux -L "$server" resize-window -x 40 -y 12
    until_true last_row_is '^[^ ]* +31% '
    touch go.2
    until_true last_row_is '^$'
}

# A copy whose process was killed goes away with it.
forgets_the_dead() {
    cat >steps <<'END'
bash -c 'progress /there/dead.copy 1000000000 300000000 null; wait_for go.1; kill -KILL $$'
progress /there/living.copy 1000000000 300000000 null
wait_for go.2
END
    terminal 70 8 "'$offload' --progress bash steps; sleep 60"
    until_true last_row_is '^dead\.copy'
    touch go.1
    until_true last_row_is '^living\.copy .*not offloaded$'
    touch go.2
    until_true last_row_is '^$'
}

silent_elsewhere() {
    cat >steps <<'END'
progress /there/disk.copy 1000000000 300000000 null
copy /there/disk.copy 1000000000
echo "${OFFLOAD_COLLECT-nothing}"
END
    : >collect
    [ "$(OFFLOAD_COLLECT=$scratch/collect "$offload" --progress bash steps 2>err)" = "$scratch/collect" ] || fail "it was watched"
    [ ! -s err ] || fail "it printed $(cat err)"
    "$offload" --progress -v bash steps >/dev/null 2>err
    [ "$(wc -l <err)" -eq 1 ] || fail "it printed $(cat -A err)"
    # On a terminal, but standard error is none; and on one that cannot move its cursor.
    script -qec "TERM=xterm '$offload' --progress -v bash steps 2>err" typescript >/dev/null </dev/null
    [ "$(wc -l <err)" -eq 1 ] || fail "it printed $(cat -A err)"
    script -qec "TERM=dumb '$offload' --progress -v bash steps" typescript >/dev/null </dev/null
    if grep -q $'\033' typescript; then
        fail "on a dumb terminal: $(cat -A typescript)"
    fi
}

under_script() {
    cat >steps <<'END'
progress /there/disk.copy 1000000000 300000000 null
wait_for go.1
END
    rm -f go.1 typescript
    (until grep -q disk.copy typescript 2>/dev/null; do sleep 0.05; done; touch go.1) &
    TERM=xterm script -qefc "stty rows 20 cols 60; '$offload' --progress bash steps" typescript >/dev/null </dev/null
    wait $!
    grep -q $'\033\\[20;1Hdisk.copy ' typescript || fail "not in the last row: $(cat -A typescript)"
    # The last word on the scroll region takes it back.
    [ "$(grep -ao $'\033\\[[0-9;]*r' typescript | tail -n 1)" = $'\033[r' ] || fail "the region stays: $(cat -A typescript)"
}

# A program that takes keys as they come has the screen to itself.
leaves_full_screens_alone() {
    cat >steps <<'END'
stty -icanon
progress /there/disk.copy 1000000000 300000000 null
copy /there/small 5
sleep 0.3
copy /there/small 6
wait_for go.1
stty icanon
progress /there/disk.copy 1000000000 400000000 null
wait_for go.2
END
    terminal 70 8 "'$offload' --progress -v bash steps; sleep 60"
    until_true shows 'offload: 6 bytes'
    shows disk.copy && fail "drawn over a program's screen: $(screen)"
    touch go.1
    until_true last_row_is '^disk\.copy +40%'
    touch go.2
    until_true last_row_is '^$'
}

really() {
    [ -n "${mount-}" ] || skip "XFS cannot be mounted here"
    make_source "$mount/source" 200000000
    cat >steps <<'END'
import os, time
source, copy = os.open("source", os.O_RDONLY), os.open("copy", os.O_WRONLY | os.O_CREAT, 0o600)
while block := os.read(source, 1 << 20):
    os.write(copy, block)
    if os.lseek(source, 0, os.SEEK_CUR) == 100 << 20:
        while not os.path.exists(os.environ["GO"]):
            time.sleep(0.05)
END
    terminal 70 8 "cd '$mount'; GO='$scratch/go.1' '$offload' --progress python3 '$scratch/steps'; sleep 60"
    until_true last_row_is '^copy +[4-6][0-9]% +.*clone$'
    touch go.1
    until_true last_row_is '^$'
    cmp "$mount/source" "$mount/copy"
    # No process may hold the mount when it goes.
    tmux -L "$server" kill-server
    until_true no_server
}

# ---- keys ----------------------------------------------------------------------------------------

interrupt() {
    shell_on_terminal
    keys "'$offload' --report sleep 1000; echo \"ended with \$?\"" Enter
    until_true running sleep
    keys C-c
    until_true shows 'no copy was recognised'
    until_true shows '^ready>$'
    keys 'echo "ended with $?"' Enter
    until_true shows '^ended with 130$'
    nothing_left || fail "left behind: $(ls -A "$TMPDIR")"
}

# What has become of the command's own answer to the key, once.
interrupt_once() {
    cat >steps <<'END'
trap 'echo interrupted; count=$((count + 1))' INT
touch ready
until [ -e go.1 ]; do sleep 0.1; done
exit $((10 + count))
END
    rm -f ready
    shell_on_terminal
    keys "'$offload' -v bash steps" Enter
    until_true [ -e ready ]
    keys C-c
    until_true shows '^\^?C?interrupted'
    touch go.1
    until_true shows '^ready>$'
    keys 'echo "ended with $?"' Enter
    until_true shows '^ended with 11$'
}

quit() {
    shell_on_terminal
    keys "'$offload' -v sleep 1000" Enter
    until_true running sleep
    keys "C-\\"
    until_true shows Quit
    keys 'echo "ended with $?"' Enter
    until_true shows '^ended with 131$'
}

running() { # NAME: a program of the terminal's foreground
    local pane
    pane=$(tmux -L "$server" display -p -t 0 '#{pane_pid}')
    # shellcheck disable=SC2009 # pgrep does not know of the foreground
    ps -o stat=,comm= --ppid "$(pgrep -P "$pane" offload)" | grep -q "^[SRD][^T]*+ .*$1"
}

stopped_and_continued() {
    shell_on_terminal
    keys "'$offload' -v cat" Enter
    until_true running cat
    keys C-z
    until_true shows 'Stopped'
    keys 'clear; jobs' Enter
    until_true shows '^\[1\]\+ .*Stopped .*offload'
    keys 'fg' Enter
    until_true running cat
    keys 'words' Enter
    until_true shows '^words$'
    keys C-d
    until_true shows '^ready>$'
}

# The shell tells of its jobs before each prompt.
shows_after_enter() { # PATTERN
    keys Enter
    shows "$1"
}

in_the_background() {
    shell_on_terminal
    keys "'$offload' -v cat &" Enter
    until_true shows_after_enter Stopped
    keys 'fg' Enter
    until_true running cat
    keys 'words' Enter C-d
    keys 'echo "ended with $?"' Enter
    until_true shows '^ended with 0$'
}

shell_within() {
    shell_on_terminal
    keys "PS1='inner> ' '$offload' -v bash --norc --noprofile -i" Enter
    until_true shows '^inner>'
    keys 'suspend' Enter
    until_true shows 'Stopped'
    keys 'clear; echo out''er' Enter
    until_true shows '^outer$'
    keys 'fg' Enter
    keys 'echo with''in' Enter
    until_true shows '^within$'
    keys 'exit 8' Enter
    keys 'echo "ended with $?"' Enter
    until_true shows '^ended with 8$'
}

has_child() { # PID NAME
    pgrep -P "$1" "$2" >/dev/null
}

nothing_left() {
    [ -z "$(ls -A "$TMPDIR")" ]
}

hangs_up() {
    shell_on_terminal
    keys "exec '$offload' -v sleep 1000" Enter
    local pane
    pane=$(tmux -L "$server" display -p -t 0 '#{pane_pid}')
    until_true has_child "$pane" sleep
    child=$(pgrep -P "$pane" sleep)
    tmux -L "$server" kill-server
    until_true [ ! -e "/proc/$child" ]
    until_true nothing_left
}

if [ "$(id -u)" -eq 0 ]; then
    mount_xfs 2G || mount=
fi

plan 15
verdict "progress in the last row" draws
verdict "progress below a full screen, and of two copies" draws_at_the_end_of_the_screen
verdict "progress is cut to the terminal's width" cuts
verdict "progress forgets a process that was killed" forgets_the_dead
verdict "no progress where there is no terminal" silent_elsewhere
verdict "progress under script" under_script
verdict "progress leaves full screens alone" leaves_full_screens_alone
verdict "progress of a real copy" really
verdict "Ctrl-C" interrupt
verdict "Ctrl-C reaches the command once" interrupt_once
verdict "Ctrl-backslash" quit
verdict "Ctrl-Z and fg" stopped_and_continued
verdict "reading in the background" in_the_background
verdict "a shell that suspends itself" shell_within
verdict "a terminal that hangs up" hangs_up
