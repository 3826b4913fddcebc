/*
 * offload probe SOURCE DESTINATION: would a copy from here to there be offloaded, by what, and if not, why?
 *
 * The answer is the library's own: a session is begun, by the code that every copy begins by, into a file that is made
 * beside the destination and is gone again.
 */
#include "asking.h"
#include "command.h"
#include "core/patterns.h"
#include "core/settings.h"
#include "engines/quirks.h"
#include "lines.h"
#include "names.h"
#include "places.h"
#include "refusals.h"
#include "servers.h"
#include "summary.h"
#include "trial.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The two ways in which programs copy. */
enum way { READS_AND_WRITES, BY_KERNEL, WAYS };

struct probe {
    struct places places;
    struct trial_file file;
    bool remote; /* the destination is on a file server */
    bool nocow;  /* the destination has, or would have, the attribute +C */
    struct trial trials[WAYS];
    enum refusal refusals[WAYS];
    bool hindered; /* something stands against any engine */
};

/* ---- the places ---- */

static void print_place(const char *label, const char *shown, const char *what, const struct mount *mount)
{
    if (!mount) {
        lines_say(label, "%s (%s)", shown, what);
        return;
    }
    char *type = text_printable(mount->type);
    char *point = name_printable(mount->point);
    char protocol[16];
    mount_protocol(mount, protocol);
    lines_say(label, "%s (%s), on %s%s%s%s mounted at %s", shown, what, type, *protocol ? " (" : "", protocol,
              *protocol ? ")" : "", point);
    free(type);
    free(point);
}

static void print_places(const struct places *p)
{
    char size[16];
    print_place("source", p->source_shown, bytes_for_people(p->source_status.stx_size, size), p->source_mount);
    print_place("destination", p->shown, p->exists ? bytes_for_people(p->status.stx_size, size) : "not there yet",
                p->mount);
}

/* ---- trying ---- */

/* Whether any engine knows the file system: if none does, no file is made there. On a server others could see it. */
static bool worth_trying(const struct probe *probe)
{
    const struct file_pair *pair = &probe->trials[BY_KERNEL].pair;
    if (probe->remote && !probe->trials[BY_KERNEL].engine)
        return false;
    const struct engine *const *list = engine_list();
    for (unsigned i = 0; list[i]; i++)
        if (quirk_refuses(list[i]->name, pair->destination_fs, pair->kernel) == REASON_NONE)
            return !places_destination_is_mount(&probe->places);
    return false;
}

static int judged_descriptor(const struct places *p)
{
    return places_destination_is_mount(p) ? p->existing_fd : p->directory_fd;
}

static void try_ways(struct probe *probe)
{
    const struct places *p = &probe->places;
    probe->remote = trial_is_remote(judged_descriptor(p));
    for (int way = 0; way < WAYS; way++)
        probe->trials[way] = trial_run(p->source_fd, judged_descriptor(p), way == BY_KERNEL, false);
    probe->nocow = trial_is_nocow(p->existing_fd >= 0 ? p->existing_fd : p->directory_fd);
    if (worth_trying(probe)) {
        probe->file = trial_make(p->directory_fd, p->existing_fd);
        for (int way = 0; way < WAYS && probe->file.fd >= 0; way++)
            probe->trials[way] = trial_run(p->source_fd, probe->file.fd, way == BY_KERNEL, true);
        if (probe->file.fd >= 0)
            probe->nocow = probe->file.nocow;
        trial_unname();
    }
    for (int way = 0; way < WAYS; way++)
        probe->refusals[way] = refusal_find(p, &probe->trials[way], probe->nocow);
}

/* The engine that would serve programs that copy this way, or NULL. */
static const struct engine *serving(const struct probe *probe, enum way way)
{
    bool serves = probe->trials[way].why == REASON_NONE && probe->refusals[way] == REFUSAL_UNKNOWN;
    return serves ? probe->trials[way].engine : NULL;
}

/* ---- the engines ---- */

#define SENDFILE "programs that leave the copying to the kernel (sendfile), "

static void print_tried(const char *name, const struct probe *probe, const struct trial *trial, const char *whom)
{
    char size[16];
    bool whole = trial->bytes >= probe->places.source_status.stx_size;
    const char *how = !trial->engine->remote ? ""
                      : trial->pair.no_clone ? " The server copies."
                                             : " The server clones.";
    lines_say(name, "yes%s: tried with %s%s, in a file that is gone again.%s", whom,
              whole ? "all of it, " : "the first ", bytes_for_people(trial->bytes, size), how);
}

