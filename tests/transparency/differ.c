/* differ: runs the programs of a range of seeds plain and preloaded and tells where they differ. */
#include "pair.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KINDS_OF_DIFFERENCE = 64 };

struct tally {
    uint64_t next, done, differing, engaged, unusable;
    struct {
        char signature[SIGNATURE_ROOM];
        uint64_t count, seed;
    } kinds[KINDS_OF_DIFFERENCE];
};

static struct tally *tally;
static const char *asked_directory = "/tmp";
static struct settings settings = {.last = 999, .jobs = 2, .timeout = 10, .most = 20};

static void usage(void)
{
    fputs("usage: differ [--seeds A-B] [--dir DIR] [--lib LIBRARY] [--jobs N] [--time SECONDS]\n"
          "              [--timeout SECONDS] [--most N] [--actor PROGRAM] [--self] [--seen] "
          "[--first]\n"
          "              | --trace SEED | --minimise SEED\n",
          stderr);
    exit(2);
}

/* Differences of one kind are counted without the number of the operation they show in. */
static void general_signature(const struct pair *pair, char room[SIGNATURE_ROOM])
{
    unsigned index;
    int used = 0;
    if (sscanf(pair->signature, "op %u %n", &index, &used) == 1 && used && index < pair->program.count) {
        char *text = NULL;
        size_t size = 0;
        FILE *memory = open_memstream(&text, &size);
        print_op(memory, &pair->program, index);
        fclose(memory);
        char word[32] = "";
        sscanf(text, "%*u %31s", word);
        free(text);
        snprintf(room, SIGNATURE_ROOM, "%s: %.60s", word, pair->signature + used);
    } else {
        snprintf(room, SIGNATURE_ROOM, "%s", pair->signature);
    }
}

static bool calls_unseen(const struct pair *pair)
{
    for (unsigned i = 0; i < pair->program.count; i++)
        if (is_inline(&pair->program.ops[i]) && !pair->plain.trace->skip[i])
            return true;
    return false;
}

static void count_kind(const struct pair *pair)
{
    char signature[SIGNATURE_ROOM];
    general_signature(pair, signature);
    size_t length = strlen(signature);
    if (calls_unseen(pair))
        snprintf(signature + length, sizeof signature - length, " [inline system calls]");
    for (int i = 0; i < KINDS_OF_DIFFERENCE; i++) {
        if (tally->kinds[i].count && strcmp(tally->kinds[i].signature, signature) != 0)
            continue;
        memcpy(tally->kinds[i].signature, signature, sizeof signature);
        if (!tally->kinds[i].count++)
            tally->kinds[i].seed = pair->program.seed;
        return;
    }
}

static void print_reproduction(FILE *out, uint64_t seed)
{
    fprintf(out, "  again: run%s --seeds %llu-%llu --dir %s", settings.seen ? " --seen" : "", (unsigned long long)seed,
            (unsigned long long)seed, asked_directory);
    if (settings.self)
        fputs(" --self\n", out);
    else
        fprintf(out, " --lib %s    (or --minimise %llu)\n", settings.library, (unsigned long long)seed);
}

static void check_seed(struct pair *pair, uint64_t seed)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    pair_run(pair, seed, NULL);
    fprintf(out, "seed %llu\n", (unsigned long long)seed);
    bool same = compare(pair, out);
    print_reproduction(out, seed);
    fclose(out);
    if (pair->plain.status == TIMED_OUT)
        __atomic_fetch_add(&tally->unusable, 1, __ATOMIC_RELAXED);
    if (pair->engaged)
        __atomic_fetch_add(&tally->engaged, 1, __ATOMIC_RELAXED);
    if (!same && __atomic_fetch_add(&tally->differing, 1, __ATOMIC_RELAXED) < (uint64_t)settings.most &&
        write(STDOUT_FILENO, text, size) < 0)
        _exit(2);
    if (!same)
        count_kind(pair);
    __atomic_fetch_add(&tally->done, 1, __ATOMIC_RELAXED);
    free(text);
}

static void work(int worker, time_t end)
{
    static struct pair pair;
    signal(SIGPIPE, SIG_DFL);
    if (!pair_open(&pair, &settings, worker))
        _exit(2);
    while ((!settings.seconds || time(NULL) < end) && !(settings.first_only && tally->differing)) {
        uint64_t seed = __atomic_fetch_add(&tally->next, 1, __ATOMIC_RELAXED);
        if (seed > settings.last)
            break;
        check_seed(&pair, seed);
    }
    pair_close(&pair);
    _exit(0);
}

static bool run_workers(void)
{
    bool well = true;
    time_t end = time(NULL) + settings.seconds;
    for (int i = 0; i < settings.jobs; i++)
        if (fork() == 0)
            work(i, end);
    for (int i = 0, status; i < settings.jobs; i++)
        well &= wait(&status) > 0 && status == 0;
    return well;
}

static int print_tally(double seconds)
{
    for (int i = 0; i < KINDS_OF_DIFFERENCE && tally->kinds[i].count; i++)
        printf("%8llu  %s   (seed %llu)\n", (unsigned long long)tally->kinds[i].count, tally->kinds[i].signature,
               (unsigned long long)tally->kinds[i].seed);
    printf("%llu seeds in %.1f s: %llu differ; %llu shared extents", (unsigned long long)tally->done, seconds,
           (unsigned long long)tally->differing, (unsigned long long)tally->engaged);
    if (tally->unusable)
        printf("; %llu plain runs did not end", (unsigned long long)tally->unusable);
    putchar('\n');
    return tally->differing ? 1 : 0;
}

