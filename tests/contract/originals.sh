#!/bin/bash
# The first call of a hooked function finds the original, wherever it is made from, and whichever library has it.
. "$(dirname "$0")/../fixture.sh"

need python3
command -v "${OFFLOAD_TEST_CC:-cc}" >/dev/null || skip_all "there is no compiler"

compile() { # FILE OPTION... <SOURCE
    { echo '#define _GNU_SOURCE' && printf '#include <%s.h>\n' dlfcn errno fcntl link pthread signal stdio stdlib string sys/file sys/stat \
        sys/syscall sys/wait unistd && cat; } |
        ${OFFLOAD_TEST_CC:-cc} -O1 -pthread "${@:2}" -x c -o "$1" - -ldl || skip "it cannot be compiled here (${*:2})"
}

# A few calls that the library does not make itself, and that a program may make first of all.
first_calls='static int first_calls(void)
{
    struct stat st;
    char path[] = "/tmp/XXXXXX";
    int wrong = 0, file = mkstemp(path);
    errno = 77;
    wrong += file < 0 || unlink(path) || lseek(file, 5, SEEK_SET) != 5 || ftruncate(file, 9) || fchmod(file, 0600);
    wrong += dup2(file, 100) != 100 || fstat(100, &st) || st.st_size != 9 || st.st_mode != (S_IFREG | 0600);
    wrong += fcntl(100, F_GETFD) || fsync(100) || flock(100, 2) || close(100) || close(file);
    return wrong + (errno != 77);
}'

# A library is loaded, whose constructor waits, in the loader, for another thread. That one may not wait for the loader: nor may a handler
# that it enters, nor a child in its memory.
while_a_library_is_loaded() {
    compile waits.so -shared -fPIC <<'END'
__attribute__((constructor)) static void waits(void)
{
    volatile int *turn = dlsym(RTLD_DEFAULT, "turn");
    for (*turn = 1; *turn != 2;)
        usleep(1000);
}
END
    compile caller -rdynamic "-DWAITS=\"$PWD/waits.so\"" < <(
        echo "$first_calls"
        cat <<'END'
volatile int turn;
static int wrong;
static void handler(int signal)
{
    wrong = first_calls() + (signal != SIGUSR1);
}
static void *call(void *way)
{
    struct sigaction action = {.sa_handler = handler};
    int status = 0;
    while (turn != 1)
        usleep(1000);
    if (!strcmp(way, "handler"))
        wrong = sigaction(SIGUSR1, &action, NULL) || raise(SIGUSR1) || wrong;
    else if (strcmp(way, "child"))
        wrong = first_calls();
    else if (vfork() == 0)
        _exit(first_calls());
    else
        wrong = wait(&status) < 0 || status;
    turn = 2;
    return NULL;
}
int main(int argc, char **argv)
{
    pthread_t thread;
    if (argc < 2 || pthread_create(&thread, NULL, call, argv[1]) || !dlopen(WAITS, RTLD_NOW))
        return 2;
    pthread_join(thread, NULL);
    return wrong;
}
END
    )
    compile old.so -shared -fPIC -Wl,--hash-style=sysv <<<'int nothing;'
    for way in thread handler child; do
        both ../caller "$way"
        expect_status 0
        library="$library $PWD/old.so" run_preloaded ./caller "$way" || fail "with a library that has the older table: $?"
    done
}

# Some of the arguments are on the stack.
with_many_arguments() {
    both python3 -c 'import ctypes
ctypes.CDLL(None).execl(b"/bin/echo", b"echo", *[b"%d" % i for i in range(20)], None)'
    expect_status 0
    [ "$(cat "$scratch/ours.out")" = "$(echo {0..19})" ] || fail "it has $(cat "$scratch/ours.out")"
}

# Another library behind this one has the functions too: it is called, and then libc, as often as without this one.
through_another_library() { # OPTION...
    compile other.so -shared -fPIC "$@" <<'END'
static int calls;
static off_t our_lseek(int file, off_t to, int whence)
{
    calls++;
    return syscall(SYS_lseek, file, to, whence);
}
#ifdef INDIRECT
static void *choose(void) { return our_lseek; }
off_t lseek(int file, off_t to, int whence) __attribute__((ifunc("choose")));
#else
off_t lseek(int file, off_t to, int whence) { return our_lseek(file, to, whence); }
#endif
int mkstemp(char *path)
{
    int (*next)(char *) = (int (*)(char *))dlsym(RTLD_NEXT, "mkstemp");
    calls += 10;
    return next(path);
}
__attribute__((destructor)) static void tell(void)
{
    dprintf(2, "%d calls\n", calls);
}
END
    compile caller < <(echo "$first_calls" && echo 'int main(void) { return first_calls() + first_calls(); }')
    library=$PWD/other.so run_preloaded ./caller 2>alone
    grep -qx '22 calls' alone || fail "the test itself is wrong: alone it has $(cat alone)"
    library="$library $PWD/other.so" run_preloaded ./caller 2>behind
    diff alone behind || fail "the other library was passed over"
}