static void print_judged(const char *name, const struct probe *probe, const char *whom)
{
    if (probe->file.fd >= 0)
        lines_say(name, "yes%s: judged by the file systems alone, since trying would move the source's time of access.",
                  whom);
    else if (probe->file.error)
        lines_say(name, "yes%s: judged by the file systems alone, since no file can be made in %s (%s).", whom,
                  probe->places.directory_shown, strerror(probe->file.error));
    else
        lines_say(name, "yes%s: judged by the file systems alone.", whom);
}

/* The engine was chosen for programs that copy this way. */
static void print_chosen(const char *name, const struct probe *probe, enum way way)
{
    const struct trial *trial = &probe->trials[way];
    const char *whom = way == BY_KERNEL ? ", but only for " SENDFILE "not for those that read and write" : "";
    if (probe->refusals[way] != REFUSAL_UNKNOWN)
        refusal_print(name, probe->refusals[way], &probe->places);
    else if (trial->why != REASON_NONE)
        reason_print(name, trial->why, trial->error, name, &probe->places, &trial->pair);
    else if (trial->made)
        print_tried(name, probe, trial, whom);
    else
        print_judged(name, probe, whom);
}

/* Why the engine at that place is refused; *apart: the first for which the files are on different file systems. */
static void print_engine(const struct probe *probe, unsigned place, const char **apart)
{
    const struct engine *engine = engine_list()[place];
    const char *name = engine->name;
    const struct trial *reads = &probe->trials[READS_AND_WRITES], *kernel = &probe->trials[BY_KERNEL];
    enum reason why = engine_refusal(place, &kernel->pair, settings.engines);
    if (why == REASON_OTHER_FS && *apart)
        lines_say(name, "no, for the same reason as %s.", *apart);
    else if (why != REASON_NONE)
        reason_print(name, why, 0, name, &probe->places, &kernel->pair);
    else if (engine == reads->engine)
        print_chosen(name, probe, READS_AND_WRITES);
    else if (engine == kernel->engine)
        print_chosen(name, probe, BY_KERNEL);
    else
        lines_say(name, "not asked: %s comes first.", kernel->engine ? kernel->engine->name : "another");
    if (why == REASON_OTHER_FS && !*apart)
        *apart = name;
}

/* Those for local files have nothing to say of a server, and the other way round. */
static void print_engines(const struct probe *probe)
{
    const char *apart = NULL;
    for (unsigned i = 0; engine_list()[i]; i++)
        if (engine_list()[i]->remote == probe->remote)
            print_engine(probe, i, &apart);
}

/* ---- what stands against any engine ---- */

static void hinder(struct probe *probe, const char *words, const char *cure)
{
    lines_say("but", "%s.", words);
    lines_say("", "%s", cure);
    probe->hindered = true;
}

static void hinder_by_reason(struct probe *probe, enum reason why)
{
    hinder(probe, reason_words(why), reason_cure(why));
}

/* The library knows both files by their names without symbolic links. */
static bool patterns_let(const struct places *p)
{
    char *source = realpath(p->source, NULL);
    char *destination = places_real_destination(p);
    bool allowed = source && destination && patterns_allow(source, destination);
    free(source);
    free(destination);
    return allowed;
}

static void check_settings(struct probe *probe)
{
    if (settings.off)
        hinder(probe, "the library is switched off (OFFLOAD=off)", "Set OFFLOAD=on, or leave it unset.");
    if (settings.policy == POLICY_NEVER)
        hinder_by_reason(probe, REASON_POLICY);
    if (patterns_wanted() && !patterns_let(&probe->places))
        hinder_by_reason(probe, REASON_EXCLUDED);
}

static void check_source(struct probe *probe)
{
    off_t size = (off_t)probe->places.source_status.stx_size;
    if (size == 0)
        hinder(probe, "the source is empty", "Nothing is to be done: there are no bytes to copy.");
    else if (settings_too_small(size))
        hinder_by_reason(probe, REASON_TOO_SMALL);
}

static bool same_file(const struct places *p)
{
    return p->exists && p->status.stx_ino == p->source_status.stx_ino &&
           p->status.stx_dev_major == p->source_status.stx_dev_major &&
           p->status.stx_dev_minor == p->source_status.stx_dev_minor;
}

static bool may_write(const struct places *p)
{
    return faccessat(AT_FDCWD, p->exists ? p->destination : p->directory, W_OK, AT_EACCESS) == 0;
}

/* The library marks the destination by its times, where the kernel does not stamp finely: only the owner may. */
static bool may_stamp(const struct probe *probe)
{
    uid_t user = geteuid();
    return !probe->places.exists || probe->trials[0].fine_stamps || user == 0 || user == probe->places.status.stx_uid;
}

