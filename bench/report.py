"""Turns what a group measured into a table and a plot.

    report.py FOLDER GROUP          prints GROUP's table; writes GROUP.md and GROUP.svg
    report.py --all FOLDER          prints all of FOLDER's tables as one text
    report.py --into TEXT FOLDER    puts them into TEXT, between the lines "<!-- GROUP: ... -->" and "<!-- end -->"

GROUP.tsv has a line for each value: SECTION, ROW, WAY, ROUND, VALUE, and for commands the processor time. A section's own line says what is SHOWN of each way,
round by round against the plain one:

    times      how many times faster
    percent    how many percent more time
    more       how much more, in the section's unit
    alone      the value itself, of each way

and after a colon, for rows that are numbers, what they are: such a section is drawn as lines.
"""
import math
import re
import statistics
import subprocess
import sys
from pathlib import Path

PLAIN = "plain"
OURS = "offload"
GROUPS = ["copy", "call", "start", "work", "scale", "array"]
COLOURS = ["#1b6ca8", "#d1495b", "#3a7d44", "#8d5a97", "#c98b1b"]


class Section:
    """A table of a group: rows of ways of values, each by its round."""

    def __init__(self, title, unit, shown, about):
        self.title = title
        self.unit = unit
        self.shown, _, self.axis = shown.partition(":")
        self.about = about
        self.rows = {}
        self.processor = {}
        self.skipped = {}
        self.notes = {}

    def add(self, row, way, round_, value):
        self.rows.setdefault(row, {}).setdefault(way, {})[round_] = value

    def ways(self):
        found = []
        for row in self.rows.values():
            found += [way for way in row if way not in found]
        return sorted(found, key=lambda way: way != PLAIN)

    def compared(self):
        return [way for way in self.ways() if way != PLAIN or self.shown == "alone"]


def read_sections(path):
    sections = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = line.split("\t")
        if fields[0] == "section":
            title, unit, shown, about = fields[1:5]
            sections.setdefault(title, Section(title, unit, shown, about))
        elif fields[0] == "skip":
            sections[fields[1]].skipped[fields[2]] = fields[3]
        elif fields[0] == "note":
            sections[fields[1]].notes[fields[2]] = fields[3]
        else:
            title, row, way, round_, value = fields[:5]
            sections[title].add(row, way, round_, float(value))
            if len(fields) > 5:
                sections[title].processor.setdefault(row, {}).setdefault(way, {})[round_] = float(fields[5])
    return list(sections.values())


# ---- figures ----------------------------------------------------------------------------------------------


def spread(values):
    """The middle, and between what the middle half of the values lies; all of them, where they are few."""
    middle = statistics.median(values)
    if len(values) < 7:
        return middle, min(values), max(values)
    low, _, high = statistics.quantiles(values, n=4)
    return middle, low, high


def against_plain(section, row, way, rows=None):
    """What is shown of a way: middle, low, high; None where it cannot be told."""
    ways = (rows or section.rows).get(row, {})
    if section.shown == "alone":
        return spread(list(ways[way].values())) if way in ways else None
    both = set(ways.get(way, {})) & set(ways.get(PLAIN, {}))
    pairs = [(ways[PLAIN][round_], ways[way][round_]) for round_ in both]
    tell = {
        "times": lambda plain, other: plain / other if other else math.inf,
        "percent": lambda plain, other: 100 * (other / plain - 1),
        "more": lambda plain, other: other - plain,
    }[section.shown]
    return spread([tell(*pair) for pair in pairs]) if pairs else None


def is_noise(section, figure):
    nothing = {"times": 1, "percent": 0, "more": 0}.get(section.shown)
    return nothing is not None and figure[1] <= nothing <= figure[2]


# ---- words ------------------------------------------------------------------------------------------------


