/* The program behind the command's name: where it is, and whether the library can be loaded into it. */
#ifndef OFFLOAD_PROGRAM_H
#define OFFLOAD_PROGRAM_H

#include <stdbool.h>

/* The path of this executable, or NULL where /proc does not tell. In memory that stays. */
const char *program_self(void);

/* Says why the program could not be started, by the errno of that; returns the exit status that goes with it. */
int program_complain(const char *path, const char *name, int error);

/*
 * The path of the program that execvp(3) would run for that name. To be freed. Where there is none, says so and ends
 * the process as env(1) does.
 */
char *program_find(const char *name);

/* As program_find(), for a link to this executable: the first program of that name in PATH that is none. */
char *program_find_real(const char *name);

/*
 * Makes argv[0] the path of the real program, where it leads to the link of that name: programs look themselves up by
 * it (Python, for its modules) and must not find the link. Any other argv[0] is the caller's choice ("-bash") and
 * stays.
 */
void program_name_itself(const char *name, char *path, char **argv);

/* As execv(2), but a script without `#!` is run by the shell, as execvp(3) does; a binary file never is. */
void program_become(const char *path, char **argv);

/*
 * Why no library can be loaded into that program, seen from its file: a clause for the user, to be freed, or NULL if
 * nothing is to be seen. *harms: whether the attempt alone would disturb it: another libc's linker ends
 * the program over a library that it cannot resolve, another architecture's complains.
 */
char *program_refuses(const char *path, bool *harms);

#endif
