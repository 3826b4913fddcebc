#!/bin/bash
# Copies to standard output that a shell has redirected, `copier >copy`: offloaded where the shell's child that opened the
# file becomes the copier, and nobody else has it; and only there.
. "$(dirname "$0")/../fixture.sh"
need_root
need python3 strace

copier='dd if=../source bs=64k status=none'
between=$scratch/between

as_plain() { # yes|no COMMAND...
    local shared=$1
    shift
    both "$@"
    expect_status 0
    if [ "$shared" = yes ]; then assert_shared source ours/copy; else assert_not_shared source ours/copy; fi
}

in_bash() { # yes|no SCRIPT
    as_plain "$1" bash -c "$2"
}

# Nobody has a place in the file of his own, so that none may be lost: what the other wrote while the copy was made is in it.
with_another() { # COMMAND...
    local _
    for _ in 1 2 3 4 5 6 7 8; do
        rm -f copy
        run_preloaded "$@" >"$scratch/out" 2>&1 || fail "it ended with $?: $(cat "$scratch/out")"
        [ "$(tr -cd '!' <copy | wc -c)" -eq 100 ] || fail "of a hundred marks $(tr -cd '!' <copy | wc -c) are left"
        [ "$(stat -c %s copy)" -eq $(($(stat -c %s source) + 100)) ] || fail "the copy has $(stat -c %s copy) bytes"
    done
    assert_not_shared source copy
}

# What writes a hundred marks to standard output, once the copy has begun.
marker='
static void mark(void)
{
    for (struct stat st = {0}; st.st_size < 1 << 20; usleep(100))
        fstat(1, &st);
    for (int i = 0; i < 100; i++, usleep(100))
        if (write(1, "!", 1) != 1)
            _exit(1);
}'

compile() { # FILE OPTION... <SOURCE
    # shellcheck disable=SC2086 # a compiler and its options
    { echo '#include <fcntl.h>' && echo '#include <stdlib.h>' && echo '#include <sys/stat.h>' &&
        echo '#include <unistd.h>' && echo "$marker" && cat; } |
        ${OFFLOAD_TEST_CC:-cc} -O1 "${@:2}" -x c -o "$1" - || skip "it cannot be compiled here (${*:2})"
}

# A program that starts a child, which marks, and becomes another.
between_them() { # PRELOAD-OF-THE-ONE-BETWEEN OPTION...
    compile "$between" "${@:2}" <<'EOF'
int main(int argc, char **argv)
{
    if (fork() == 0) {
        mark();
        _exit(0);
    }
    if (argc < 3 || setenv("LD_PRELOAD", argv[1], 1))
        return 1;
    execv(argv[2], argv + 2);
    return 1;
}
EOF
    with_another bash -c "LD_PRELOAD=$1 $between $library /bin/dd if=source bs=64k status=none >copy
        while [ \$(tr -cd '!' <copy | wc -c) -lt 100 ]; do sleep 0.1; done"
}

