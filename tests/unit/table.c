/* The table of sessions: its places, and who sees them. */
#include "core/table.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void enter(uint64_t *blocked)
{
    cr_assert(table_enter(blocked));
}

static struct session *claimed(int destination)
{
    struct session *s = table_claim(destination);
    cr_assert_not_null(s);
    s->pair.destination = destination;
    return s;
}

static void release(int destination)
{
    struct session *s = table_find(destination);
    cr_assert_not_null(s);
    table_release(s);
}

static unsigned visited;
static int visited_destination;

static void visit(struct session *s, const void *what)
{
    (void)what;
    visited++;
    visited_destination = s->pair.destination;
    table_unlock(s);
}

Test(table, is_empty_at_first)
{
    uint64_t blocked;
    enter(&blocked);
    cr_expect_eq(table_taken, 0);
    cr_expect_null(table_find(0));
    cr_expect_null(table_find(7));
    cr_expect_null(table_find(-1));
    table_each(visit, NULL);
    cr_expect_eq(visited, 0);
    table_leave(blocked);
}

Test(table, one_destination_is_claimed_once)
{
    uint64_t blocked;
    enter(&blocked);
    table_unlock(claimed(7));
    cr_expect_null(table_claim(7), "another thread was quicker");
    cr_expect_eq(table_taken, 1);
    release(7);
    table_release(claimed(7));
    table_leave(blocked);
}

Test(table, a_session_that_may_wait_for_a_server_is_asked_and_not_waited_for)
{
    uint64_t blocked;
    enter(&blocked);
    struct session *s = claimed(7);
    s->engine = &engine_server;
    /* Still locked, as by another thread. */
    table_each(visit, NULL);
    cr_expect_eq(visited, 0);
    cr_expect(s->asked);
    table_unlock(s);
    table_each(visit, NULL);
    cr_expect_eq(visited, 1);
    table_leave(blocked);
}

Test(table, a_session_is_locked_again_while_it_runs_and_nobody_has_it)
{
    uint64_t blocked;
    enter(&blocked);
    struct session *s = claimed(7);
    cr_expect_not(table_lock_again(s), "it is locked");
    table_unlock(s);
    cr_expect_not(table_lock_again(s), "it does not run");
    s->running = 1;
    cr_expect(table_lock_again(s));
    table_unlock(s);
    table_leave(blocked);
}

static struct session *running(int destination, ino_t from, ino_t to)
{
    struct session *s = claimed(destination);
    s->source.inode = from;
    s->left.inode = to;
    s->running = 1;
    return s;
}

Test(table, sessions_of_other_files_are_no_rivals)
{
    uint64_t blocked;
    enter(&blocked);
    struct session *one = running(7, 1, 2), *other = running(8, 1, 3);
    cr_expect_not(table_has_rival(one), "one source may go to two files");
    other->left.inode = 2;
    cr_expect(table_has_rival(one), "another that writes the same file");
    cr_expect(table_has_rival(other));
    other->running = 0;
    cr_expect_not(table_has_rival(one));
    other->running = 1;
    other->left.inode = 1;
    cr_expect(table_has_rival(one), "another that writes the source");
    cr_expect(table_has_rival(other), "another that reads the destination");
    table_leave(blocked);
}

Test(table, claims_finds_and_releases)
{
    uint64_t blocked;
    enter(&blocked);
    struct session *s = claimed(7);
    s->tally.written = 42;
    table_unlock(s);
    cr_expect_eq(table_taken, 1);
    cr_expect_eq(table_find(7), s);
    cr_expect_null(table_find(8));
    table_release(s);
    cr_expect_eq(table_taken, 0);
    cr_expect_null(table_find(7));
    table_leave(blocked);
}

Test(table, a_place_is_given_out_clean)
{
    uint64_t blocked;
    enter(&blocked);
    struct session *s = claimed(7);
    memset((char *)s + sizeof s->lock, 0x55, sizeof *s - sizeof s->lock);
    table_release(s);
    struct session *again = claimed(9), clean;
    memset(&clean, 0, sizeof clean);
    clean.lock = again->lock;
    clean.pair.destination = 9;
    cr_expect_eq(again, s);
    cr_expect_eq(memcmp(again, &clean, sizeof clean), 0);
    table_release(again);
    table_leave(blocked);
}

Test(table, descriptor_zero_is_one_like_any_other)
{
    uint64_t blocked;
    enter(&blocked);
    table_unlock(claimed(0));
    struct session *s = table_find(0);
    cr_assert_not_null(s);
    table_release(s);
    table_leave(blocked);
}

