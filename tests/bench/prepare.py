"""mixln-prepare against SentencePiece alone, on all cores, in turns in one run.

    scripts/build release mixln-prepare mixln-sentencepiece-alone
    .venv/bin/python tests/bench/prepare.py build/release [--megabytes 29] [--rounds 7] [--vocab 4096] [--json FILE]

The text is the shipped novels' sentences, drawn again and again in another order, one document a line. The peers do less:
`mixln-sentencepiece-alone` encodes lines in memory and drops the ids; `spm_encode`, one process a core with its share of the
lines, reads text and writes ids. mixln-prepare hashes, reads, cuts, hashes, encodes, deduplicates, writes shards and
checksums them. Prints medians of wall and CPU seconds, and of the rounds' ratios.
"""
import argparse
import gzip
import json
import os
import pathlib
import random
import resource
import shutil
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def write_text(path, size):
    """Different lines of about 600 bytes."""
    novels = sorted((ROOT / "examples" / "corpus").glob("*.gz"))
    words = [word for novel in novels for word in gzip.open(novel, "rt").read().split()]
    draw = random.Random(1)
    with open(path, "w") as out:
        while out.tell() < size:
            at = draw.randrange(len(words) - 110)
            out.write(" ".join(words[at:at + 110]) + "\n")


def timed(commands):
    """Wall and CPU seconds of commands that run side by side."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    running = [subprocess.Popen(c, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for c in commands]
    for process in running:
        if process.wait() != 0:
            raise SystemExit(f"{process.args} exited {process.returncode}")
    wall = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--megabytes", type=float, default=29)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--vocab", type=int, default=4096)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        text, cache = folder / "text.txt", folder / "cache"
        write_text(text, options.megabytes * 1e6)
        prepare = [options.build / "bin/mixln-prepare", "--source", text, "--cache", cache, "--split", "line"]
        done = subprocess.run([*prepare, "--vocab", str(options.vocab)], capture_output=True, text=True, check=True)
        model = folder / "tokenizer.model"
        shutil.copy(pathlib.Path(json.loads(done.stdout.splitlines()[-1])["dataset_dir"]) / "tokenizer.model", model)
        lines = text.read_text().splitlines(keepends=True)
        shares = []
        for core in range(cores):
            shares.append(folder / f"share-{core}.txt")
            shares[-1].write_text("".join(lines[core::cores]))
        ways = {
            "mixln-prepare": [[*prepare, "--tokenizer", model]],
            "EncodeAsIds alone": [[options.build / "tests/mixln-sentencepiece-alone", model, text, str(cores)]],
            "spm_encode": [["spm_encode", f"--model={model}", "--output_format=id", f"--output={share}.ids", share]
                           for share in shares],
        }
        rounds = []
        for number in range(options.rounds):
            order = list(ways)
            random.Random(number).shuffle(order)
            times = {}
            for way in order:
                shutil.rmtree(cache, ignore_errors=True)
                times[way] = timed([list(map(str, command)) for command in ways[way]])
            rounds.append(times)
        size = text.stat().st_size
    summary = {}
    for way in ways:
        wall, cpu = ([r[way][i] for r in rounds] for i in (0, 1))
        ratios = [[r["mixln-prepare"][i] / r[way][i] for r in rounds] for i in (0, 1)]
        summary[way] = {"wall_seconds": statistics.median(wall), "cpu_seconds": statistics.median(cpu),
                        "wall_ratio": statistics.median(ratios[0]), "cpu_ratio": statistics.median(ratios[1]),
                        "cpu_ratio_range": [min(ratios[1]), max(ratios[1])]}
    print(f"{size / 1e6:.1f} MB in {len(lines)} lines, vocabulary {options.vocab}, {cores} cores, {options.rounds} rounds")
    for way, s in summary.items():
        print(f"{way:18} wall {s['wall_seconds']:6.2f} s  cpu {s['cpu_seconds']:6.2f} s  "
              f"ours takes {s['wall_ratio']:.2f} of the wall time, {s['cpu_ratio']:.2f} of the CPU time "
              f"({s['cpu_ratio_range'][0]:.2f} to {s['cpu_ratio_range'][1]:.2f})")
    if options.json:
        options.json.write_text(json.dumps({"bytes": size, "lines": len(lines), "cores": cores, "rounds": rounds, "summary": summary}, indent=1))


if __name__ == "__main__":
    main()
