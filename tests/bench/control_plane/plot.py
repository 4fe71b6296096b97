"""Draws what an idle coordinator costs against workers and stored trials: two plots beside each other, as one SVG that is read in light and dark."""

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, GAP = 340, 260, 48, 28, 44, 30
COLOURS = ("#3577d4", "#d9760f", "#209a6c", "#c2488f")
STYLE = """text{font:12px system-ui,sans-serif;fill:#1c2024}.soft{fill:#60666e}line{stroke:#d7dbe0}polyline{fill:none;stroke-width:2}
@media(prefers-color-scheme:dark){text{fill:#e6e8eb}.soft{fill:#9aa2ab}line{stroke:#33393f}}"""


def ceiling(value):
    """The next of 1, 2, 5 times a power of ten."""
    power = 1
    while True:
        for times in (1, 2, 5):
            if times * power >= value:
                return times * power
        power *= 10


def panel(costs, key, title, offset):
    """One plot: the cost over the workers, a line for each number of trials."""
    most_x, most_y = max(c["workers"] for c in costs), ceiling(max(c[key] for c in costs))

    def place(x, y):
        return (offset + LEFT + x / most_x * (WIDTH - LEFT - 8), TOP + (1 - y / most_y) * (HEIGHT - TOP - BOTTOM))

    parts = [f'<text x="{offset + LEFT}" y="16">{title}</text>']
    for i in range(5):
        x, y = place(0, most_y * i / 4)
        parts.append(f'<line x1="{x:.1f}" x2="{offset + WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}"/>'
                     f'<text class="soft" text-anchor="end" x="{x - 6:.1f}" y="{y + 4:.1f}">{most_y * i / 4:g}</text>')
    for workers in sorted({c["workers"] for c in costs}):
        x, y = place(workers, 0)
        parts.append(f'<text class="soft" text-anchor="middle" x="{x:.1f}" y="{y + 16:.1f}">{workers}</text>')
    parts.append(f'<text class="soft" text-anchor="middle" x="{offset + (LEFT + WIDTH) / 2:.1f}" y="{HEIGHT - 8}">workers</text>')
    for colour, trials in zip(COLOURS, sorted({c["trials"] for c in costs})):
        line = sorted((c["workers"], c[key]) for c in costs if c["trials"] == trials)
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line))
        parts.append(f'<polyline stroke="{colour}" points="{points}"/>')
        parts += [f'<circle r="4" fill="{colour}" cx="{x:.1f}" cy="{y:.1f}"><title>{workers} workers, {trials} trials: {value:g}</title></circle>'
                  for (workers, value), (x, y) in ((point, place(*point)) for point in line)]
    return parts


def draw(costs):
    parts = panel(costs, "core_percent", "CPU when idle, % of a core", 0) + panel(costs, "memory_mb", "memory, MB", WIDTH + GAP)
    for i, (colour, trials) in enumerate(zip(COLOURS, sorted({c["trials"] for c in costs}))):
        parts.append(f'<rect x="{LEFT + 150 * i}" y="{HEIGHT + 6}" width="14" height="4" fill="{colour}"/>'
                     f'<text x="{LEFT + 150 * i + 20}" y="{HEIGHT + 13}">{trials:,} trials stored</text>')
    size = f'viewBox="0 0 {2 * WIDTH + GAP} {HEIGHT + 24}" width="{2 * WIDTH + GAP}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{STYLE}</style>\n' + "\n".join(parts) + "\n</svg>\n"