Test(table, is_full_some_time)
{
    uint64_t blocked;
    enter(&blocked);
    for (int i = 0; i < TABLE_SIZE; i++)
        table_unlock(claimed(i));
    cr_expect_eq(table_taken, TABLE_SIZE);
    cr_expect_null(table_claim(TABLE_SIZE));
    release(500);
    struct session *s = table_claim(TABLE_SIZE);
    cr_expect_not_null(s, "a place that was given back can be had");
    table_unlock(s);
    table_each(visit, NULL);
    cr_expect_eq(visited, TABLE_SIZE);
    table_leave(blocked);
}

Test(table, sessions_of_a_file_are_known_by_device_and_inode)
{
    uint64_t blocked;
    enter(&blocked);
    struct session *s = claimed(7);
    s->left = (struct file_state){.device = 1, .inode = 10};
    s->source = (struct file_state){.device = 1, .inode = 20};
    s->running = 1;
    table_unlock(s);
    table_unlock(claimed(8));

    struct file_state destination = {.device = 1, .inode = 10, .size = 99};
    struct file_state source = {.device = 1, .inode = 20};
    struct file_state other = {.device = 2, .inode = 10};
    table_each_of_file(&destination, false, visit, NULL);
    cr_expect_eq(visited, 1);
    cr_expect_eq(visited_destination, 7);
    table_each_of_file(&source, false, visit, NULL);
    cr_expect_eq(visited, 1, "as a source only where that was asked for");
    table_each_of_file(&source, true, visit, NULL);
    cr_expect_eq(visited, 2);
    table_each_of_file(&other, true, visit, NULL);
    cr_expect_eq(visited, 2);
    s->running = 0;
    table_each_of_file(&destination, true, visit, NULL);
    cr_expect_eq(visited, 2, "a settled session is nobody's");
    table_leave(blocked);
}

static void visit_in(struct session *s, const void *range)
{
    (void)range;
    visit(s, NULL);
}

Test(table, sessions_in_a_range_of_descriptors)
{
    uint64_t blocked;
    enter(&blocked);
    struct session *s = claimed(7);
    s->pair.source = 5;
    s->running = 1;
    table_unlock(s);
    static const struct descriptor_range with[] = {{7, 7}, {0, 7}, {7, UINT32_MAX}, {5, 5}};
    static const struct descriptor_range without[] = {{6, 6}, {8, UINT32_MAX}, {0, 4}, {8, 6}};
    for (unsigned i = 0; i < 4; i++) {
        visited = 0;
        table_each_in(with[i], visit_in);
        cr_expect_eq(visited, 1, "%u to %u", with[i].first, with[i].last);
        table_each_in(without[i], visit_in);
        cr_expect_eq(visited, 1, "%u to %u", without[i].first, without[i].last);
    }
    table_leave(blocked);
}

Test(table, what_the_program_wrote_is_counted_for_its_descriptor)
{
    uint64_t blocked;
    enter(&blocked);
    struct session *s = claimed(7);
    table_unlock(s);
    table_leave(blocked);
    table_count_written(7, 100);
    table_count_written(7, 11);
    table_count_written(8, 1000);
    cr_expect_eq(s->tally.written, 111);
}

Test(table, signals_wait_until_it_is_left)
{
    uint64_t blocked;
    sigset_t before, inside, after;
    sigprocmask(SIG_BLOCK, NULL, &before);
    enter(&blocked);
    sigprocmask(SIG_BLOCK, NULL, &inside);
    table_leave(blocked);
    sigprocmask(SIG_BLOCK, NULL, &after);
    cr_expect(sigismember(&inside, SIGUSR1) && sigismember(&inside, SIGSEGV) && sigismember(&inside, SIGRTMAX));
    for (int signal = 1; signal <= SIGRTMAX; signal++)
        cr_expect_eq(sigismember(&before, signal), sigismember(&after, signal), "signal %d", signal);
}

/* What a child has to say, as its status. */
static int status_of(pid_t child)
{
    int status = -1;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status), "the child was killed by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

enum { NO_TABLE = 10, FOUND_PARENTS = 20, COUNTS_PARENTS = 30, RUNS_PARENTS = 40, CANNOT_CLAIM = 50 };

static int look_in_child(bool (*by)(uint64_t *))
{
    uint64_t blocked;
    if (!by(&blocked))
        return NO_TABLE;
    if (table_taken != 0)
        return COUNTS_PARENTS;
    if (sessions_running != 0)
        return RUNS_PARENTS;
    if (table_find(7))
        return FOUND_PARENTS;
    struct session *s = table_claim(7);
    if (!s)
        return CANNOT_CLAIM;
    table_release(s);
    table_leave(blocked);
    return 0;
}

