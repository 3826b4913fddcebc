#!/bin/bash
# The list of reasons in liboffload(7): it is the list in reasons.def, and what the built library gives.
. "$(dirname "$0")/../fixture.sh"
. "$(dirname "$0")/rendered.sh"
compiler=${OFFLOAD_TEST_CC:-cc}
command -v "$compiler" >/dev/null || skip_all "there is no compiler"

# In the list they are in capitals; in records and in the manual they are not.
lower_names() {
    awk -F '\t' -v OFS='\t' '{ $1 = tolower($1); print }'
}

# name, words and cure, a reason a line, as the preprocessor reads the list.
defined() {
    cat >"$scratch/defined.c" <<'END'
#include <stdio.h>
int main(void)
{
#define REASON(name, words, cure) printf("%s\t%s\t%s\n", #name, words, cure);
#include "core/reasons.def"
}
END
    "$compiler" -I"$source_tree/src" -o "$scratch/defined" "$scratch/defined.c"
    "$scratch/defined" | lower_names
}

# The same from the objects that the library was linked of.
built() {
    cat >"$scratch/built.c" <<'END'
#include "core/reasons.h"
#include <stdio.h>
int main(void)
{
    for (int why = 0; why < REASONS; why++)
        printf("%s\t%s\t%s\n", reason_name((enum reason)why), reason_words((enum reason)why),
               reason_cure((enum reason)why));
}
END
    "$compiler" -I"$source_tree/src" -o "$scratch/built" "$scratch/built.c" "$build/.libs/libcore.a"
    "$scratch/built" | lower_names
}

# A reason in the page: its name, which begins a paragraph, its words with a full stop, its cure.
shown() { # FORMATTER
    section "$1" liboffload.7 REASONS | awk '
        function flush() { if (name) printf "%s\t%s\t%s\n", name, words, cure; name = words = cure = "" }
        function take(text) { if (!words) { sub(/\.$/, "", text); words = text } else cure = cure (cure ? " " : "") text }
        /^     [^ ]/ { flush() }
        /^     [a-z_]+( |$)/ { name = $1; sub(/^ *[a-z_]+ */, ""); if ($0) take($0); next }
        /^      / && name { sub(/^ */, ""); take($0) }
        END { flush() }'
}

page_is_list() { # FORMATTER
    defined >"$scratch/list"
    [ "$(wc -l <"$scratch/list")" -ge 20 ] || fail "the list was not understood: $(cat "$scratch/list")"
    shown "$1" >"$scratch/page"
    diff -u "$scratch/list" "$scratch/page" || fail "liboffload(7) and reasons.def differ"
}

library_is_list() {
    defined >"$scratch/list"
    built >"$scratch/library"
    diff -u "$scratch/list" "$scratch/library" || fail "the library and reasons.def differ: build it anew"
    command -v strings >/dev/null || skip "strings is not installed"
    strings -a -n 4 "$library" >"$scratch/strings"
    missing=$(cut -f 2 "$scratch/list" | grep -vxFf "$scratch/strings") || true
    [ -z "$missing" ] || fail "not in liboffload.so: $missing"
}

# What is to be done must be said to a user: a whole sentence.
cures_are_sentences() {
    defined | cut -f 3 >"$scratch/cures"
    if grep -nvE '^[A-Z].*\.$' "$scratch/cures"; then
        fail "no sentence"
    fi
}

plan $((2 + ${#formatters[@]}))
for formatter in "${formatters[@]}"; do
    verdict "the page has the reasons, by $formatter" page_is_list "$formatter"
done
verdict "the library has the reasons" library_is_list
verdict "each cure is a sentence" cures_are_sentences