# The child of a vfork has its parent's memory, and with it the parent's word for what is the parent's own.
child_in_its_memory() {
    compile "$scratch/lender" <<'EOF'
int main(int argc, char **argv, char **environment)
{
    int copy = open("copy", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (argc < 2 || copy < 0 || dup2(copy, 1) < 0 || close(copy))
        return 1;
    if (vfork() == 0) {
        execve(argv[1], argv + 1, environment);
        _exit(1);
    }
    mark();
    return 0;
}
EOF
    with_another "$scratch/lender" /bin/dd if=source bs=64k status=none
}

# A duplicate of a duplicate, by a number beyond those that are remembered or one that no hook was told of, is sent to another process (SCM_RIGHTS).
given_away_by() { # NUMBER
    compile "$scratch/giver" -include string.h -D_GNU_SOURCE -include sys/socket.h -include sys/syscall.h \
        -include sys/wait.h <<'EOF'
int main(int argc, char **argv)
{
    static char room[CMSG_SPACE(sizeof(int))], buffer[65536];
    struct iovec one = {buffer, 1};
    struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    int number = argc > 1 ? atoi(argv[1]) : 0, between[2], status = 1, source = open("source", O_RDONLY);
    if (source < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, between))
        return 1;
    if (fork() == 0) {
        if (recvmsg(between[1], &message, 0) < 0 || dup2(*(int *)CMSG_DATA(part), 1) < 0)
            _exit(1);
        mark();
        _exit(0);
    }
    int copy = open("copy", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (dup2(copy, 1) < 0 || (number < 4096 ? syscall(SYS_dup3, copy, number, 0) : dup2(copy, number)) < 0)
        return 1;
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    *(int *)CMSG_DATA(part) = number;
    if (sendmsg(between[0], &message, 0) < 0)
        return 1;
    for (ssize_t n; (n = read(source, buffer, sizeof buffer)) > 0;)
        if (write(1, buffer, (size_t)n) != n)
            return 1;
    wait(&status);
    return status;
}
EOF
    ulimit -n 5001 || skip "no process may have so many files"
    with_another "$scratch/giver" "$1"
}

# Another library that is loaded before, and whose constructor starts a child.
child_before_the_start() {
    compile "$scratch/early.so" -shared -fPIC <<'EOF'
__attribute__((constructor)) static void early(void)
{
    if (getenv("MARKS") && !unsetenv("MARKS") && fork() == 0) {
        mark();
        _exit(0);
    }
}
EOF
    library="$library $scratch/early.so" with_another bash -c "MARKS=1 dd if=source bs=64k status=none >copy
        while [ \$(tr -cd '!' <copy | wc -c) -lt 100 ]; do sleep 0.1; done"
}

# Another library's constructor gives the file another number, by which the program has a child and becomes the copier.
moved_before_the_start() { # CALL
    compile "$scratch/moving.so" -shared -fPIC -include string.h "-DMOVE=$1" <<'EOF'
__attribute__((constructor)) static void moving(int argc, char **argv)
{
    if (argc && strcmp(argv[0], "bash") == 0 && getenv("MOVES") && (close(5), MOVE == 5) && close(1) == 0)
        open("/dev/null", O_WRONLY);
}
EOF
    library="$library $scratch/moving.so" with_another bash -c "MOVES=1 bash -c 'exec >&5 5>&-
            { until [ -s copy ]; do :; done; for i in {1..100}; do printf !; done && touch marked; } &
            exec dd if=source bs=64k status=none' >copy
        until [ -e marked ]; do sleep 0.1; done
        rm marked"
}

# Becomes a program with a filter on system calls that lets all of them pass.
under_a_filter="import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.prctl(38, 1, 0, 0, 0)
allow = ctypes.create_string_buffer(b'\\x06\\0\\0\\0\\0\\0\\xff\\x7f')
class program(ctypes.Structure):
    _fields_ = [('length', ctypes.c_ushort), ('lines', ctypes.c_void_p)]
if libc.prctl(22, 2, ctypes.byref(program(1, ctypes.addressof(allow))), 0, 0):
    sys.exit('no filter')
os.execvp(sys.argv[1], sys.argv[1:])"

# The witness can say yes: `handed` is what strace shows of a mark.
handed() { # SCRIPT [BEFORE...]
    trace_preloaded -e trace=fcntl "${@:2}" bash -c "$1" >"$scratch/out" 2>&1 || fail "it ended with $?: $(cat "$scratch/out")"
    grep -q 'F_SETOWN_EX.*pid=[1-9]' "$trace"
}

only_to_ordinary_ones() {
    cp /bin/true program
    handed './program >copy; echo' || fail "nothing is handed on to an ordinary program: $(cat "$trace")"
    ! handed './program >/dev/null; echo' || fail "a device was marked"
    ! handed './program 3>copy >&3; echo' || fail "it is handed on though it has another number"
    chmod u+s program
    ! handed './program >copy; echo' || fail "it is handed on to a program that other rights are given"
    printf '#!/bin/dd if=/dev/null\n' >script
    chmod +x script
    ! handed './script >copy; echo' || fail "it is handed on to a script"
    handed '/bin/true >copy; echo' python3 -c 'import os, sys; os.execvp(sys.argv[1], sys.argv[1:])' ||
        fail "nothing is handed on by way of Python"
    ! handed '/bin/true >copy; echo' python3 -c "$under_a_filter" || fail "it is handed on under a filter"
    ! OFFLOAD=off handed '/bin/true >copy; echo' || fail "it is handed on though the library is off"
}

# Opens the file, and becomes a program by one call of execve(2) in that way.
compile_becoming() {
    compile "$scratch/becoming" -D_GNU_SOURCE -include sched.h -include signal.h -include stdio.h -include string.h <<'EOF'
static char stack[1 << 16], *none[] = {"program", NULL}, *two[] = {NULL, "LD_PRELOAD=", NULL};
static int in_its_memory(void *go)
{
    while (!*(volatile int *)go)
        usleep(1000);
    return execve("./program", none, environ);
}
int main(int argc, char **argv)
{
    static int go;
    char *preload = getenv("LD_PRELOAD"), *way = argc > 1 ? argv[1] : "", **environment = environ;
    if (!strcmp(way, "child") && clone(in_its_memory, stack + sizeof stack, CLONE_VM | SIGCHLD, &go) < 0)
        return 1;
    int copy = open("copy", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (copy < 0 || dup2(copy, 1) < 0 || close(copy))
        return 1;
    go = 1;
    two[0] = preload - strlen("LD_PRELOAD=");
    if (!strcmp(way, "child"))
        return usleep(200000);
    if (!strcmp(way, "blanked"))
        *preload = 0;
    if (!strcmp(way, "another"))
        strcpy(preload, "libm.so.6");
    if (!strcmp(way, "two"))
        environment = two;
    if (!strcmp(way, "user") && seteuid(65534))
        return 1;
    if (!strcmp(way, "unreadable") && setuid(65534))
        return 1;
    if (!strcmp(way, "root") && chroot("."))
        return 1;
    if (!strcmp(way, "replaced") && rename("closed/other.so", "closed/lib.so"))
        return 1;
    execve("./program", none, environment);
    return 1;
}
EOF
}

# As above: by what it is that the next program will not have the library, or not because of this process.
only_where_the_library_is_loaded() {
    local way
    rm -f program
    cp /bin/true program
    mkdir -p closed
    chmod 700 closed
    cp "$library" closed/lib.so
    compile_becoming
    become() { # WAY [LD_PRELOAD [LD_LIBRARY_PATH]]
        limited strace -f -o "$trace" -e trace=fcntl -E "LD_LIBRARY_PATH=${3-}" -E "LD_PRELOAD=${2-$library}" \
            "$scratch/becoming" "$1" >"$scratch/out" 2>&1 || [ "$1" = root ] ||
            fail "it ended with $?: $(cat "$scratch/out")"
        grep -q 'F_SETOWN_EX.*pid=[1-9]' "$trace"
    }
    become plainly || fail "nothing is handed on: the others below would prove nothing"
    for way in child blanked another two user root; do
        ! become "$way" || fail "it is handed on: $way"
    done
    become plainly "$PWD/closed/lib.so" || fail "nothing is handed on by another name"
    ! become unreadable "$PWD/closed/lib.so" || fail "it is handed on though the library cannot be read"
    chmod 755 closed
    chmod 600 closed/lib.so
    ! become unreadable "$PWD/closed/lib.so" || fail "it is handed on though the library's file cannot be read"
    cp closed/lib.so closed/other.so
    ! become replaced "$PWD/closed/lib.so" || fail "it is handed on though another library is there"
    ! become plainly closed/lib.so || fail "it is handed on by a relative name"
    ! become plainly lib.so "$PWD/closed" || fail "it is handed on by a name that is looked for"
    python3 -c "import os, struct
os.setxattr('program', 'security.capability', struct.pack('<5I', 0x02000001, 1 << 13, 0, 0, 0))"
    ! become plainly || fail "it is handed on to a program with capabilities"
}

# A process that did not become another has the file under another number by the time it has a child.
moved_after_a_failure() {
    cp /bin/dd program
    chmod 600 program
    with_another bash -c "bash -c 'shopt -s execfail; exec >copy; exec ./program
            exec 5>&1 >/dev/null
            { until [ -s copy ]; do :; done; for i in {1..100}; do printf ! >&5; done && touch marked; } &
            exec dd if=source bs=64k status=none >&5'
        until [ -e marked ]; do sleep 0.1; done
        rm marked"
}

# Nor is anything left of what was meant for the other, which would take away what a lease sends (F_SETLEASE).
seen_after_a_failure="import ctypes, os
fd = os.open('copy', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
os.dup2(fd, 1)
os.close(fd)
try:
    os.execve('./none', ['none'], os.environ)
except OSError as e:
    ask = ctypes.CDLL(None).syscall
    number = {'x86_64': 72, 'aarch64': 25}[os.uname().machine]
    print(e, ask(number, 1, 9), ask(number, 1, 11))"

nothing_is_seen_after_a_failure() {
    both bash -c "cp /bin/true none && chmod 600 none && exec python3 -c \"$seen_after_a_failure\""
    expect_status 0
    grep -q 'denied.* 0 0$' ours/copy || fail "it says $(cat ours/copy)"
}

# Who has installed a filter may be ended by any call that it does not make itself: here the library's fstat of the output, and prctl.
ends_who_looks="import ctypes, os, socket, struct, sys
fd = os.open('copy', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
os.dup2(fd, 1)
os.close(fd)
ends = socket.socketpair()
load, kill, allow = 0x20, 0x80000000, 0x7fff0000
lines = [(load, 0, 0, 0), (0x15, 0, 4, 5), (load, 0, 0, 16), (0x15, 0, 1, 1), (6, 0, 0, kill), (load, 0, 0, 0)]
for call in 157, 303:
    lines += [(0x15, 0, 1, call), (6, 0, 0, kill)]
lines += [(6, 0, 0, allow)]
code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *line) for line in lines))
class program(ctypes.Structure):
    _fields_ = [('length', ctypes.c_ushort), ('lines', ctypes.c_void_p)]
libc = ctypes.CDLL(None)
libc.prctl(38, 1, 0, 0, 0)
if libc.prctl(22, 2, ctypes.byref(program(len(lines), ctypes.addressof(code))), 0, 0):
    raise SystemExit('no filter')
if sys.argv[1:]:
    socket.send_fds(ends[0], [b'x'], [1])
    received = socket.recv_fds(ends[1], 1, 1)[1][0]
    os.write(received, b'received\n')
# A program that does not look at its output itself, as those do that use stdio.
words = os.pipe()
os.write(words[1], b'became it\n')
os.close(words[1])
os.dup2(words[0], 0)
os.execve('/bin/dd', ['dd', 'status=none'], {})"

under_a_filter_of_its_own() {
    [ "$(uname -m)" = x86_64 ] || skip "the numbers of its calls are those of x86-64"
    both python3 -c "$ends_who_looks"
    expect_status 0
    grep -q 'became it' ours/copy
    both python3 -c "$ends_who_looks" and-sends
    expect_status 0
    grep -q 'received' ours/copy
}

# What it cannot become it is not, and it has a child before it becomes something else.
after_a_failure() {
    cp /bin/dd program
    chmod 600 program
    with_another bash -c "bash -c 'shopt -s execfail; exec >copy; exec ./program
            { for i in {1..100}; do printf !; done && touch marked; } &
            exec dd if=source bs=64k status=none'
        until [ -e marked ]; do sleep 0.1; done
        rm marked"
}

owner_of_output='import fcntl, os, sys
print(fcntl.fcntl(1, fcntl.F_GETOWN), fcntl.fcntl(1, fcntl.F_GETSIG), file=sys.stderr)'

# Python is the one that becomes another program, and does before that what it is told to.
python_becomes() { # yes|no STATEMENTS
    # Before glibc 2.34 that is a library of its own, and who has it may have threads.
    [ "$1" = no ] || ! grep -q libpthread < <(ldd "$(command -v python3)") || skip "this Python has libpthread"
    as_plain "$1" python3 -c "
import fcntl, os, sys, threading, time
fd = os.open('copy', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
$2
os.dup2(fd, 1)
os.close(fd)
dd = '/bin/dd'
os.execve(dd, ['dd', 'if=../source', 'bs=64k', 'status=none'], os.environ)"
}

# A mark that is not the one of this process. Python is without the library, and becomes one that has it or starts it.
forged() { # STATEMENTS
    rm -f copy
    limited python3 -c "
import fcntl, os, struct
fd = os.open('copy', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
os.dup2(fd, 1)
os.close(fd)
def mark(kind, signal):
    fcntl.fcntl(1, 15, struct.pack('ii', kind, os.getpid()))
    fcntl.fcntl(1, 10, signal)
library = '$library'
$1
os.execve('/bin/dd', ['dd', 'if=source', 'bs=64k', 'status=none'], dict(os.environ, LD_PRELOAD=library))"
    cmp source copy
    read -r common _ < <("$extents" source copy)
}

forged_marks() {
    forged 'mark(0, 64)'
    [ "$common" -gt 0 ] || fail "a mark of the process itself is not taken: the others below would prove nothing"
    forged 'mark(0, 63)'
    [ "$common" -eq 0 ] || fail "a mark with another signal is taken"
    forged 'mark(1, 64)'
    [ "$common" -eq 0 ] || fail "a mark for a process of several threads is taken"
    forged 'mark(0, 64)
child = os.fork()
if child:
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))'
    [ "$common" -eq 0 ] || fail "another process's mark is taken"
    forged 'pipe = os.pipe()
child = os.fork()
if child == 0:
    os.dup2(pipe[1], 1)
    mark(0, 64)
    os.execve("/bin/true", ["true"], dict(os.environ, LD_PRELOAD=library))
if os.waitpid(child, 0)[1] or fcntl.fcntl(pipe[1], 11) != 64:
    raise SystemExit("a pipe has lost its signal")'
}

reflink_filesystem() {
    make_source source $((128 * 65536))
    verdict "by a child of bash, on $fs" in_bash yes "$copier >copy; echo done"
    verdict "the last command of bash, on $fs" in_bash yes "$copier >copy"
    verdict "a shell that becomes it, on $fs" as_plain yes sh -c "exec $copier >copy"
    verdict "through a stream, on $fs" in_bash "$(sees_threads && echo yes || echo no)" "head -c 100M ../source >copy; echo done"
    verdict "a part, and more behind it, on $fs" both bash -c "{ $copier count=9; echo more; $copier skip=9; } >copy"
    verdict "standard error goes there too, on $fs" both bash -c "{ $copier; ls none; } >copy 2>&1"
    verdict "read from where it is written, on $fs" both bash -c "$copier >copy; $copier 1<>copy; wc -c <copy"
    verdict "appended, on $fs" in_bash no "$copier >>copy; echo done"
    verdict "a sibling in the background, on $fs" with_another bash -c \
        '{ for i in {1..100}; do printf !; done & dd if=source bs=64k status=none; wait; } >copy'
    verdict "a child of one without the library, on $fs" between_them "$library" -static
    verdict "a child of one that brings the library, on $fs" between_them ''
    verdict "a child of one with the library, on $fs" between_them "$library"
    verdict "a child in the memory of its owner, on $fs" child_in_its_memory
    verdict "given away by a high number, on $fs" given_away_by 5000
    verdict "given away by a number that nobody saw, on $fs" given_away_by 50
    verdict "a child of another library, on $fs" child_before_the_start
    verdict "moved by another library, dup2, on $fs" moved_before_the_start 'dup2(1,5)'
    verdict "moved by another library, fcntl, on $fs" moved_before_the_start 'fcntl(1,F_DUPFD,5)'
    verdict "only to ordinary programs, on $fs" only_to_ordinary_ones
    verdict "under a filter of its own, on $fs" under_a_filter_of_its_own
    verdict "marks of others, on $fs" forged_marks
    verdict "only where the library is loaded, on $fs" only_where_the_library_is_loaded
    verdict "after a failure, on $fs" after_a_failure
    verdict "moved after a failure, on $fs" moved_after_a_failure
    verdict "nothing is seen after a failure, on $fs" nothing_is_seen_after_a_failure
    verdict "no owner is seen, on $fs" both bash -c "python3 -c '$owner_of_output' >copy; echo done"
    verdict "becomes it from Python, on $fs" python_becomes yes pass
    verdict "another thread is there, on $fs" python_becomes no \
        'threading.Thread(target=time.sleep, args=(1000,), daemon=True).start(); time.sleep(0.1)'
    verdict "its owner is somebody's, on $fs" python_becomes no 'fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())'
    verdict "its signal is somebody's, on $fs" python_becomes no 'fcntl.fcntl(fd, 10, 40)'
    verdict "it has a lock, on $fs" python_becomes no "fcntl.lockf(os.open('lock', os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)"
}

count=31
plan $((2 * count))
on_each "xfs btrfs" "$count" reflink_filesystem
