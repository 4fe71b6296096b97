"""The engine's speed against what its users could pick instead: all that docs/performance.md says of it, with one command.

    .venv/bin/python tests/bench/engine.py build/release/bin/mixln-trainer            # everything, to docs/measurements/engine/amd-avx2 or so
    .venv/bin/python tests/bench/engine.py build/release/bin/mixln-trainer 9m 9m-placement --to /tmp/measured

A comparison lets its contestants take turns, several rounds after a warm-up, and writes a JSON file; one that has its file already
is skipped, so that an interrupted run goes on where it was. At the end the tables are drawn from all files (engine_tables.py).
Ours is Mix-LN with a quarter of the layers Post-LN. A step is forward, backward, clipping to norm 1 and update of 8 x 256 tokens.
Leave the machine alone while it runs; each file records how busy others kept it.
"""
import argparse
import datetime
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import contestants
import engine_tables
from shapes import MODELS

ROOT = pathlib.Path(__file__).resolve().parents[2]
MEASUREMENTS = ROOT / "docs/measurements/engine"
PATIENCE = 4  # times as slow as ours: then a contestant's warm-up is all that is measured of it

LARGEST = {"demo": 2, "9m": 3, "71m": 5, "130m": 8}  # GB of a contestant at most


def say(text):
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


def cpu_flags():
    with open("/proc/cpuinfo") as f:
        return next(line for line in f if line.startswith("flags")).split()


def machine():
    with open("/proc/cpuinfo") as f:
        model = next(line for line in f if line.startswith("model name")).split(":")[1].strip()
    with open("/proc/meminfo") as f:
        memory = int(f.readline().split()[1]) * 1024
    flags = cpu_flags()
    has = [name for name, flag in (("AMX", "amx_bf16"), ("AVX-512 with bf16", "avx512_bf16"), ("AVX-512", "avx512bw"), ("AVX2", "avx2")) if flag in flags]
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "instructions": (has or ["no vector instructions"])[0], "memory_bytes": memory}


def own_folder():
    """Machines of one kind share a folder: "amd-avx2"."""
    found = machine()
    maker = next((name for name in ("AMD", "Intel") if name in found["cpu"]), "other")
    return MEASUREMENTS / f"{maker} {found['instructions']}".lower().replace(" ", "-")


def available_gigabytes():
    with open("/proc/meminfo") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("MemAvailable")) * 1024e-9


def busy_cores(seconds=2.0):
    """How many cores others keep busy now."""
    def read():
        with open("/proc/stat") as f:
            values = [int(v) for v in f.readline().split()[1:9]]
        return sum(values) - values[3] - values[4], sum(values)
    busy, total = read()
    time.sleep(seconds)
    later_busy, later_total = read()
    return (later_busy - busy) / max(later_total - total, 1) * os.cpu_count()


class Comparison:
    """Contestants by name, the first being what the others are compared with."""

    def __init__(self, name, model, makers, rounds, steps, minutes):
        self.name, self.model, self.makers, self.rounds, self.step_count = name, model, makers, rounds, steps
        self.minutes = minutes  # about, on two cores with AVX2

    def measure(self):
        running, measured = {}, {}
        for name, make in self.makers.items():
            say(f"{self.name}: starting {name}")
            if available_gigabytes() < LARGEST[self.model]:
                raise SystemExit(f"{self.name}: {name} may need {LARGEST[self.model]} GB more, but {available_gigabytes():.1f} are available")
            running[name] = make()
        warm = {name: contestant.steps(1) for name, contestant in running.items()}
        first = warm[next(iter(warm))]
        for name, seconds in warm.items():
            measured[name] = [seconds] if seconds > PATIENCE * first else []
        patient = [name for name in running if not measured[name]]
        for number in range(self.rounds):
            # One goes first in one round, last in the next: what grows or sinks steadily favours none.
            for name in patient if number % 2 == 0 else reversed(patient):
                say(f"{self.name}: round {number + 1} of {self.rounds}, {name}")
                measured[name].append(running[name].steps(self.step_count) / self.step_count)
        return {name: {"seconds_a_step": measured[name], "tokens_a_step": contestant.tokens, "start_seconds": contestant.start,
                       "peak_bytes": contestant.end()} for name, contestant in running.items()}


