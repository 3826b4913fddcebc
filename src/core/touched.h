/*
 * For a variable that is zero and that every program's start, or its every call, reads or writes: puts it beside those
 * that are not zero, on a page that the start touches anyway. A page more is a page fault more for each program that
 * runs, and a fault costs as much as all that the start computes. tests/cost/start.sh counts them.
 */
#ifndef LIBOFFLOAD_TOUCHED_H
#define LIBOFFLOAD_TOUCHED_H

#define TOUCHED_AT_START __attribute__((section(".data")))

#endif
