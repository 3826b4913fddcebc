/* Whether a change shows in a file's state, and whether it is seen there. */
#include "core/guards.h"
#include "core/settings.h"

#include "files.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <linux/version.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define AT(seconds, nanoseconds) ((struct timespec){(seconds), (nanoseconds)})

static bool shows(struct timespec modified, struct timespec changed, struct timespec now)
{
    struct file_state state = {.modified = modified, .changed = changed};
    return guard_would_show_at(&state, false, now);
}

static struct file_state state_of(int fd)
{
    struct file_state state;
    cr_assert(guard_look(fd, &state));
    return state;
}

Test(guards, only_stamps_older_than_the_clock_would_show_a_change)
{
    struct timespec old = AT(100, 5);
    cr_expect(shows(old, old, AT(100, 6)));
    cr_expect(shows(old, old, AT(101, 0)));
    cr_expect_not(shows(old, old, AT(100, 5)), "a change now would have the same stamp");
    cr_expect_not(shows(old, old, AT(100, 4)), "the clock was put back");
    cr_expect_not(shows(old, old, AT(99, 999999999)));
}

Test(guards, both_stamps_must_be_old)
{
    cr_expect_not(shows(AT(100, 5), AT(90, 5), AT(100, 5)), "the modification is too young");
    cr_expect_not(shows(AT(90, 5), AT(100, 5), AT(100, 5)), "the change is too young");
}

Test(guards, whole_seconds_may_be_kept_by_the_second_or_two)
{
    struct timespec whole = AT(100, 0);
    cr_expect_not(shows(whole, whole, AT(100, 999999999)));
    cr_expect_not(shows(whole, whole, AT(101, 999999999)), "FAT keeps every other second");
    cr_expect_not(shows(whole, whole, AT(102, 0)));
    cr_expect(shows(whole, whole, AT(102, 1)));
    cr_expect_not(shows(AT(90, 5), whole, AT(101, 0)), "one of the two is enough");
}

Test(guards, fine_stamps_always_show)
{
    struct file_state state = {.modified = AT(100, 5), .changed = AT(100, 5)};
    cr_expect(guard_would_show_at(&state, true, AT(100, 5)));
    cr_expect(guard_would_show_at(&state, true, AT(0, 0)));
    cr_expect(guard_would_show(&state, true));
}

Test(guards, a_file_just_written_is_young_and_grows_old)
{
    int fd = file_filled(10, 1);
    /* The stamp and the clock are of one tick unless the tick has just gone by. */
    bool young = false;
    for (int i = 0; i < 20 && !young; i++) {
        cr_assert_eq(pwrite(fd, "x", 1, 0), 1);
        struct file_state now = state_of(fd);
        young = !guard_would_show(&now, false);
    }
    cr_expect(young);
    file_tick();
    struct file_state old = state_of(fd);
    cr_expect(guard_would_show(&old, false));
}

Test(guards, looks_at_regular_files_only)
{
    struct file_state state;
    int ends[2], directory = open(files_directory(), O_RDONLY | O_DIRECTORY);
    cr_assert_eq(pipe(ends), 0);
    cr_expect_not(guard_look(ends[0], &state));
    cr_expect_not(guard_look(directory, &state));
    cr_expect_not(guard_look(-1, &state));
    cr_expect_not(guard_look(1 << 20, &state));
    int fd = file_filled(321, 1);
    cr_expect(guard_look(fd, &state));
    cr_expect_eq(state.size, 321);
}

Test(guards, one_file_through_two_descriptors)
{
    int fd = file_filled(10, 1), other = file_filled(10, 1);
    struct file_state a = state_of(fd), b = state_of(dup(fd)), c = state_of(other);
    cr_expect(guard_same_file(&a, &b));
    cr_expect_not(guard_same_file(&a, &c));
    c.inode = a.inode;
    c.device = a.device + 1;
    cr_expect_not(guard_same_file(&a, &c), "inode numbers are of one device");
    cr_expect_not(guard_unchanged(other, &a));
    cr_expect_not(guard_unchanged(-1, &a));
}

static uint64_t number_of(int fd)
{
    struct file_state state = state_of(fd);
    return guard_number(fd, &state);
}

Test(guards, a_file_keeps_its_number)
{
    int fd = file_filled(10, 1), other = file_filled(10, 1);
    uint64_t number = number_of(fd);
    cr_assert_neq(number, 0);
    cr_expect_eq(number_of(dup(fd)), number);
    cr_expect_neq(number_of(other), number);
    file_tick();
    cr_assert_eq(write(fd, "x", 1), 1);
    cr_assert_eq(fchmod(fd, 0600), 0);
    cr_expect_eq(number_of(fd), number);
}

Test(guards, what_is_no_file_any_more_has_no_number)
{
    struct file_state state = state_of(file_new());
    cr_expect_eq(guard_number(-1, &state), 0);
}

/* Whatever node leads to it. */
Test(guards, a_device_is_known_by_its_number)
{
    struct file_state disk = {.device = makedev(7, 3), .raw = true}, another = {.device = makedev(7, 4), .raw = true};
    int fd = file_new(), other = file_new();
    cr_expect_eq(guard_number(fd, &disk), guard_number(other, &disk));
    cr_expect_neq(guard_number(fd, &disk), guard_number(fd, &another));
}

