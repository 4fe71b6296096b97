"""Tables of what engine.py has measured, as in docs/performance.md.

    .venv/bin/python tests/bench/engine_tables.py docs/measurements/engine docs/performance.md
"""
import json
import pathlib
import statistics
import sys

BEGIN, END = "<!-- drawn by tests/bench/engine_tables.py: begin -->", "<!-- drawn by tests/bench/engine_tables.py: end -->"


def row(*cells):
    return "| " + " | ".join(cells) + " |"


def header(*cells):
    return [row(*cells), "|" + "---|" * len(cells)]


def start_table(record):
    lines = header(f"{record['model']}, {record['rounds']} fresh processes in turns", "start to the beginning of the first step", "to its end", "range", "peak MB")
    for name, contestant in record["contestants"].items():
        ends = [start["ready"] for start in contestant["starts"]]
        lines.append(row(name, f"{statistics.median(start['built'] for start in contestant['starts']):.2f} s", f"{statistics.median(ends):.2f} s",
                         f"{min(ends):.2f} – {max(ends):.2f}", f"{contestant['peak_bytes'] / 1e6:,.0f}"))
    return lines


def turn_table(record):
    """Ratios are the medians of the rounds' own: the line's time for a token over the first line's."""
    names = list(record["contestants"])
    first = record["contestants"][names[0]]
    lines = header(f"{record['model']}, {record['rounds']} rounds of {record['steps_a_round']}", "ms a step", "tokens/s", f"{names[0]} is", "range", "peak MB")

    def token_seconds(contestant):
        return [seconds / contestant["tokens_a_step"] for seconds in contestant["seconds_a_step"]]

    for name in names:
        contestant = record["contestants"][name]
        median = statistics.median(contestant["seconds_a_step"])
        theirs, ours = token_seconds(contestant), token_seconds(first)
        if len(theirs) < len(ours):  # measured once, as it is that slow
            ours = [statistics.median(ours)]
        ratios = [their / our for their, our in zip(theirs, ours, strict=True)]
        once = " (once)" if len(theirs) < len(first["seconds_a_step"]) else ""
        cells = ["", ""] if name == names[0] else [f"{statistics.median(ratios):.3g} ×{once}", f"{min(ratios):.3g} – {max(ratios):.3g}"]
        peak = "" if name.startswith("products") else f"{contestant['peak_bytes'] / 1e6:,.0f}"
        lines.append(row(name, f"{1e3 * median:,.1f}", f"{contestant['tokens_a_step'] / median:,.0f}", *cells, peak))
    return lines


def table(record):
    one = next(iter(record["contestants"].values()))
    return "\n".join(start_table(record) if "starts" in one else turn_table(record)) + "\n"


def draw(folder, page):
    """Puts all tables between the page's marks."""
    records = sorted((json.loads(path.read_text()) for path in pathlib.Path(folder).rglob("*.json")), key=lambda r: (r["model"] != "demo", len(r["model"]), r["model"], r["name"]))
    if not records:
        raise SystemExit(f"{folder} has no measurements")
    machines = {json.dumps(r["machine"]): r["machine"] for r in records}
    parts = []
    for key, machine in machines.items():
        own = [r for r in records if json.dumps(r["machine"]) == key]
        dates = sorted({r["date"] for r in own})
        parts.append(f"### {machine['cores']} cores of {machine['cpu']}, {machine['instructions']}, {machine['memory_bytes'] / 1e9:.0f} GB of memory, "
                     f"{' to '.join(dict.fromkeys([dates[0], dates[-1]]))}\n")
        for record in own:
            busy = record["busy_cores_before"]
            note = f"Others kept {busy:.1f} cores busy when it began.\n" if busy > 0.1 else ""
            parts += [table(record), note] if note else [table(record)]
    text = pathlib.Path(page).read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    pathlib.Path(page).write_text(before + BEGIN + "\n" + "\n".join(parts) + END + after)


if __name__ == "__main__":
    draw(*sys.argv[1:])
