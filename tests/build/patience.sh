#!/bin/bash
# What ends the commands that hang: tests/patience, by which the tests run theirs.
. "$(dirname "$0")/../fixture.sh"

ends_with() { # STATUS COMMAND...
    local expected=$1 status=0
    shift
    "$patience" 100 "$@" 2>said || status=$?
    [ $status -eq "$expected" ] || fail "it ended with $status, not $expected: $(cat said)"
}

as_the_command() {
    ends_with 0 true
    ends_with 7 sh -c 'exit 7'
    ends_with 127 ./no-such-command
    ends_with 126 /etc/passwd
    for signal in 1 6 9 11 14 15; do
        ends_with $((128 + signal)) bash -c "ulimit -c 0; kill -$signal \$\$"
    done
}

# SIGTERM is enough for the one, the other has to be killed.
is_ended() {
    local command status
    for command in '(trap "echo >ended; exit" TERM; while :; do sleep 0.1; done) & sleep 1000' 'trap "" TERM; while :; do sleep 1; done'; do
        status=0
        "$patience" 1 sh -c "$command" 2>said || status=$?
        [ $status -eq 124 ] || fail "it ended with $status"
        grep -q "^patience: ended after 1 seconds: sh -c" said || fail "it says: $(cat said)"
        grep -q '^sh$' said || fail "it does not tell what waits: $(cat said)"
        until [ -e ended ]; do sleep 0.1; done
    done
}

# Stopped, it is as blind to the time as if the machine had been.
stands_still() {
    # shellcheck disable=SC2016 # the variables are the command's
    "$patience" 2 sh -c 'kill -STOP $PPID; sleep 4; kill -CONT $PPID; exit 3' || [ $? -eq 3 ]
}

# The command gets what is sent to end it, and once.
passes_on() {
    local status=0
    "$patience" 100 bash -c 'trap "echo sent >>sent; sleep 2; exit 5" TERM; echo >ready; while :; do sleep 0.1; done' &
    until [ -e ready ]; do sleep 0.1; done
    kill $!
    wait $! || status=$?
    [ $status -eq 5 ] || fail "it ended with $status"
    [ "$(cat sent)" = sent ] || fail "sent more than once"
}

cd "$scratch" || exit 1
plan 4
verdict "it ends as its command does" as_the_command
verdict "a command that takes too long is ended, with what it has started" is_ended
verdict "time in which the machine stood still does not count" stands_still
verdict "a signal that ends is passed on" passes_on
