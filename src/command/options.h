/* The options of `offload`, from one table: how they are read, what they set, what --help says. */
#ifndef OFFLOAD_OPTIONS_H
#define OFFLOAD_OPTIONS_H

#include <stdbool.h>

enum report { NO_REPORT, REPORT_TABLE, REPORT_JSON };

struct options {
    bool verbose;
    enum report report;
    const char *output; /* the file for what -v and --report print, or NULL */
    bool progress;
    bool always; /* --policy=always was given */
    bool logs;   /* --log was given */
    bool help, version;
    bool ended; /* by `--`: the next word is a program, whatever it is called */
    int words;  /* where in argv the command begins; argc if there is none */
};

/*
 * Reads the options in argv up to the first word that is none, and puts the settings among them into the environment.
 * A value that cannot be used ends the process with one line and STATUS_FAILED.
 */
void options_read(struct options *options, int argc, char **argv);

/* Prints the text of --help on standard output. */
void options_help(void);

#endif
