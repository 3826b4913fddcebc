/* What happens before the program's main and after its end. */
#include "../core/copy.h"
#include "../core/handed.h"
#include "../core/report.h"
#include "../core/settings.h"
#include "lookup.h"
#include "originals.h"

#include "config.h"

#include <pthread.h>
#include <sys/auxv.h>

/* What the command `offload` looks for in the file, to see that the two are of one version; what(1) finds it too. */
__attribute__((used)) static const char identity[] = "@(#)liboffload " PACKAGE_VERSION;

/*
 * The program's own handlers of pthread_atfork(3) run after the hook of fork(2), and may copy. This one, registered before
 * theirs, runs after them.
 */
static void before_fork(void)
{
    copy_handing_over();
    handed_forget();
}

/* glibc passes a constructor what it passes to main. */
__attribute__((constructor)) static void start(int argc, char **argv, char **environment)
{
    (void)argc;
    (void)argv;
    originals_start();
    underway_start();
    pthread_atfork(before_fork, NULL, NULL);
    settings_read(environment, getauxval(AT_SECURE) != 0);
    handed_start(environment, lookup_own_path());
    report_open();
}

/*
 * Runs after the program's own exit handlers, and before stdio writes out what it still holds. Destructors of libraries that
 * were loaded before this one run later, and may copy.
 */
__attribute__((destructor)) static void finish(void)
{
    copy_finish_for_good();
}
