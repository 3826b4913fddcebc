# shellcheck shell=bash
# shellcheck disable=SC2154 # set by the script that sources this, and by the fixture
# Sourced by the tests of the manual: the pages as a reader sees them, a paragraph a line.

# Whichever formatter there is: both must show the same.
formatters=()
command -v mandoc >/dev/null && formatters+=(mandoc)
command -v groff >/dev/null && formatters+=(groff)
[ ${#formatters[@]} -gt 0 ] || skip_all "neither mandoc nor groff is installed"

rendered() { # FORMATTER PAGE
    case $1 in
    mandoc) mandoc -Tascii -O width=1000 "$build/man/$2" ;;
    groff) GROFF_NO_SGR=1 groff -mandoc -Tascii -rLL=1000n -rHY=0 -P-c -P-b -P-u -P-o "$build/man/$2" ;;
    esac | sed 's/.\x08//g; s/ *$//'
}

section() { # FORMATTER PAGE HEADING
    rendered "$1" "$2" | awk -v heading="$3" '/^[^ ]/ { inside = $0 == heading; next } inside'
}
