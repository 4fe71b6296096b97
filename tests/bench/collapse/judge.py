"""Turns the curves of run.py into the fixture of the detector's unit test, and prints a table of them.

    .venv/bin/python tests/bench/collapse/judge.py FOLDER > tests/unit/worker/trainer/loop/collapse_runs.csv

A line of the fixture: name, kind, schedule, steps, warm-up, entropy, the step of the collapse (0: none), then the means over each 2% of
the run of what the loss lies above the unigram model's on the same targets. The step of the collapse is told without the
detector, from losses and entropy, knowing the whole run: from there on the loss never lies more than 0.15 nats below the entropy; a run
that never was below has collapsed once it came within 0.15 nats above, or at the end of its warm-up. Runs that are neither healthy nor
collapsed are left out.
"""
import array
import json
import math
import pathlib
import sys

NEAR = 0.15  # nats


def entropy(counts):
    """Of the frequencies in unigram.u64, in nats."""
    numbers = array.array("Q", counts.read_bytes())
    return -sum(c / sum(numbers) * math.log(c / sum(numbers)) for c in numbers if c)


def means(values, length):
    return [sum(values[i:i + length]) / length for i in range(0, len(values) - length + 1, length)]


def collapsed_at(losses, length, bottom, warmup):
    """The step of the collapse, or 0, of a run's losses over blocks of `length` steps; `bottom` is the entropy."""
    losses = means(losses, length)
    learned = [b for b, loss in enumerate(losses) if loss < bottom - NEAR]
    if learned:
        return 0 if learned[-1] == len(losses) - 1 else (learned[-1] + 1) * length
    near = next(b for b, loss in enumerate(losses) if loss < bottom + NEAR)
    return max(near * length, warmup)


def main():
    folder = pathlib.Path(sys.argv[1])
    [counts] = folder.glob("cache/*/unigram.u64")
    bottom = entropy(counts)
    for path in sorted(folder.glob("*.json")):
        curve = json.loads(path.read_text())
        case = curve["case"]
        if case["kind"] == "unclear":
            continue
        length = max(5, math.ceil(case["steps"] / 50))
        step = 0 if case["kind"] == "healthy" else collapsed_at(curve["losses"], length, bottom, case["warmup"])
        assert (step > 0) == (case["kind"] != "healthy"), case["name"]
        excess = means([a - b for a, b in zip(curve["losses"], curve["unigram_losses"], strict=True)], length)
        print(",".join([case["name"], case["kind"], case["schedule"].removeprefix("SCHEDULE_").lower(), str(case["steps"]),
                        str(case["warmup"]), f"{bottom:.4f}", str(step), *(f"{e:.3f}" for e in excess)]))
        print(f"{case['name']:58s} lowest loss {min(means(curve['losses'], length)):.3f}, last {means(curve['losses'], length)[-1]:.3f}, "
              f"collapsed at {step or '-'}", file=sys.stderr)


if __name__ == "__main__":
    main()
