/* offload: runs a command with liboffload, and tells what became of its copies. */
#include "command.h"
#include "core/settings.h"
#include "itself.h"
#include "library.h"
#include "lines.h"
#include "names.h"
#include "options.h"
#include "program.h"
#include "progress.h"
#include "run.h"
#include "watch.h"

#include <config.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what needs no command ---- */

typedef int subcommand(int argc, char **argv);

static subcommand *find_subcommand(const char *word)
{
    return strcmp(word, "probe") == 0 ? probe_main : strcmp(word, "doctor") == 0 ? doctor_main : NULL;
}

static int run_subcommand(subcommand *run, const struct options *options, int argc, char **argv)
{
    if (options->words > 1)
        fail(STATUS_FAILED, "%s runs no command, so %s before it means nothing; for a program of that name write -- %s",
             argv[options->words], name_printable(argv[options->words - 1]), argv[options->words]);
    return run(argc - options->words, argv + options->words);
}

/* ---- a command ---- */

/*
 * Why the library, which is in LD_PRELOAD if `library`, cannot recognise anything in that program; or NULL. `refuses`:
 * what program_refuses() said of it.
 */
static const char *why_nothing(const char *library, const char *path, const char *refuses)
{
    if (!library)
        return "the program ran without the library";
    if (settings.off)
        return "the library is switched off (OFFLOAD=off or --off)";
    char *text = NULL;
    if (!refuses)
        return NULL;
    char *shown = name_printable(path);
    if (asprintf(&text, "the library is not in %s: %s", shown, refuses) < 0)
        text = NULL;
    free(shown);
    return text;
}

_Noreturn static void run(struct options *options, bool called_by_name, const char *path, char **argv)
{
    const char *library = library_to_load(!called_by_name);
    bool harms;
    char *refuses = program_refuses(path, &harms);
    /* As the library in the program will read them, which tells of those that are wrong. */
    settings_complain = false;
    settings_read(environ, false);
    options->progress = options->progress && progress_possible();
    static struct watch watch;
    watch.options = options;
    /* An outer `offload` watches already, unless this one was asked itself. */
    watch.always = settings.policy == POLICY_ALWAYS && (options->always || !getenv("OFFLOAD_COLLECT"));
    /* The library would leave the file of --log for the outer one's. */
    bool logs_within = options->logs && getenv("OFFLOAD_COLLECT");
    bool watched = options->verbose || options->report || options->progress || watch.always || logs_within;
    if (watched)
        watch.nothing = why_nothing(library, path, refuses);
    free(refuses);
    if (library && !harms)
        library_preload(library);
    if (!watched)
        run_in_place(path, argv);
    watch_run(&watch, path, argv);
}

/* ---- the two ways to be called ---- */

/* A link to this executable: the program of the link's name is run. */
_Noreturn static void run_by_name(struct options *options, const char *name, char **argv)
{
    char *path = program_find_real(name);
    program_name_itself(name, path, argv);
    run(options, true, path, argv);
}

int main(int argc, char **argv)
{
    struct options options = {0};
    setlocale(LC_CTYPE, "");
    const char *name = itself_called(argv);
    if (argc > 0 && *name && strcmp(name, "offload") != 0)
        run_by_name(&options, name, argv);
    options_read(&options, argc, argv);
    if (options.help) {
        options_help();
        lines_end();
        return 0;
    }
    if (options.version) {
        puts("offload " PACKAGE_VERSION);
        lines_end();
        return 0;
    }
    if (options.words >= argc)
        fail(STATUS_FAILED, "no command given: see 'offload --help'");
    char **command = argv + options.words;
    subcommand *alone = options.ended ? NULL : find_subcommand(command[0]);
    if (alone)
        return run_subcommand(alone, &options, argc, argv);
    if (options.output && !options.verbose && !options.report)
        fail(STATUS_FAILED, "--output has nothing to write: add -v or --report");
    run(&options, false, program_find(command[0]), command);
}
