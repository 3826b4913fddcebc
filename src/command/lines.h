/* Text for people: a label on the left, words beside it, broken into lines of at most 80 columns. */
#ifndef OFFLOAD_LINES_H
#define OFFLOAD_LINES_H

/* Columns that a label has, with the space behind it. */
#define LINES_LABEL 13

/* Prints a line, or more where the words need them. The label may be "", or too long: then it has a line for itself. */
__attribute__((format(printf, 2, 3))) void lines_say(const char *label, const char *format, ...);

/* To be called at the end: ends the process with one line if not all could be printed. */
void lines_end(void);

#endif