static void check_permission(struct probe *probe)
{
    const struct places *p = &probe->places;
    if (!may_write(p)) {
        bool read_only = errno == EROFS;
        hinder(probe,
               read_only ? "the destination's file system is mounted read-only"
                         : "you may not write to the destination",
               read_only ? "Mount it for writing." : "Ask, and copy, as a user who may.");
    } else if (!may_stamp(probe)) {
        hinder_by_reason(probe, REASON_STAMP);
    }
}

static void check_attributes(struct probe *probe)
{
    const struct places *p = &probe->places;
    if (p->exists && p->status.stx_attributes & STATX_ATTR_IMMUTABLE)
        hinder(probe, "the destination is immutable (chattr +i)", "Take the attribute away first: chattr -i");
    else if (p->exists && p->status.stx_attributes & STATX_ATTR_APPEND)
        hinder(probe, "the destination can only be appended to (chattr +a), and appending is not offloaded",
               "Take the attribute away first: chattr -a");
    else if (p->exists && is_swap(&p->status))
        hinder(probe, "the destination is swap space in use", "Switch it off first (swapoff), or copy elsewhere.");
    else
        check_permission(probe);
}

static void check_destination(struct probe *probe)
{
    const struct places *p = &probe->places;
    if (same_file(p))
        hinder_by_reason(probe, REASON_SAME_FILE);
    else if (p->exists && !S_ISREG(p->status.stx_mode))
        hinder_by_reason(probe, REASON_NOT_REGULAR);
    else
        check_attributes(probe);
}

/* ---- the answer ---- */

static void print_note(const struct probe *probe)
{
    const struct places *p = &probe->places;
    if (!probe->hindered && p->exists && p->status.stx_size > 0)
        lines_say("note", "the destination holds data. A program that empties it first, as cp and dd do, is served; "
                          "one that overwrites it in place (dd conv=notrunc, rsync --inplace) is not.");
}

static int print_answer(const struct probe *probe)
{
    const struct engine *reads = serving(probe, READS_AND_WRITES), *kernel = serving(probe, BY_KERNEL);
    putchar('\n');
    if (!probe->hindered && reads)
        printf("A copy would be offloaded by %s.\n", reads->name);
    else if (!probe->hindered && kernel)
        printf("A copy would be offloaded by %s, if the program uses sendfile.\n", kernel->name);
    else
        puts("A copy would not be offloaded: the program's own calls would make it.");
    return !probe->hindered && (reads || kernel) ? 0 : 1;
}

static void take_arguments(int argc, char **argv, const char **source, const char **destination)
{
    int first = argc > 1 && strcmp(argv[1], "--") == 0 ? 2 : 1;
    if (first == 1 && argc > 1 && argv[1][0] == '-' && argv[1][1]) {
        char *shown = name_printable(argv[1]);
        fail(STATUS_FAILED, "probe does not know the option %s; give SOURCE and DESTINATION only", shown);
    }
    if (argc - first != 2)
        fail(STATUS_FAILED, "probe needs two files, not %d; write: offload probe SOURCE DESTINATION", argc - first);
    *source = argv[first];
    *destination = argv[first + 1];
}

/* ---- servers that are gone ---- */

/* A disk that spins up, or a server on a slow line, may take seconds; the system calls wait for ever. */
#define PATIENCE_MS 10000

/* Asks the server of the file, and of its directory: the file may not be there. */
static void look(const void *what, void *answer)
{
    char *copy = strdup(what);
    struct statx status;
    if (copy) {
        statx(AT_FDCWD, what, AT_STATX_FORCE_SYNC | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &status);
        statx(AT_FDCWD, dirname(copy), AT_STATX_FORCE_SYNC | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &status);
    }
    free(copy);
    *(bool *)answer = true;
}

static void check_answer(const char *path)
{
    bool answered = false;
    if (!ask_within(PATIENCE_MS, look, path, &answered, sizeof answered))
        fail(STATUS_FAILED, "%s did not answer within %d seconds; see that its server can be reached",
             name_printable(path), PATIENCE_MS / 1000);
}

int probe_main(int argc, char **argv)
{
    struct probe probe = {.file = {.fd = -1}};
    const char *source, *destination;
    take_arguments(argc, argv, &source, &destination);
    settings_read(environ, false);
    check_answer(source);
    check_answer(destination);
    places_find(&probe.places, source, destination);
    print_places(&probe.places);
    putchar('\n');
    try_ways(&probe);
    print_engines(&probe);
    check_settings(&probe);
    check_source(&probe);
    check_destination(&probe);
    print_note(&probe);
    int status = print_answer(&probe);
    lines_end();
    if (probe.file.fd >= 0)
        close(probe.file.fd);
    places_free(&probe.places);
    return status;
}
