"""Those who are measured: processes that train a step when they are told to, each with memory and threads of its own.

All speak one protocol (peer.py, `mixln-trainer bench --serve`): "built" when the model is there, "ready" after the first step,
then the seconds of as many steps as they are told to do, and their peak memory at the end.
"""
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

from shapes import MODELS, ROWS, TIME

HERE = pathlib.Path(__file__).resolve().parent
# What helps PyTorch's speed on CPUs, and costs memory: memory that stays in the process, on huge pages.
FAST_MEMORY = {"THP_MEM_ALLOC_ENABLE": "1",
                    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184"}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Contestant:
    """One or several processes that do their steps side by side. `start`: seconds from their start to "built" and to "ready"."""

    def __init__(self, commands, environments=None, tokens=ROWS * TIME):
        self.tokens = tokens  # of a step, over all processes
        begin = time.perf_counter()
        self.processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ, **environment))
            for command, environment in zip(commands, environments or [{}] * len(commands), strict=True)]
        self.start = {}
        for state in ("built", "ready"):
            for process in self.processes:
                answer = process.stdout.readline().strip()
                if answer != state:
                    raise SystemExit(f"{' '.join(map(str, process.args))}: said {answer!r} instead of {state!r}, exit code {process.poll()}")
            self.start[state] = time.perf_counter() - begin

    def steps(self, count):
        """The seconds that `count` steps take: the slowest process's."""
        for process in self.processes:
            process.stdin.write(f"{count}\n")
            process.stdin.flush()
        return max(float(process.stdout.readline()) for process in self.processes)

    def end(self):
        """Peak bytes of all processes; what they share counts once."""
        peak = 0
        for process in self.processes:  # none ends before all have said how much they share
            process.stdin.close()
            peak += json.loads(process.stdout.readline())["peak_bytes"]
        for process in self.processes:
            process.wait()
        return peak


def bench(program, model, precision, threads, more=()):
    hidden, inner, heads, layers, vocab = MODELS[model]
    return [program, "bench", "--serve", "--hidden", str(hidden), "--intermediate", str(inner), "--heads", str(heads), "--layers", str(layers),
            "--vocab", str(vocab), "--rows", str(ROWS), "--time", str(TIME), "--precision", precision, "--threads", str(threads), *more]


def ours(program, model, precision, threads, more=()):
    return Contestant([bench(program, model, precision, threads, more)])


def our_diagnostics(program, model, precision, threads, every):
    """Ours with what a trial adds to a step: its event, and every so many steps the layers' measurements."""
    room = tempfile.TemporaryDirectory()
    contestant = ours(program, model, precision, threads, ("--measure-every", str(every), "--events", str(pathlib.Path(room.name) / "events.jsonl")))
    contestant.room = room  # goes with it
    return contestant


def our_ranks(program, model, precision, threads, ranks):
    rendezvous = f"127.0.0.1:{free_port()}"
    return Contestant([bench(program, model, precision, threads, ("--rank", str(rank), "--world-size", str(ranks), "--rendezvous", rendezvous))
                       for rank in range(ranks)])


def our_trials(program, model, precision, trials):
    """That many trials at once, each on a core of its own."""
    return Contestant([["taskset", "-c", str(core), *bench(program, model, precision, 1)] for core in range(trials)], tokens=trials * ROWS * TIME)


def peer_command(model, kind, compiled, threads):
    return [sys.executable, HERE / "peer.py", "--model", model, "--kind", kind, "--threads", str(threads), *["--compiled"] * compiled]


def peer(model, kind, compiled, threads, ranks=1):
    environment = dict(FAST_MEMORY, OMP_NUM_THREADS=str(threads))
    if ranks > 1:
        environment.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free_port()), WORLD_SIZE=str(ranks))
    return Contestant([peer_command(model, kind, compiled, threads)] * ranks, [dict(environment, RANK=str(rank)) if ranks > 1 else environment for rank in range(ranks)])


def fresh_peer(model, kind, compiled, threads, cache):
    """As PyTorch comes; `cache`: an empty folder for what torch.compile makes."""
    return Contestant([peer_command(model, kind, compiled, threads)], [{"TORCHINDUCTOR_CACHE_DIR": str(cache)}])


def products(model, kind, threads):
    return Contestant([[sys.executable, HERE / "peer.py", "--products", "--model", model, "--kind", kind, "--threads", str(threads)]],
                      [dict(FAST_MEMORY, OMP_NUM_THREADS=str(threads))])