def number(value):
    """Three digits that count, and no exponent."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "-"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 6)}f}"


def amount(value, unit):
    if unit == "s":
        for scale, name in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
            if abs(value) >= scale or name == "µs":
                return f"{number(value / scale)} {name}"
    if unit == "instructions":
        return f"{value:.0f}"
    return f"{number(value)} {unit}".rstrip()


def signed(text):
    return text if text.startswith("-") else "+" + text


def figure_words(section, figure):
    if figure is None:
        return ""
    middle, low, high = figure
    if section.shown == "times":
        words = f"{number(middle)} ({number(low)} to {number(high)})"
    elif section.shown == "percent":
        words = f"{middle:+.1f} % ({low:+.1f} to {high:+.1f})"
    elif section.shown == "more":
        words = signed(amount(middle, section.unit))
        if low != high:
            words += f" ({amount(low, section.unit)} to {amount(high, section.unit)})"
    else:
        words = amount(middle, section.unit)
        if low != high:
            words += f" ({amount(low, section.unit)} to {amount(high, section.unit)})"
    return words + (", noise" if is_noise(section, figure) else "")


HEADS = {
    "times": "{}: times faster",
    "percent": "{}: more time",
    "more": "{}: more",
    "alone": "{}",
}


def table(section):
    """The head and the lines of a section, as lists of cells."""
    ways = section.compared()
    medians = section.shown != "alone"
    head = [section.axis or ""]
    head += [PLAIN] if medians else []
    for way in ways:
        head += [way] if medians and section.shown == "times" else []
        head += [HEADS[section.shown].format(way)]
    if section.processor:
        head += [f"{OURS}, processor time: {HEADS[section.shown].format('').strip(': ')}"]
    lines = []
    for row, values in section.rows.items():
        cells = [row + (f" ({section.notes[row]})" if row in section.notes else "")]
        if medians:
            plain = list(values.get(PLAIN, {}).values())
            cells.append(amount(statistics.median(plain), section.unit) if plain else "")
        for way in ways:
            there = list(values.get(way, {}).values())
            if medians and section.shown == "times":
                cells.append(amount(statistics.median(there), section.unit) if there else "")
            cells.append(figure_words(section, against_plain(section, row, way)) if there else "")
        if section.processor:
            cells.append(figure_words(section, against_plain(section, row, OURS, section.processor)))
        lines.append(cells)
    for row, why in section.skipped.items():
        if row not in section.rows:
            lines.append([row, f"skipped: {why}"] + [""] * (len(head) - 2))
    return head, lines


def as_markdown(section):
    head, lines = table(section)
    text = [f"**{section.title}**", ""]
    text += [section.about, ""] if section.about else []
    text += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    text += ["| " + " | ".join(cells) + " |" for cells in lines]
    return "\n".join(text) + "\n"


def as_terminal(section):
    head, lines = table(section)
    widths = [max(len(cells[i]) for cells in [head] + lines if not cells[1].startswith("skipped") or i == 0)
              for i in range(len(head))]
    text = [section.title]
    for cells in [head] + lines:
        text.append("  " + "  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip())
    return "\n".join(text) + "\n"


# ---- plots ------------------------------------------------------------------------------------------------

LABELS = {
    "times": "times faster than plain (right is better)",
    "percent": "percent more time than plain (left is better)",
    "more": "{} more than plain (left is better)",
    "alone": "{} (left is better)",
}


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("@", "\\\\@").replace("_", "\\\\_") + '"'


def heading(section):
    return f"set label 1 {quoted(section.title)} at graph 0, graph 1 offset 0,1 left font ',13'"


def dots(section, name):
    """Rows from top to bottom, a dot and its spread for each way."""
    ways = section.compared()
    rows = list(section.rows)
    blocks, plots = [], []
    for w, way in enumerate(ways):
        lines = []
        for r, row in enumerate(rows):
            figure = against_plain(section, row, way)
            if figure and all(math.isfinite(x) for x in figure):
                shift = (w - (len(ways) - 1) / 2) * 0.6 / max(len(ways), 1)
                lines.append(f"{figure[0]:.9g} {len(rows) - r - shift:.3f} {figure[1]:.9g} {figure[2]:.9g}")
        if lines:
            blocks.append(f"${name}{w} << END\n" + "\n".join(lines) + "\nEND")
            plots.append(f"${name}{w} using 1:2:3:4 with xerrorbars pt 7 ps 0.7 lw 1.5 lc rgb '{COLOURS[w % 5]}'"
                         f" title {quoted(way)}")
    marks = ", ".join(f"{quoted(row)} {len(rows) - r}" for r, row in enumerate(rows))
    nothing = 1 if section.shown == "times" else 0
    wide = [f[0] for row in rows for way in ways if (f := against_plain(section, row, way)) and f[0] > 0]
    log = section.shown in ("times", "alone") and wide and max(wide) / min(wide) > 3
    settings = [
        heading(section),
        f"set xlabel {quoted(LABELS[section.shown].format(section.unit))} offset 0,0.4",
        f"set yrange [0.3:{len(rows) + 0.7}]",
        f"set ytics ({marks})",
        "set logscale x" if log else "unset logscale x",
        "set xrange [*:*]",
    ]
    if section.shown != "alone":
        settings += [f"set arrow 1 from {nothing}, graph 0 to {nothing}, graph 1 nohead lw 1 dt 2 lc rgb '#888888' front"]
    else:
        settings += ["unset arrow"]
    return blocks, settings, plots, 100 + 22 * len(rows)


def curves(section, name):
    """Values against a number, a line for each way."""
    blocks, plots = [], []
    for w, way in enumerate(section.ways()):
        lines = []
        for row, ways in section.rows.items():
            if way in ways:
                middle, low, high = spread(list(ways[way].values()))
                lines.append(f"{row} {middle:.9g} {low:.9g} {high:.9g}")
        blocks.append(f"${name}{w} << END\n" + "\n".join(lines) + "\nEND")
        plots.append(f"${name}{w} using 1:2:3:4 with yerrorlines pt 7 ps 0.6 lw 1.5 lc rgb '{COLOURS[w % 5]}'"
                     f" title {quoted(way)}")
    settings = [
        heading(section),
        f"set xlabel {quoted(section.axis)} offset 0,0.4",
        "set ytics autofreq",
        "set logscale xy",
        "set xrange [*:*]",
        "set yrange [*:*]",
        f"set ylabel {quoted(section.unit)} offset 1,0",
        "unset arrow",
    ]
    return blocks, settings, plots, 260


def plot(sections, path):
    drawn = []
    for i, section in enumerate(s for s in sections if s.rows):
        drawn.append((curves if section.axis else dots)(section, f"data{i}_"))
    drawn = [parts for parts in drawn if parts[2]]
    if not drawn:
        return
    height = sum(parts[3] for parts in drawn)
    script = [f"set terminal svg size 860,{height} dynamic font 'Helvetica,12' background rgb 'white'",
              f"set output {quoted(str(path))}",
              "set border 3 lc rgb '#666666'", "set tics nomirror scale 0.5", "set grid xtics lc rgb '#dddddd' lw 0.5",
              "set key outside right top samplen 1", "set lmargin 30", "set rmargin 24", "set tmargin 2.5",
              "set bmargin 3.5", "set multiplot"]
    top = height
    for blocks, settings, plots, needed in drawn:
        top -= needed
        script += blocks + ["unset ylabel", f"set origin 0,{top / height:.5f}", f"set size 1,{needed / height:.5f}"]
        script += settings + ["plot " + ", ".join(plots)]
    script.append("unset multiplot")
    subprocess.run(["gnuplot"], input="\n".join(script) + "\n", text=True, check=True)


# ---- texts ------------------------------------------------------------------------------------------------


def report_group(folder, group):
    sections = read_sections(folder / f"{group}.tsv")
    (folder / f"{group}.md").write_text("\n".join(map(as_markdown, sections)), encoding="utf-8")
    print("\n".join(map(as_terminal, sections)))
    plot(sections, folder / f"{group}.svg")


def report_all(folder):
    parts = [(folder / "machine.md").read_text(encoding="utf-8")]
    for group in GROUPS:
        if (folder / f"{group}.md").exists():
            parts.append(f"## {group}\n\n" + (folder / f"{group}.md").read_text(encoding="utf-8"))
    return "\n".join(parts)


def put_into(text_path, folder):
    text = text_path.read_text(encoding="utf-8")

    def fill(match):
        part = folder / f"{match[1]}.md"
        body = part.read_text(encoding="utf-8") if part.exists() else "Not part of this run.\n"
        return f"<!-- {match[1]}: written by bench/report.py -->\n{body}<!-- end -->"

    text = re.sub(r"<!-- (\w+):[^>]*-->\n.*?<!-- end -->", fill, text, flags=re.S)
    text_path.write_text(text, encoding="utf-8")


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "--all":
        print(report_all(Path(arguments[1])), end="")
    elif len(arguments) == 3 and arguments[0] == "--into":
        put_into(Path(arguments[1]), Path(arguments[2]))
    elif len(arguments) == 2 and arguments[1] in GROUPS:
        report_group(Path(arguments[0]), arguments[1])
    else:
        sys.exit(__doc__)


main(sys.argv[1:])
