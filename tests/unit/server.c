/* The server engine, as far as it can be tried where no server is: a local file that is taken for one of a share. */
#include "engines/engine.h"

#include "../older.h"
#include "files.h"

#include <criterion/criterion.h>
#include <linux/magic.h>
#include <unistd.h>

#define PART ((size_t)64 << 10)

/* The clone fails, as the source is shorter; the destination is as long as if it had begun, or as another had written. */
static int copied_after_a_failed_clone(size_t size)
{
    struct file_pair pair = {
        .source = file_filled(PART, 1), .destination = file_new(), .destination_fs = CIFS_SUPER_MAGIC, .block = 4096};
    cr_assert_eq(ftruncate(pair.destination, (off_t)size), 0);
    engine_server.copy(&pair, 0, 0, 2 * PART);
    cr_assert(pair.no_clone);
    return pair.destination;
}

Test(server, what_a_failed_clone_added_is_cut_off)
{
    cr_expect_eq(file_size(copied_after_a_failed_clone(2 * PART)), PART);
}

Test(server, what_another_wrote_behind_a_failed_clone_stays)
{
    cr_expect_eq(file_size(copied_after_a_failed_clone(2 * PART + 1)), 2 * PART + 1);
}
