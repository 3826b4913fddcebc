#!/bin/bash
# What tests/lab/run makes of what guests say, with a program in QEMU's place that says it: each verdict is passed on once,
# and what a guest fails to say is a failure.
. "$(dirname "$0")/fixture.sh"
need cpio setpriv flock

lab=$scratch/lab

# A guest that does with each test what the test's name says.
make_stand_in() {
    mkdir -p "$scratch/bin" "$scratch/image" "$lab/tests"
    cp "$source_tree/tests/lab/run" "$source_tree/tests/lab/machine" "$lab"
    touch "$scratch/image/"{initrd,vmlinuz,root.img}
    printf '#!/bin/sh\necho %q\n' "$scratch/image" >"$lab/image"
    cat >"$scratch/bin/qemu-system-x86_64" <<'END'
#!/bin/bash
go_on=$(sed -n 's/.* lab\.cut=\([a-z]*\):.*/\1/p' <<<"$*")
echo started >>"$COUNT"
[ ! -e "$NEVER_UP" ] || exit
echo "lab: up"
while [ -n "$go_on" ] || { echo "lab: next" && read -r test && [ -n "$test" ]; }; do
    case ${go_on:-$test} in
    good*) printf '%s\n' 1..2 "ok 1 - first" "# a word" "ok 2 - second" "lab: end 0" ;;
    bad*) printf '%s\n' 1..1 "not ok 1 - wrong" "# why" "lab: end 1" ;;
    skipped*) printf '%s\n' "1..0 # SKIP there is no disk" "lab: end 0" ;;
    short*) printf '%s\n' 1..2 "ok 1 - first" "lab: end 0" ;;
    dies*) printf '%s\n' 1..2 "ok 1 - first" && exit ;;
    cut*)
        [ -z "$go_on" ] && printf '%s\n' 1..2 "ok 1 - before" "lab: cut 7" && sleep 100
        printf '%s\n' 1..2 "ok 2 - after" "lab: end 0"
        ;;
    esac
    go_on=
done
echo "lab: finished"
END
    chmod +x "$scratch/bin/qemu-system-x86_64" "$lab/image"
}

# The verdicts and the plan, without their numbers, in alphabetical order; they are numbered from 1 on.
run_lab() { # GUESTS TEST...
    local status=0 guests=$1 name
    shift
    rm -f "$lab/tests/"* "$scratch/count"
    for name in "$@"; do touch "$lab/tests/$name.sh"; done
    PATH=$scratch/bin:$PATH COUNT=$scratch/count NEVER_UP=$scratch/never-up OFFLOAD_LAB_GUESTS=$guests \
        OFFLOAD_TEST_BUILD=$build OFFLOAD_TEST_SOURCE=$source_tree bash "$lab/run" "$@" >"$scratch/said" || status=$?
    echo "status $status" >>"$scratch/said"
    sed -n 's/^\(\(not \)\{0,1\}ok\) [0-9]* - /\1 /p; /^1\.\./p; /^status/p' "$scratch/said" | sort >"$scratch/verdicts"
    grep -E '^(not )?ok' "$scratch/said" | sed 's/^\(not \)\{0,1\}ok \([0-9]*\) .*/\2/' >"$scratch/numbers"
    seq "$(wc -l <"$scratch/numbers")" | cmp - "$scratch/numbers"
}

assert_verdicts() { # LINE...
    printf '%s\n' "$@" | sort | diff - "$scratch/verdicts" || fail "other verdicts: $(cat "$scratch/said")"
}

passes_on() { # GUESTS
    run_lab "$1" good gooda goodb skipped
    assert_verdicts "ok good: first" "ok good: second" "ok gooda: first" "ok gooda: second" "ok goodb: first" \
        "ok goodb: second" "ok skipped # SKIP there is no disk" 1..7 "status 0"
    [ "$(wc -l <"$scratch/count")" -eq "$1" ] || fail "$(wc -l <"$scratch/count") guests were started"
}

failures() {
    run_lab 1 good bad short
    assert_verdicts "ok good: first" "ok good: second" "not ok bad: wrong" "not ok bad: it ended with status 1" \
        "ok short: first" "not ok short: 1 verdicts of 2" 1..6 "status 1"
    grep -qx '# why' "$scratch/said"
}

ends_early() {
    run_lab 1 dies good
    assert_verdicts "ok dies: first" "not ok dies: 1 verdicts of 2" \
        "not ok dies: it ended with status none: the guest ended, or the time for all tests (OFFLOAD_LAB_LIMIT) was up" \
        "not ok good: it did not run" 1..4 "status 1"
    run_lab 2 dies good gooda
    grep -qx 'ok gooda: second' "$scratch/verdicts" || fail "the other guest did not go on: $(cat "$scratch/said")"
}

power_cut() {
    run_lab 1 cut good
    assert_verdicts "ok cut: before" "ok cut: after" "ok good: first" "ok good: second" 1..4 "status 0"
}

never_up() {
    touch "$scratch/never-up"
    run_lab 1 good
    rm "$scratch/never-up"
    assert_verdicts "not ok good: it did not run" 1..1 "status 1"
    [ "$(wc -l <"$scratch/count")" -eq 2 ] || fail "it was started $(wc -l <"$scratch/count") times"
}

is_running() {
    pgrep -f "$scratch/bin/qemu-system" >/dev/null
}

has_ended() {
    ! is_running
}

# For as long as a slow machine may take.
wait_until() { # COMMAND
    local i
    for ((i = 0; i < 300; i++)); do
        ! "$1" || return 0
        sleep 0.1
    done
    return 1
}

nothing_left() { # SCRIPT
    touch "$lab/tests/good.sh"
    printf '#!/bin/bash\necho "lab: up"\nsleep 3000\n' >"$scratch/bin/qemu-system-x86_64"
    mkdir -p "$scratch/temporary"
    PATH=$scratch/bin:$PATH TMPDIR=$scratch/temporary OFFLOAD_TEST_BUILD=$build OFFLOAD_TEST_SOURCE=$source_tree \
        bash "$lab/run" good >/dev/null 2>&1 &
    wait_until is_running || fail "no guest was started"
    pkill -KILL -f "$lab/$1"
    wait_until has_ended || { pkill -f "$scratch/bin/qemu-system" && fail "the guest runs on"; }
    [ -z "$(ls "$scratch/temporary")" ] || fail "left: $(ls "$scratch/temporary")"
}

make_stand_in
plan 8
verdict "one guest's verdicts are passed on" passes_on 1
verdict "two guests share the tests" passes_on 2
verdict "what fails or is missing is a failure" failures
verdict "a guest that ends early fails its test, and another goes on" ends_early
verdict "a test goes on after a cut of the power" power_cut
verdict "a guest that does not come up is tried once more" never_up
verdict "nothing is left when the run is killed" nothing_left run
verdict "nothing is left when what listens to a guest is killed" nothing_left machine
