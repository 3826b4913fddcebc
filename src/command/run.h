/* A command as a child of this process, which lets it have the signals, the terminal and the end of its own. */
#ifndef OFFLOAD_RUN_H
#define OFFLOAD_RUN_H

/* What the caller does while the command runs. */
struct run_events {
    void *what;                   /* handed to each of these */
    int fd;                       /* tells of work when it is readable, or -1 */
    void (*work)(void *what);     /* `fd` is readable, or the time has come */
    int (*room)(void *what);      /* the descriptor that work() waits to write to, or -1 */
    int (*time_left)(void *what); /* milliseconds until work() is to be called without that, or -1 */
    void (*resized)(void *what);  /* the terminal has another size */
    void (*stopping)(void *what); /* the process is about to stop, and the shell to use the terminal */
};

/* How the command ended: as waitpid(2) has it, or that it could not be started. */
struct run_end {
    int status;
    int error; /* errno of execve(2), or 0 if the program ran */
};

/*
 * Holds all signals that are no fault of this process's own: nothing can end it any more before it has removed its
 * file. To be called before run_child(), which takes them.
 */
void run_hold_signals(void);

/* The signals are as before run_hold_signals(). */
void run_release_signals(void);

/*
 * As run_release_signals(), when the command has ended: signals that came meanwhile were for it. Those that a write
 * can bring on us, SIGPIPE and SIGXFSZ, stay blocked, since the exit status is to be the command's.
 */
void run_drop_signals(void);

/*
 * Runs the program in a child of the same process group, with this process's signal mask, dispositions and
 * descriptors, and waits for its end. What becomes of signals: one for this process alone is handed on; one that the
 * terminal sends reaches both and ends none but the child; a child that stops stops this process too. The descriptors
 * that this process was started with are the child's alone from then on, but for standard error.
 */
struct run_end run_child(const char *path, char **argv, const struct run_events *events);

/* Becomes the program. Does not return: says so, if it cannot be started, and ends as env(1). */
_Noreturn void run_in_place(const char *path, char **argv);

/* Ends this process as the child ended: by the same signal, but without a core dump, or with its status. */
_Noreturn void run_end_alike(int status);

#endif
