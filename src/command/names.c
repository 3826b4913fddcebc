#include "names.h"

#include "command.h"
#include "core/utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

static void *allocate(size_t n)
{
    void *memory = malloc(n);
    if (!memory)
        fail(STATUS_FAILED, "out of memory; give the process more of it (ulimit -v)");
    return memory;
}

/* ---- characters of the locale ---- */

/* The next character: its length in bytes, at least 1, and itself, or WEOF where the bytes are none. */
static size_t next_character(const char *text, wint_t *character)
{
    mbstate_t state = {0};
    wchar_t wide;
    size_t n = mbrtowc(&wide, text, strlen(text), &state);
    if (n == 0 || n > strlen(text)) {
        *character = WEOF;
        return 1;
    }
    *character = (wint_t)wide;
    return n;
}

/* Characters that change the order of those around them on a screen (Unicode UAX 9), and line separators. */
static bool misleads(wint_t c)
{
    return c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static bool is_printable(wint_t c)
{
    return c != WEOF && iswprint(c) && !misleads(c);
}

/* ---- quoting ---- */

enum quoting { QUOTE_NOT, QUOTE_PLAIN, QUOTE_ESCAPES };

static enum quoting quoting_of(const char *name)
{
    enum quoting quoting = *name ? QUOTE_NOT : QUOTE_PLAIN;
    /* The start of a comment, of a home directory and of an option. */
    if (strchr("#~", *name))
        quoting = QUOTE_PLAIN;
    for (wint_t c; *name;) {
        name += next_character(name, &c);
        if (!is_printable(c) || c == '\'')
            return QUOTE_ESCAPES;
        if (c < 0x80 ? strchr(" \"\\$`!&|;<>()[]{}*?^", (int)c) != NULL : iswspace(c))
            quoting = QUOTE_PLAIN;
    }
    return quoting;
}

/* Writes one byte as it stands in $'...'; returns behind it. */
static char *escape_byte(char *to, unsigned char byte)
{
    static const char letters[] = "\aa\bb\tt\nn\vv\ff\rr\033e\\\\''";
    *to++ = '\\';
    for (const char *pair = letters; *pair; pair += 2)
        if ((unsigned char)*pair == byte) {
            *to++ = pair[1];
            return to;
        }
    *to++ = (char)('0' + (byte >> 6));
    *to++ = (char)('0' + (byte >> 3 & 7));
    *to++ = (char)('0' + (byte & 7));
    return to;
}

static char *escape_all(char *to, const char *name)
{
    while (*name) {
        wint_t c;
        size_t n = next_character(name, &c);
        if (is_printable(c) && c != '\'' && c != '\\') {
            to = mempcpy(to, name, n);
            name += n;
        } else {
            for (; n; n--)
                to = escape_byte(to, (unsigned char)*name++);
        }
    }
    return to;
}

char *name_printable(const char *name)
{
    enum quoting quoting = quoting_of(name);
    char *text = allocate(4 * strlen(name) + sizeof "$''");
    char *to = text;
    if (quoting == QUOTE_ESCAPES)
        *to++ = '$';
    if (quoting != QUOTE_NOT)
        *to++ = '\'';
    to = quoting == QUOTE_ESCAPES ? escape_all(to, name) : mempcpy(to, name, strlen(name));
    if (quoting != QUOTE_NOT)
        *to++ = '\'';
    *to = 0;
    return text;
}

char *text_printable(const char *text)
{
    char *copy = allocate(strlen(text) + 1);
    char *to = copy;
    while (*text) {
        wint_t c;
        size_t n = next_character(text, &c);
        if (is_printable(c))
            to = mempcpy(to, text, n);
        else
            *to++ = '?';
        text += n;
    }
    *to = 0;
    return copy;
}

/* ---- UTF-8 ---- */

bool name_is_utf8(const char *name)
{
    while (*name) {
        unsigned n = utf8_length(name);
        if (n == 0)
            return false;
        name += n;
    }
    return true;
}

char *name_utf8(const char *name)
{
    static const char replacement[] = "\xef\xbf\xbd";
    char *text = allocate(strlen(replacement) * strlen(name) + 1);
    char *to = text;
    while (*name) {
        unsigned n = utf8_length(name);
        to = n ? mempcpy(to, name, n) : mempcpy(to, replacement, strlen(replacement));
        name += n ? n : 1;
    }
    *to = 0;
    return text;
}

/* ---- hexadecimal ---- */

char *name_hex(const char *name)
{
    static const char digits[] = "0123456789abcdef";
    char *text = allocate(2 * strlen(name) + 1);
    char *to = text;
    for (; *name; name++) {
        *to++ = digits[(unsigned char)*name >> 4];
        *to++ = digits[*name & 15];
    }
    *to = 0;
    return text;
}

static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

char *name_from_hex(const char *digits)
{
    char *name = allocate(strlen(digits) / 2 + 1);
    size_t n = 0;
    for (; *digits; digits += 2) {
        int high = digit_value(digits[0]);
        int low = high < 0 ? -1 : digit_value(digits[1]);
        if (low < 0 || (high == 0 && low == 0)) {
            free(name);
            return NULL;
        }
        name[n++] = (char)(high << 4 | low);
    }
    name[n] = 0;
    return name;
}

/* ---- columns ---- */

static size_t character_width(wint_t c)
{
    int width = c == WEOF ? 1 : wcwidth((wchar_t)c);
    return width < 0 ? 1 : (size_t)width;
}

size_t text_width(const char *text)
{
    size_t columns = 0;
    for (wint_t c; *text;) {
        text += next_character(text, &c);
        columns += character_width(c);
    }
    return columns;
}

void text_cut(char *text, size_t columns)
{
    while (*text) {
        wint_t c;
        size_t n = next_character(text, &c);
        if (character_width(c) > columns) {
            *text = 0;
            return;
        }
        columns -= character_width(c);
        text += n;
    }
}