/* ---- cutting a program down ---- */

static bool still_differs(struct pair *pair, uint64_t seed, const uint8_t *skip, const char *signature)
{
    char general[SIGNATURE_ROOM];
    FILE *nowhere = fopen("/dev/null", "w");
    pair_run(pair, seed, skip);
    compare(pair, nowhere);
    fclose(nowhere);
    general_signature(pair, general);
    return strcmp(general, signature) == 0;
}

static unsigned drop_what_can(struct pair *pair, uint64_t seed, uint8_t *skip, const char *signature)
{
    unsigned dropped = 0;
    for (unsigned i = pair->program.count; i-- > 0;) {
        if (skip[i])
            continue;
        skip[i] = 1;
        if (still_differs(pair, seed, skip, signature))
            dropped++;
        else
            skip[i] = 0;
    }
    return dropped;
}

static int minimise(uint64_t seed)
{
    static struct pair pair;
    uint8_t skip[OPERATIONS] = {0};
    char signature[SIGNATURE_ROOM];
    if (!pair_open(&pair, &settings, getpid()))
        return 2;
    pair_run(&pair, seed, NULL);
    bool same = compare(&pair, stdout);
    general_signature(&pair, signature);
    for (int pass = 0; !same && pass < 4; pass++)
        if (!drop_what_can(&pair, seed, skip, signature))
            break;
    pair_run(&pair, seed, skip);
    printf("\nleast program:\n");
    print_program(stdout, &pair.program, skip);
    compare(&pair, stdout);
    pair_close(&pair);
    return same ? 0 : 1;
}

static void print_seed(uint64_t seed)
{
    static struct program program;
    generate(&program, seed);
    print_program(stdout, &program, NULL);
}

static void read_range(const char *text)
{
    char *end;
    settings.first = settings.last = strtoull(text, &end, 10);
    if (*end == '-')
        settings.last = strtoull(end + 1, &end, 10);
    if (*end)
        usage();
}

static int64_t minimised = -1, traced = -1;

static void read_options(int count, char **arguments)
{
    static const struct option options[] = {
        {"seeds", 1, NULL, 's'},    {"dir", 1, NULL, 'd'},     {"lib", 1, NULL, 'l'},   {"jobs", 1, NULL, 'j'},
        {"time", 1, NULL, 't'},     {"timeout", 1, NULL, 'o'}, {"most", 1, NULL, 'm'},  {"actor", 1, NULL, 'a'},
        {"self", 0, NULL, 'S'},     {"seen", 0, NULL, 'e'},    {"first", 0, NULL, 'f'}, {"trace", 1, NULL, 'T'},
        {"minimise", 1, NULL, 'M'}, {NULL, 0, NULL, 0}};
    for (int letter; (letter = getopt_long(count, arguments, "", options, NULL)) != -1;) {
        switch (letter) {
        case 's':
            read_range(optarg);
            break;
        case 'd':
            settings.directory = optarg;
            break;
        case 'l':
            settings.library = optarg;
            break;
        case 'j':
            settings.jobs = atoi(optarg);
            break;
        case 't':
            settings.seconds = atoi(optarg);
            break;
        case 'o':
            settings.timeout = atoi(optarg);
            break;
        case 'm':
            settings.most = atoi(optarg);
            break;
        case 'a':
            settings.actor = optarg;
            break;
        case 'S':
            settings.self = true;
            break;
        case 'e':
            settings.seen = true;
            break;
        case 'f':
            settings.first_only = true;
            break;
        case 'T':
            traced = atoll(optarg);
            break;
        case 'M':
            minimised = atoll(optarg);
            break;
        default:
            usage();
        }
    }
}

/* The files of both runs lie in a directory of their own, open to the runs without privileges. */
static bool make_directory(char *room, size_t size)
{
    asked_directory = settings.directory ? settings.directory : "/tmp";
    snprintf(room, size, "%s/transparency-%d", asked_directory, getpid());
    settings.directory = room;
    return mkdir(room, 0755) == 0;
}

int main(int count, char **arguments)
{
    static char room[400], actor[400];
    struct timespec start, end;
    read_options(count, arguments);
    if (traced >= 0) {
        print_seed((uint64_t)traced);
        return 0;
    }
    if (!settings.actor) {
        snprintf(actor, sizeof actor, "%.*s/actor",
                 (int)(strrchr(arguments[0], '/') ? strrchr(arguments[0], '/') - arguments[0] : 0), arguments[0]);
        settings.actor = actor;
    }
    if ((!settings.library && !settings.self) || (settings.library && access(settings.library, R_OK) != 0))
        usage();
    if (!make_directory(room, sizeof room)) {
        perror(room);
        return 2;
    }
    if (minimised >= 0) {
        int result = minimise((uint64_t)minimised);
        rmdir(room);
        return result;
    }
    tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    tally->next = settings.first;
    clock_gettime(CLOCK_MONOTONIC, &start);
    bool well = run_workers();
    clock_gettime(CLOCK_MONOTONIC, &end);
    rmdir(room);
    int result = print_tally((double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
    return well ? result : 2;
}
