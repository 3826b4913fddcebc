# Makes the list of reasons of liboffload(7): reads reasons.def, then the page, and puts the list in the place of the
# line that holds @REASONS@. In reasons.def a REASON(NAME, "words", "cure") may stand on several lines.
#
#   awk -f reasons.awk reasons.def liboffload.7.in

# Text that roff is not to look at: a backslash, a hyphen that is one of an option, quotes, and a dot at the start.
function plain(text) {
    gsub(/\\"/, "\"", text)
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    gsub(/'/, "\\(aq", text)
    gsub(/`/, "\\(ga", text)
    gsub(/\^/, "\\(ha", text)
    gsub(/~/, "\\(ti", text)
    return "\\&" text
}

# The next string of C in `rest`, which is shortened by it. Two strings without a comma between them are one.
function next_string(    text) {
    text = ""
    while (match(rest, /^[ \t]*"([^"\\]|\\.)*"/)) {
        text = text substr(rest, index(rest, "\"") + 1, RLENGTH - index(rest, "\"") - 1)
        rest = substr(rest, RLENGTH + 1)
    }
    sub(/^[ \t]*,/, "", rest)
    return text
}

function add_reason(entry,    name, words, cure) {
    rest = entry
    sub(/^REASON\(/, "", rest)
    name = tolower(substr(rest, 1, index(rest, ",") - 1))
    rest = substr(rest, index(rest, ",") + 1)
    words = next_string()
    cure = next_string()
    if (name == "" || words == "" || cure == "") {
        print "reasons.awk: not understood: " entry > "/dev/stderr"
        failed = 1
        exit 1
    }
    reasons = reasons ".It Cm " name "\n" plain(words) ".\n.br\n" plain(cure) "\n"
    count++
}

FNR == NR {
    if (/^REASON\(/)
        entry = ""
    else if (entry == "")
        next
    sub(/^[ \t]+/, "")
    entry = entry $0
    if (/"\)$/) {
        add_reason(entry)
        entry = ""
    }
    next
}

/@REASONS@/ {
    printf "%s", reasons
    placed = 1
    next
}

{ print }

END {
    if (!failed && (!placed || !count || entry != "")) {
        print "reasons.awk: no reasons, or no place for them" > "/dev/stderr"
        failed = 1
    }
    exit failed
}