static void end_who_asks_for_a_handle(void)
{
    struct sock_filter lines[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_name_to_handle_at, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof lines / sizeof *lines, lines};
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

Test(guards, nobody_who_is_filtered_asks_for_a_handle)
{
    int fd = file_filled(10, 1), other = file_filled(10, 1);
    end_who_asks_for_a_handle();
    settings.filtered = true;
    cr_expect_eq(number_of(fd), number_of(dup(fd)));
    cr_expect_neq(number_of(fd), number_of(other));
    cr_expect_neq(number_of(fd), 0);
}

Test(guards, nothing_changed)
{
    int fd = file_filled(100, 1);
    struct file_state was = state_of(fd);
    char byte;
    file_tick();
    cr_assert_eq(pread(fd, &byte, 1, 0), 1);
    cr_expect(guard_unchanged(fd, &was), "reading is no change");
}

Test(guards, each_part_of_the_state_counts)
{
    int fd = file_filled(100, 1);
    struct file_state is = state_of(fd);
    struct file_state was[] = {is, is, is, is, is, is, is};
    was[0].device++;
    was[1].inode++;
    was[2].size++;
    was[3].modified.tv_sec--;
    was[4].modified.tv_nsec ^= 1;
    was[5].changed.tv_sec--;
    was[6].changed.tv_nsec ^= 1;
    cr_expect(guard_unchanged(fd, &is));
    for (size_t i = 0; i < sizeof was / sizeof *was; i++)
        cr_expect_not(guard_unchanged(fd, &was[i]), "part %zu does not count", i);
}

Test(guards, a_change_of_size_is_seen)
{
    int fd = file_filled(100, 1);
    struct file_state was = state_of(fd);
    struct timespec times[2] = {was.modified, was.modified};
    cr_assert_eq(ftruncate(fd, 99), 0);
    futimens(fd, times);
    cr_expect_not(guard_unchanged(fd, &was));
}

Test(guards, a_write_in_place_is_seen)
{
    int fd = file_filled(100, 1);
    file_tick();
    struct file_state was = state_of(fd);
    cr_assert_eq(pwrite(fd, "x", 1, 50), 1);
    cr_expect_not(guard_unchanged(fd, &was));
}

Test(guards, a_write_with_its_time_put_back_is_seen_by_the_time_of_change)
{
    int fd = file_filled(100, 1);
    file_tick();
    struct file_state was = state_of(fd);
    struct timespec times[2] = {was.modified, was.modified};
    cr_assert_eq(pwrite(fd, "x", 1, 50), 1);
    cr_assert_eq(futimens(fd, times), 0);
    struct file_state is = state_of(fd);
    cr_assert_eq(memcmp(&is.modified, &was.modified, sizeof is.modified), 0);
    cr_assert_eq(is.size, was.size);
    cr_expect_not(guard_unchanged(fd, &was));
}

Test(guards, a_stamp_is_one_that_no_write_gives)
{
    int fd = file_filled(100, 1);
    struct file_state before = state_of(fd), stamped;
    cr_assert(guard_stamp(fd, false));
    stamped = state_of(fd);
    cr_expect_neq(stamped.modified.tv_nsec, before.modified.tv_nsec);
    cr_expect_neq(stamped.modified.tv_nsec, stamped.changed.tv_nsec, "not the time of the kernel's tick");
    /* At once, within the same tick: it shows all the same. */
    cr_assert_eq(pwrite(fd, "x", 1, 50), 1);
    cr_expect_not(guard_unchanged(fd, &stamped));
}

Test(guards, fine_stamps_need_no_stamp_of_ours)
{
    int fd = file_filled(100, 1);
    struct file_state before = state_of(fd), stamped;
    cr_assert(guard_stamp(fd, true));
    stamped = state_of(fd);
    cr_expect_eq(memcmp(&before, &stamped, sizeof before), 0);
}

/* The rights of the thread alone, which libc's call would give to the whole process. */
static void become_nobody(void)
{
    if (geteuid() != 0)
        cr_skip_test("only root can become a user to whom the file does not belong");
    cr_assert_eq(syscall(SYS_setresuid, 65534, 65534, 65534), 0);
}

Test(guards, a_strangers_file_cannot_be_stamped_but_touched)
{
    int fd = file_filled(100, 1);
    struct file_state before = state_of(fd), state;
    become_nobody();
    cr_expect_not(guard_stamp(fd, false));
    file_tick();
    guard_touch(fd, 100);
    state = state_of(fd);
    cr_expect_eq(state.size, 100);
    cr_expect_neq(state.modified.tv_nsec, before.modified.tv_nsec);
}

Test(guards, a_touch_gives_the_time_of_now)
{
    int fd = file_filled(100, 1);
    struct timespec long_ago[2] = {{1000, 1}, {1000, 1}};
    cr_assert_eq(futimens(fd, long_ago), 0);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    guard_touch(fd, 100);
    struct stat st;
    cr_assert_eq(fstat(fd, &st), 0);
    cr_expect_geq(st.st_mtim.tv_sec, now.tv_sec - 1);
    cr_expect_eq(st.st_atim.tv_sec, 1000, "the time of access is the program's");
    cr_expect_eq(st.st_size, 100);
}

Test(guards, fine_stamps_by_kernel_and_file_system)
{
    static const uint64_t fine[] = {0x58465342, BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, TMPFS_MAGIC};
    static const uint64_t coarse[] = {NFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, MSDOS_SUPER_MAGIC, 0};
    for (size_t i = 0; i < 4; i++) {
        cr_expect_not(guard_fine_stamps(0, fine[i]));
        cr_expect_not(guard_fine_stamps(KERNEL_VERSION(6, 12, 255), fine[i]));
        cr_expect(guard_fine_stamps(KERNEL_VERSION(6, 13, 0), fine[i]));
        cr_expect(guard_fine_stamps(KERNEL_VERSION(7, 0, 0), fine[i]));
        cr_expect_not(guard_fine_stamps(KERNEL_VERSION(7, 0, 0), coarse[i]));
    }
}
