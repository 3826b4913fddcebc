#!/usr/bin/python3
"""Turns what a group measured into a table and a plot.

    report.py FOLDER GROUP          prints GROUP's table; writes GROUP.md and GROUP.svg
    report.py --all FOLDER          prints all of FOLDER's tables as one text
    report.py --into TEXT FOLDER    puts them into TEXT, between the lines "<!-- GROUP: ... -->" and "<!-- end -->"; so too
                                    the machine, and the promises beside what was measured; plots go beside TEXT

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
import shutil
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


def in_plot(section, row, way):
    """Times of very different calls are drawn in percent, or only the longest could be seen."""
    figure = against_plain(section, row, way)
    plain = median_of(section, row, PLAIN)
    if figure and plain and section.shown == "more" and in_percent(section):
        return tuple(100 * value / plain for value in figure)
    return figure


def in_percent(section):
    return section.shown == "percent" or (section.shown == "more" and section.unit == "s")


def is_noise(section, figure):
    """What is counted has no noise."""
    if section.unit in ("instructions", "calls"):
        return False
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
        for scale, name in ((1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")):
            if abs(value) >= scale or name == "ns":
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
    if section.processor and medians:
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
        if section.processor and medians:
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
            figure = in_plot(section, row, way)
            if figure and all(math.isfinite(x) for x in figure):
                shift = (w - (len(ways) - 1) / 2) * 0.6 / max(len(ways), 1)
                lines.append(f"{figure[0]:.9g} {len(rows) - r - shift:.3f} {figure[1]:.9g} {figure[2]:.9g}")
        if lines:
            blocks.append(f"${name}{w} << END\n" + "\n".join(lines) + "\nEND")
            plots.append(f"${name}{w} using 1:2:3:4 with xerrorbars pt 7 ps 0.7 lw 1.5 lc rgb '{COLOURS[w % 5]}'"
                         f" title {quoted(way)}")
    marks = ", ".join(f"{quoted(row)} {len(rows) - r}" for r, row in enumerate(rows))
    nothing = 1 if section.shown == "times" else 0
    wide = [f[0] for row in rows for way in ways if (f := in_plot(section, row, way)) and f[0] > 0]
    log = section.shown in ("times", "alone") and wide and max(wide) / min(wide) > 3
    settings = [
        heading(section),
        f"set xlabel {quoted(LABELS['percent' if in_percent(section) else section.shown].format(section.unit))} offset 0,0.4",
        f"set yrange [0.3:{len(rows) + 0.7}]",
        f"set ytics ({marks})",
        "set logscale x" if log else "unset logscale x",
        # What is far off must not press the rest together.
        "set xrange [-100<*:*<200]" if in_percent(section) else "set xrange [*:*]",
    ]
    if section.shown != "alone":
        settings += [f"set arrow 1 from {nothing}, graph 0 to {nothing}, graph 1 nohead lw 1 dt 2 lc rgb '#888888' front"]
    else:
        settings += ["unset arrow"]
    return blocks, settings, plots, 100 + 22 * max(len(rows), len(ways))


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
    if not drawn or not shutil.which("gnuplot"):
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


# ---- what is promised ----------------------------------------------------------------------------------------


def median_of(section, row, way):
    values = section.rows.get(row, {}).get(way)
    return statistics.median(values.values()) if values else None


def found(folder, group, words):
    """The sections of a group whose titles have these words."""
    path = folder / f"{group}.tsv"
    return [s for s in read_sections(path) if words in s.title] if path.exists() else []


def against_bound(values, bound, words):
    """The worst of (value, row) beside what is promised."""
    if not values:
        return "not measured in this run"
    worst, row = max(values)
    return f"{'holds' if worst <= bound else '**missed**'}: {words(worst)} ({row})"


def of_all(sections, tell):
    """(value, row) for each row of which there is one."""
    return [(value, row) for s in sections for row in s.rows if (value := tell(s, row)) is not None]


def more_than(base):
    def tell(section, row):
        ours, other = median_of(section, row, OURS), median_of(section, row, base)
        return None if ours is None or other is None else ours - other

    return tell


def near_the_limit(folder):
    limit = "cp --reflink=always"
    sections = [s for s in found(folder, "copy", " in the page cache") if limit in s.ways() and "by size" not in s.title]
    values = [(v, s.title) for s in sections if (v := more_than(limit)(s, "dd bs=128k")) is not None]
    return against_bound(values, 0.020, lambda v: amount(v, "s") + " more")


def slower_rows(folder):
    slower, rows = [], 0
    for section in found(folder, "copy", ""):
        for row in section.rows:
            figure = against_plain(section, row, OURS)
            rows += figure is not None
            if figure and figure[2] < 1 / 1.03:
                slower.append(f"{row} ({section.title}): {number(figure[0])}")
    if not rows:
        return "not measured in this run"
    return f"**missed** in {len(slower)} of {rows} rows: " + "; ".join(slower) if slower else f"holds in {rows} rows"


def calls_of(row):
    return 2 if "-and-" in row else 1


def call_cost(folder, words, bound, unit):
    def tell(section, row):
        more = None if row.startswith("copy-") else more_than(PLAIN)(section, row)
        return None if more is None else more / calls_of(row)

    return against_bound(of_all(found(folder, "call", words), tell), bound, lambda v: amount(v, unit) + " more")


def start_cost(folder):
    sections = [s for s in found(folder, "start", "time of a start")]
    values = [v for v in of_all(sections, more_than(PLAIN)) if v[1] == "/bin/true"]
    other = [v for v in of_all(sections, more_than("libeatmydata")) if v[1] == "/bin/true"]
    return (against_bound(values, 60e-6, lambda v: amount(v, "s") + " more than plain") + "; against libeatmydata " +
            against_bound(other, 0, lambda v: signed(amount(v, "s"))))


def work_cost(folder):
    values = []
    for section in found(folder, "work", ""):
        for row in section.rows:
            figure = against_plain(section, row, OURS)
            if figure:
                values.append((0 if is_noise(section, figure) else figure[0], row))
    return against_bound(values, 1, lambda v: f"{v:.1f} %" if v else "nothing but noise")


def memory_cost(folder):
    return against_bound(of_all(found(folder, "scale", "private memory"), more_than(PLAIN)), 256,
                         lambda v: amount(v, "KiB") + " more than plain")


def flatness(folder):
    """The largest time beside the smallest, of what ought to be the same."""
    values = []
    for section in found(folder, "scale", "descriptors that are open"):
        times = [t for row in section.rows if (t := median_of(section, row, OURS))]
        if times:
            values.append((max(times) / min(times), section.title))
    return against_bound(values, 1.5, lambda v: f"{number(v)} times the least")


def promises(folder):
    rows = [
        ("dd bs=128k within 20 ms of `cp --reflink=always`, warm, on XFS and Btrfs", near_the_limit(folder)),
        ("no copy more than 3 % slower than plain", slower_rows(folder)),
        ("a hooked call that is no copy: within 10 ns of plain", call_cost(folder, "time", 10e-9, "s")),
        ("a hooked call that is no copy: within 60 instructions", call_cost(folder, "instr", 60, "instructions")),
        ("a start within 60 µs of plain, ahead of libeatmydata", start_cost(folder)),
        ("work that hardly copies: within 1 %, or noise", work_cost(folder)),
        ("at most 256 KiB of private memory where nothing was copied", memory_cost(folder)),
        ("flat in descriptors", flatness(folder)),
    ]
    return "| what ought to hold | and what was measured, the worst row |\n|---|---|\n" + "".join(
        f"| {name} | {said} |\n" for name, said in rows)


# ---- texts ------------------------------------------------------------------------------------------------


def report_group(folder, group):
    sections = read_sections(folder / f"{group}.tsv")
    (folder / f"{group}.md").write_text("\n".join(map(as_markdown, sections)), encoding="utf-8")
    print("\n".join(map(as_terminal, sections)))
    plot(sections, folder / f"{group}.svg")


def report_all(folder):
    parts = [(folder / "machine.md").read_text(encoding="utf-8"), promises(folder)]
    for group in GROUPS:
        if (folder / f"{group}.md").exists():
            parts.append(f"## {group}\n\n" + (folder / f"{group}.md").read_text(encoding="utf-8"))
    return "\n".join(parts)


def put_into(text_path, folder):
    text = text_path.read_text(encoding="utf-8")
    (folder / "promises.md").write_text(promises(folder), encoding="utf-8")

    def fill(match):
        part = folder / f"{match[1]}.md"
        body = part.read_text(encoding="utf-8") if part.exists() else "Not part of this run.\n"
        if (folder / f"{match[1]}.svg").exists():
            plots = text_path.with_suffix("")
            plots.mkdir(exist_ok=True)
            shutil.copy(folder / f"{match[1]}.svg", plots)
            body += f"\n![{match[1]}]({plots.name}/{match[1]}.svg)\n"
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