static struct session *running_session(void)
{
    struct session *s = claimed(7);
    s->pair.source = 5;
    s->running = 1;
    sessions_running = 1;
    return s;
}

static void check_fork(bool (*by)(uint64_t *))
{
    uint64_t blocked;
    enter(&blocked);
    struct session *s = running_session();
    table_unlock(s);
    table_leave(blocked);
    pid_t child = fork();
    if (child == 0)
        _exit(look_in_child(by));
    cr_expect_eq(status_of(child), 0);
    enter(&blocked);
    cr_expect_eq(table_taken, 1, "the parent's go on");
    cr_expect_eq(sessions_running, 1);
    cr_expect_eq(table_find(7), s);
    table_leave(blocked);
}

Test(table, a_forks_child_starts_with_none)
{
    check_fork(table_enter);
}

Test(table, a_forks_child_starts_with_none_whichever_way_it_comes)
{
    check_fork(table_enter_running);
}

Test(table, a_lock_held_at_a_fork_is_not_held_in_the_child, .timeout = 20)
{
    uint64_t blocked;
    enter(&blocked);
    struct session *s = running_session();
    pid_t child = fork();
    if (child == 0)
        _exit(look_in_child(table_enter));
    table_unlock(s);
    table_leave(blocked);
    cr_expect_eq(status_of(child), 0);
}

Test(table, a_grandchild_starts_with_none_too)
{
    uint64_t blocked;
    enter(&blocked);
    table_unlock(running_session());
    table_leave(blocked);
    pid_t child = fork();
    if (child == 0) {
        int seen = look_in_child(table_enter);
        if (seen == 0 && table_enter(&blocked)) {
            table_unlock(running_session());
            table_leave(blocked);
        }
        pid_t grandchild = seen ? -1 : fork();
        if (grandchild == 0)
            _exit(look_in_child(table_enter));
        int status = 0;
        if (grandchild > 0)
            waitpid(grandchild, &status, 0);
        _exit(seen ? seen : WEXITSTATUS(status));
    }
    cr_expect_eq(status_of(child), 0);
}

static bool entered_meanwhile;

/* The counters may be written from now on, whose writer is in the middle of the table's taking. */
static void enter_meanwhile(int number)
{
    uint64_t unused;
    (void)number;
    mprotect((void *)((uintptr_t)&sessions_running & ~(uintptr_t)4095), 4096, PROT_READ | PROT_WRITE);
    entered_meanwhile = table_enter(&unused);
}

static int enter_while_it_is_taken(void)
{
    uint64_t unused;
    signal(SIGSEGV, enter_meanwhile);
    if (mprotect((void *)((uintptr_t)&sessions_running & ~(uintptr_t)4095), 4096, PROT_READ) < 0)
        return 2;
    return table_enter(&unused) ? entered_meanwhile : 3;
}

/* Whose session would be forgotten when the counters are set back. */
Test(table, nobody_enters_while_it_is_taken)
{
    uint64_t blocked;
    enter(&blocked);
    table_unlock(running_session());
    table_leave(blocked);
    pid_t child = fork();
    if (child == 0)
        _exit(enter_while_it_is_taken());
    cr_expect_eq(status_of(child), 0);
}

Test(table, a_vfork_child_is_told_there_is_none)
{
    uint64_t blocked;
    enter(&blocked);
    struct session *s = running_session();
    table_unlock(s);
    table_leave(blocked);
    pid_t child = vfork();
    if (child == 0) {
        uint64_t unused;
        _exit(table_enter(&unused) ? 1 : NO_TABLE);
    }
    cr_expect_eq(status_of(child), NO_TABLE);
    enter(&blocked);
    cr_expect_eq(table_taken, 1);
    cr_expect_eq(table_find(7), s);
    table_leave(blocked);
}

Test(table, a_vfork_child_reaches_what_runs)
{
    uint64_t blocked;
    enter(&blocked);
    table_unlock(running_session());
    table_leave(blocked);
    pid_t child = vfork();
    if (child == 0) {
        uint64_t mine;
        if (!table_enter_running(&mine))
            _exit(NO_TABLE);
        struct session *s = table_find(7);
        int seen = s && s->running ? 0 : FOUND_PARENTS;
        if (s)
            table_unlock(s);
        table_leave(mine);
        _exit(seen);
    }
    cr_expect_eq(status_of(child), 0);
}