class Starts:
    """Fresh processes in turns: from the start of one to its first step, and its memory after another. PyTorch is as it comes, and
    torch.compile begins with nothing that it made before."""

    def __init__(self, name, model, makers, rounds, minutes):
        self.name, self.model, self.makers, self.rounds, self.step_count, self.minutes = name, model, makers, rounds, 1, minutes

    def measure(self):
        starts, peaks = {name: [] for name in self.makers}, {}
        for number in range(self.rounds):
            for name, make in self.makers.items():
                say(f"{self.name}: round {number + 1} of {self.rounds}, {name}")
                with tempfile.TemporaryDirectory() as cache:
                    contestant = make(cache)
                    starts[name].append(contestant.start)
                    contestant.steps(1)
                    peaks[name] = contestant.end()
        return {name: {"starts": of_one, "peak_bytes": peaks[name]} for name, of_one in starts.items()}


def comparisons(program, threads):
    """All of them, the most telling first."""
    def ours(model, precision, *more):
        return lambda: contestants.ours(program, model, precision, threads, more)

    def peer(model, kind, compiled, ranks=1):
        return lambda: contestants.peer(model, kind, compiled, threads // ranks, ranks)

    def products(model, kind):
        return lambda: contestants.products(model, kind, threads)

    has_bf16 = "avx512bw" in cpu_flags()
    limits = ["fp32", "bf16"] if has_bf16 else ["fp32"]
    # bf16 without instructions for it is so slow in PyTorch that 9m's step says it all.
    halves = list(MODELS) if has_bf16 else ["demo", "9m"]
    found = []

    def versus(model, rounds, steps, minutes):
        all_fit = machine()["memory_bytes"] > 8e9 + 3e9 * LARGEST[model]  # ours twice, two peers, and what else runs
        found.append(Comparison(model, model, {
            "MixLN bf16": ours(model, "bf16"), **({"MixLN fp32": ours(model, "fp32")} if all_fit else {}),
            **{f"products alone, {kind}": products(model, kind) for kind in limits},
            "eager fp32": peer(model, "fp32", False), "compiled fp32": peer(model, "fp32", True)}, rounds, steps, minutes))
        if model in halves:
            found.append(Comparison(f"{model}-halves", model, {
                "MixLN bf16": ours(model, "bf16"),
                **{f"{'compiled' if compiled else 'eager'} {kind}": peer(model, kind, compiled)
                   for kind in ("bf16", "autocast") for compiled in (False, True)}}, rounds, steps, minutes))

    def ranks(model, rounds, steps, minutes):
        for precision in ("bf16", "fp32"):
            peers = {"fp32": ("fp32",), "bf16": ("autocast",) if has_bf16 else ()}[precision]
            found.append(Comparison(f"{model}-ranks-{precision}", model, {
                f"MixLN {precision}, 2 ranks": lambda precision=precision: contestants.our_ranks(program, model, precision, threads // 2, 2),
                f"MixLN {precision}, one process": ours(model, precision),
                **{f"FSDP2 {kind}{', compiled' if compiled else ''}": peer(model, kind, compiled, 2) for kind in peers for compiled in (False, True)}},
                rounds, steps, minutes))

    def trials(model, rounds, steps, minutes):
        found.append(Comparison(f"{model}-trials", model, {
            f"{threads} trials at once, a core each": lambda: contestants.our_trials(program, model, "bf16", threads),
            f"one trial, {threads} cores": ours(model, "bf16")}, rounds, steps, minutes))

    def placement(model, rounds, steps, minutes):
        found.append(Comparison(f"{model}-placement", model, {
            "Mix-LN": ours(model, "bf16"), "Pre-LN": ours(model, "bf16", "--placement", "pre")}, rounds, steps, minutes))

    def diagnostics(model, rounds, every, minutes):
        found.append(Comparison(f"{model}-diagnostics", model, {
            "diagnostics and events": lambda: contestants.our_diagnostics(program, model, "bf16", threads, every),
            "neither": ours(model, "bf16")}, rounds, every, minutes))

    def starts(model, rounds, minutes):
        found.append(Starts(f"{model}-start", model, {
            "MixLN bf16": lambda cache: contestants.ours(program, model, "bf16", threads),
            "eager fp32": lambda cache: contestants.fresh_peer(model, "fp32", False, threads, cache),
            "compiled fp32": lambda cache: contestants.fresh_peer(model, "fp32", True, threads, cache)}, rounds, minutes))

    versus("71m", 5, 1, 4)
    ranks("71m", 3, 1, 3)
    versus("demo", 7, 8, 3)
    versus("9m", 7, 3, 3)
    versus("130m", 3, 1, 5)
    placement("71m", 15, 1, 4)
    placement("9m", 60, 1, 2)  # short turns: what slows the machine for a while slows both
    trials("71m", 3, 1, 1)
    trials("9m", 7, 4, 1)
    trials("demo", 7, 8, 1)
    diagnostics("demo", 7, 100, 7)  # a turn holds one step that measures
    starts("71m", 3, 6)
    starts("9m", 3, 4)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="mixln-trainer")
    parser.add_argument("comparisons", nargs="*", help="names of some; none: all")
    parser.add_argument("--list", action="store_true", help="print their names")
    parser.add_argument("--to", type=pathlib.Path, default=own_folder(), help="folder of the JSON files")
    parser.add_argument("--rounds", type=int, help="instead of each one's own")
    parser.add_argument("--steps", type=int, help="of a round, instead of each one's own")
    parser.add_argument("--draw", action="store_true", help="put the tables of docs/measurements/engine into docs/performance.md")
    args = parser.parse_args()
    everything = {comparison.name: comparison for comparison in comparisons(args.program, os.cpu_count())}
    if args.list:
        print("\n".join(everything))
        return
    unknown = set(args.comparisons) - set(everything)
    if unknown:
        raise SystemExit(f"no such comparison: {', '.join(sorted(unknown))}; --list names them")
    args.to.mkdir(parents=True, exist_ok=True)
    wanted = [everything[name] for name in args.comparisons or everything]
    waiting = [comparison for comparison in wanted if not (args.to / f"{comparison.name}.json").exists()]
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    pace = 1.0  # of this machine: minutes taken for a minute expected, so far
    taken = expected = 0.0
    for number, comparison in enumerate(waiting):
        comparison.rounds, comparison.step_count = args.rounds or comparison.rounds, args.steps or comparison.step_count
        left = sum(later.minutes for later in waiting[number:]) * pace
        say(f"{comparison.name}: {number + 1} of {len(waiting)}, about {left:.0f} min left")
        begin = time.perf_counter()
        record = {"name": comparison.name, "model": comparison.model, "date": f"{datetime.date.today()}", "machine": machine(), "commit": commit,
                  "busy_cores_before": round(busy_cores(), 2), "rounds": comparison.rounds, "steps_a_round": comparison.step_count,
                  "contestants": comparison.measure(), "seconds": round(time.perf_counter() - begin)}
        path = args.to / f"{comparison.name}.json"
        path.with_suffix(".new").write_text(json.dumps(record, indent=1) + "\n")
        shutil.move(path.with_suffix(".new"), path)
        print(engine_tables.table(record), flush=True)
        taken, expected = taken + record["seconds"] / 60, expected + comparison.minutes
        pace = taken / expected
    if args.draw:
        engine_tables.draw(MEASUREMENTS, ROOT / "docs/performance.md")


if __name__ == "__main__":
    main()
