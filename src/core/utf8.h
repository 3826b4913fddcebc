/* UTF-8 (RFC 3629), as names of files are asked whether they are it. */
#ifndef LIBOFFLOAD_UTF8_H
#define LIBOFFLOAD_UTF8_H

/*
 * The bytes that the character at `text` takes, 1 to 4, or 0 if the bytes there are none: not UTF-8, overlong, a
 * surrogate, beyond Unicode, or cut by the zero behind the text. Any thread, signal safe.
 */
unsigned utf8_length(const char *text);

#endif
