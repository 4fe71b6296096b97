"""What diagnostics and metrics cost of a step: the same training with them and without, in turns in one run.

    .venv/bin/python tests/bench/diagnostics.py BUILD/bin/mixln-trainer [--model 9m] [--every 100] [--rounds 7] [--json FILE]

On: each step's event is appended to a file, and every --every steps the layers' gradient norms, update ratios and activation
variances are measured, as a trial does. Off: neither. Each turn is --every steps, so that one of them measures. Off runs twice,
in turns too: how far its two differ is what this machine's noise is worth. Prints the time of on over that of off as the median and
the range of the rounds' ratios; the aim is below 1.02. Leave the machine alone while it runs.
"""
import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile

from engine import MODELS, Ours


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--model", choices=MODELS, default="9m")
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    parser.add_argument("--every", type=int, default=100, help="steps between measurements, and steps of a turn")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", help="write all numbers to this file")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        on = ("--measure-every", str(args.every), "--events", str(pathlib.Path(folder) / "events.jsonl"))
        runs = {name: Ours(args.program, args.model, args.precision, args.threads, 1, more)
                for name, more in (("off", ()), ("on", on), ("off again", ()))}
        seconds = {name: [] for name in runs}
        for round_number in range(-1, args.rounds):  # the first one warms up
            for name, run in runs.items():
                print(f"round {round_number + 1} of {args.rounds}: {name}", file=sys.stderr)
                taken = run.steps(args.every) / args.every
                if round_number >= 0:
                    seconds[name].append(taken)
        for run in runs.values():
            run.end()

    print(f"{args.model}, {args.precision}, {args.threads} threads, {args.rounds} rounds of {args.every} steps, one of them measured")
    for name in ("on", "off again"):
        ratios = [mine / off for mine, off in zip(seconds[name], seconds["off"])]
        print(f"{name} / off: {statistics.median(ratios):.4f} ({min(ratios):.4f} to {max(ratios):.4f}), "
              f"{1e3 * statistics.median(seconds[name]):.2f} against {1e3 * statistics.median(seconds['off']):.2f} ms a step")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(dict(arguments=vars(args), seconds_a_step=seconds), indent=1))


if __name__ == "__main__":
    main()