# Another library compares strings and tells of it, by calls whose originals are not known yet.
with_a_library_that_compares() {
    compile other.so -shared -fPIC -fno-builtin <<'END'
static int depth;
int strcmp(const char *one, const char *other)
{
    if (++depth > 9)
        _exit(9);
    write(2, "", 0);
    dprintf(2, "%s", "");
    depth--;
    for (; *one && *one == *other; one++)
        other++;
    return *(const unsigned char *)one - *(const unsigned char *)other;
}
END
    compile caller < <(echo "$first_calls" && echo 'int main(void) { return first_calls(); }')
    library=$PWD/other.so run_preloaded ./caller || fail "the test itself is wrong: alone it ends with $?"
    library="$library $PWD/other.so" run_preloaded ./caller || fail "it ended with $?"
}

# A handler may throw, or look at the stack, between any two instructions: it finds the way to main from each.
after_each_instruction() {
    [ "$(uname -m)" = x86_64 ] || skip "single steps are made on x86-64 only"
    compile caller <<'END'
#include <execinfo.h>
#include <ucontext.h>
int main(void);
static volatile int stepping, steps, lost;
static void look(int signal, siginfo_t *about, void *context)
{
    greg_t *flags = &((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL];
    void *frames[40];
    int n = backtrace(frames, 40), found = signal != SIGTRAP || !about;
    for (int i = 0; i < n; i++)
        found |= (char *)frames[i] >= (char *)main && (char *)frames[i] < (char *)main + 1000;
    steps++;
    lost += !found;
    *flags = stepping ? *flags | 0x100 : *flags & ~0x100;
}
int main(void)
{
    struct sigaction action = {.sa_sigaction = look, .sa_flags = SA_SIGINFO};
    struct stat st;
    void *frame;
    backtrace(&frame, 1);
    if (sigaction(SIGTRAP, &action, NULL))
        return 2;
    stepping = 1;
    raise(SIGTRAP);
    lseek(0, 0, SEEK_CUR);
    fchmod(99, 0);
    dup2(98, 97);
    fstat(0, &st);
    execl("/none", "none", (char *)NULL);
    stepping = 0;
    if (lost)
        dprintf(2, "lost after %d of %d instructions\n", lost, steps);
    return lost || steps < 50;
}
END
    # The dynamic linker's own code, where it binds a name at its first call, is another matter.
    LD_BIND_NOW=1 both ../caller
    expect_status 0
}

# A library's constructor runs before this one's, which would have complained of a setting.
before_the_constructor() {
    compile early.so -shared -fPIC < <(
        echo "$first_calls"
        cat <<'END'
__attribute__((constructor)) static void early(void)
{
    dprintf(2, "%d wrong\n", first_calls());
}
END
    )
    OFFLOAD=perhaps library="$library $PWD/early.so" run_preloaded "$(command -v true)" 2>early
    [ "$(sed -n 1p early)" = "0 wrong" ] || fail "before the constructor: $(cat early)"
    grep -q perhaps early || fail "the test itself is wrong: when the constructor ran is not seen"
}

# In a namespace of its own the library finds nobody behind it.
in_a_namespace_of_its_own() {
    compile caller <<'END'
int main(int argc, char **argv)
{
    void *library = argc > 1 ? dlmopen(LM_ID_NEWLM, argv[1], RTLD_NOW) : NULL;
    if (!library)
        return puts(dlerror()), 2;
    off_t (*seek)(int, off_t, int) = (off_t(*)(int, off_t, int))dlsym(library, "lseek");
    int (*closes)(int) = (int (*)(int))dlsym(library, "close");
    int file = open(argv[0], O_RDONLY);
    if (seek(file, 5, SEEK_SET) != 5 || lseek(file, 0, SEEK_CUR) != 5 || closes(file))
        return 3;
    return fcntl(file, F_GETFD) != -1;
}
END
    limited ./caller "$library" || fail "it ended with $?"
}

# The program loads this library itself, and another one behind it, which goes away: that one was never meant.
loaded_by_the_program() {
    compile other.so -shared -fPIC <<<'off_t lseek(int file, off_t to, int whence) { return file + to + whence; }'
    compile caller <<'END'
int main(int argc, char **argv)
{
    void *library = argc > 2 ? dlopen(argv[1], RTLD_NOW) : NULL, *other = library ? dlopen(argv[2], RTLD_NOW) : NULL;
    if (!other)
        return puts(dlerror()), 2;
    off_t (*seek)(int, off_t, int) = (off_t(*)(int, off_t, int))dlsym(library, "lseek");
    if (seek(99, 5, SEEK_SET) != -1 || dlclose(other))
        return 3;
    return seek(99, 5, SEEK_SET) != -1 || errno != EBADF;
}
END
    limited ./caller "$library" ./other.so || fail "it ended with $?"
}

plan 10
cd "$scratch" || exit
verdict "while a library is loaded" while_a_library_is_loaded
verdict "with many arguments" with_many_arguments
verdict "through another library" through_another_library -Wl,--hash-style=gnu
verdict "through a library with the older table" through_another_library -Wl,--hash-style=sysv
verdict "through a library that chooses" through_another_library -DINDIRECT
verdict "with a library that compares" with_a_library_that_compares
verdict "after each instruction" after_each_instruction
verdict "before the constructor" before_the_constructor
verdict "in a namespace of its own" in_a_namespace_of_its_own
verdict "loaded by the program" loaded_by_the_program
