"""What the control plane costs: a coordinator on loopback, simulated workers (workers.py), and calls timed from outside.

    .venv/bin/python tests/bench/control_plane/run.py BUILD/bin [--workers 500] [--trials 10000] [--second-trials 480]
        [--cost 100,250,500 --cost-trials 0,5000,10000] [--first-step 5] [--json FILE] [--plot FILE]

Prints a table of the figures that docs/performance.md publishes, and writes them as JSON. --cost measures what an idle coordinator
takes for each number of workers and stored trials, and --plot draws that; --first-step submits the demo's model so many times to a real
worker. --second-trials 10000 takes 10 minutes alone; 0 leaves a part out.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid

import grpc

import plot
from api import OPTIONS, ROOT, message, method

TERMINAL = {"SUCCEEDED", "FAILED", "DIVERGED", "PRUNED", "CANCELLED"}
SIMULATOR = pathlib.Path(__file__).with_name("workers.py")
READY = 1  # WorkerState


FIGURES = {}  # all that was said


def say(what, value):
    print(f"{what:66s} {value}", flush=True)
    FIGURES[what] = value


def wait_for(condition, seconds=300, every=0.01, what="what was to happen"):
    """Seconds until the condition holds; looks `every` so many seconds, as a look costs the coordinator something."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            sys.exit(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(every)
    return time.monotonic() - begin


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class Coordinator:
    def __init__(self, programs, folder):
        self.programs, self.folder, self.port = programs, folder, 0
        self.version = json.loads(subprocess.run([programs / "mixlnctl", "version", "--client", "-o", "json"], capture_output=True,
                                                 text=True).stdout or "{}").get("client", "0.1.0")
        self.start()

    def start(self):
        address = self.folder / "address"
        address.unlink(missing_ok=True)
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "mixln-coordinator", "--listen", f"127.0.0.1:{self.port}", "--metrics-listen", "127.0.0.1:0",
                 "--state-dir", self.folder / "state", "--address-file", address], stdout=log, stderr=log)
        took = wait_for(address.exists)
        self.port = int(json.loads(address.read_text())["grpc"].rsplit(":", 1)[1])
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}", OPTIONS + [("grpc.use_local_subchannel_pool", 1)])
        return took

    def call(self, service, name, request):
        return method(self.channel, service, name)(request, metadata=[("mixln-version", self.version)], wait_for_ready=True)

    def ready(self, prefix=""):
        workers = self.call("WorkerAdminService", "ListWorkers", message("ListWorkersRequest")).workers
        return sum(w.state == READY and w.id.startswith(prefix) for w in workers)

    def counts(self, sweep):
        return self.call("SweepService", "GetSweep", message("GetSweepRequest", sweep_id=sweep)).counts

    def submit(self, template, name, trials, steps):
        """A sweep of so many seeds, `steps` milliseconds each."""
        spec = message("SweepSpec")
        spec.CopyFrom(template)
        spec.base.train.steps, spec.base.train.warmup_steps = steps, 0
        del spec.sweep.parameters[:]
        spec.sweep.parameters.add(path="train.seed", values=[str(i) for i in range(trials)])
        self.call("SweepService", "CreateSweep", message("CreateSweepRequest", sweep_id=name, spec=spec, request_id=str(uuid.uuid4()), source_text="bench"))

    def finished(self, sweep, trials):
        return self.counts(sweep).succeeded == trials

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self):
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def idle(self, seconds=10):
        """Share of one core while nothing is asked of it."""
        before = self.cpu_seconds()
        time.sleep(seconds)
        return (self.cpu_seconds() - before) / seconds


@contextlib.contextmanager
def running(programs):
    with tempfile.TemporaryDirectory() as folder:
        coordinator = Coordinator(programs, pathlib.Path(folder))
        try:
            yield coordinator
        finally:
            coordinator.process.terminate()
            coordinator.process.wait()


@contextlib.contextmanager
def simulated(coordinator, count, prefix="w"):
    process = subprocess.Popen([sys.executable, SIMULATOR, f"127.0.0.1:{coordinator.port}", coordinator.version, "--count", str(count),
                                "--prefix", prefix], stdin=subprocess.PIPE)
    try:
        wait_for(lambda: coordinator.ready(prefix) == count)
        yield process
    finally:
        process.kill()
        process.wait()


def template(coordinator):
    """A resolved sweep to make others from, with the demo's model."""
    sweep = coordinator.folder / "template.yaml"
    corpus = sorted((ROOT / "examples/corpus").glob("*.gz"))[0]
    sweep.write_text((ROOT / "examples/alpha-sweep.yaml").read_text().replace("corpus/", str(corpus.parent) + "/"))
    subprocess.run([coordinator.programs / "mixlnctl", "--coordinator", f"127.0.0.1:{coordinator.port}", "submit", sweep, "--name", "template"],
                   check=True, capture_output=True)
    [sweep] = coordinator.call("SweepService", "ListSweeps", message("ListSweepsRequest")).sweeps
    coordinator.call("SweepService", "CancelSweep", message("CancelSweepRequest", sweep_id=sweep.id))
    return sweep.spec


def timed(calls):
    milliseconds = []
    for call in calls:
        begin = time.monotonic()
        call()
        milliseconds.append(1000 * (time.monotonic() - begin))
    return f"p50 {statistics.median(milliseconds):.1f} ms, p99 {percentile(milliseconds, 0.99):.1f} ms, {len(milliseconds)} calls"


def measure_calls(c, spec):
    def get(i):
        return lambda: c.call("TrialService", "GetTrial", message("GetTrialRequest", trial_id=f"fill-0-{i % 100}"))
    page = message("ListTrialsRequest", sweep_id="fill-0", page_size=100)
    say("get a trial", timed(get(i) for i in range(500)))
    say("list 100 trials", timed((lambda: c.call("TrialService", "ListTrials", page)) for _ in range(200)))
    say("list sweeps", timed((lambda: c.call("SweepService", "ListSweeps", message("ListSweepsRequest"))) for _ in range(200)))
    say("submit a sweep of 8 trials", timed((lambda i=i: c.submit(spec, f"small-{i}", 8, 10)) for i in range(1000)))


def measure_watch(c, spec, repeats=20):
    """From a cancel's call to the change in the stream of a watch."""
    milliseconds = []
    for i in range(repeats):
        name = f"watched-{i}"
        c.submit(spec, name, 1, 600_000)
        wait_for(lambda: c.counts(name).running == 1)
        stream = c.call("SweepService", "WatchSweep", message("WatchSweepRequest", sweep_id=name))
        next(stream)
        seen = threading.Event()

        def follow():
            for change in stream:
                if any(t.state.endswith(("STOPPING", "CANCELLED")) for t in change.trials):
                    seen.set()
                    return
        threading.Thread(target=follow, daemon=True).start()
        begin = time.monotonic()
        c.call("TrialService", "CancelTrial", message("CancelTrialRequest", trial_id=f"{name}-0"))
        if not seen.wait(10):
            sys.exit("the watch saw no change")
        milliseconds.append(1000 * (time.monotonic() - begin))
        stream.cancel()
    say("cancel to seen by a watch", f"p50 {statistics.median(milliseconds):.1f} ms, highest {max(milliseconds):.1f} ms")


def measure_loss(programs, count=8):
    """From the death of a host of `count` busy workers to each of their trials training on another."""
    with running(programs) as c:
        spec = template(c)
        with simulated(c, count, "doomed") as doomed:
            c.submit(spec, "moved", count, 600_000)
            wait_for(lambda: c.counts("moved").running == count)
            with simulated(c, count, "spare"):
                doomed.kill()
                begin = time.monotonic()
                seconds = {}

                def all_moved():
                    request = message("ListTrialsRequest", sweep_id="moved")
                    for trial in c.call("TrialService", "ListTrials", request).trials:
                        last = trial.attempts[-1]
                        if last.started and last.confirmed and last.ranks[0].worker_id.startswith("spare"):
                            seconds.setdefault(trial.id, time.monotonic() - begin)
                    return len(seconds) == count
                wait_for(all_moved)
    say("worker lost to its trial training on another", f"p50 {statistics.median(seconds.values()):.1f} s, longest {max(seconds.values()):.1f} s")


def measure_restart(c, workers):
    c.process.kill()
    c.process.wait()
    begin = time.monotonic()
    c.start()
    c.call("TrialService", "GetTrial", message("GetTrialRequest", trial_id="fill-0-0"))
    served = time.monotonic() - begin
    wait_for(lambda: c.ready() == workers)
    say("coordinator killed to serving", f"{served:.2f} s")
    say(f"coordinator killed to {workers} workers reconciled", f"{time.monotonic() - begin:.2f} s")


def measure_second_trials(programs, trials, slots=16):
    with running(programs) as c:
        spec = template(c)
        with simulated(c, slots):
            begin = time.monotonic()
            c.submit(spec, "seconds", trials, 1000)
            wait_for(lambda: c.finished("seconds", trials), 3 * trials / slots + 60, every=min(0.5, trials / slots / 1000),
                     what=f"{trials} trials to succeed")
            took = time.monotonic() - begin
    say(f"{trials} trials of one second on {slots} slots", f"{took:.1f} s, {100 * trials / slots / took:.1f}% of the ideal")


def measure_load(programs, workers, trials):
    with running(programs) as c:
        spec = template(c)
        with simulated(c, workers):
            c.idle()  # connecting is over, and what it cost
            say(f"idle, {workers} workers, no trials", f"{100 * c.idle():.1f}% of a core, {c.memory_mb():.0f} MB")
            part = min(1000, trials)
            for i in range(trials // part):
                before = c.cpu_seconds()
                begin = time.monotonic()
                c.submit(spec, f"fill-{i}", part, 1)
                wait_for(lambda: c.finished(f"fill-{i}", part))
                took = time.monotonic() - begin
                if i in (0, trials // part // 2, trials // part - 1):
                    say(f"{part} trials placed and ended, {i * part} before them",
                        f"{part / took:.0f} placements/s, {1000 * (c.cpu_seconds() - before) / part:.2f} ms of CPU each")
            say(f"idle, {workers} workers, {trials} trials", f"{100 * c.idle():.1f}% of a core, {c.memory_mb():.0f} MB")
            measure_calls(c, spec)
            measure_watch(c, spec)
            measure_restart(c, workers)


def measure_cost(programs, workers, trials):
    """CPU and memory of an idle coordinator, for each number of workers and each number of trials in its store."""
    costs = []
    for count in workers:
        with running(programs) as c:
            spec = template(c)
            with simulated(c, count):
                stored = 0
                for wanted in trials:
                    while stored < wanted:
                        part = min(1000, wanted - stored)
                        c.submit(spec, f"cost-{stored}", part, 1)
                        wait_for(lambda: c.finished(f"cost-{stored}", part))
                        stored += part
                    costs.append({"workers": count, "trials": wanted, "core_percent": round(100 * c.idle(), 2), "memory_mb": round(c.memory_mb(), 1)})
                    say(f"idle, {count} workers, {wanted} trials", f"{costs[-1]['core_percent']:.1f}% of a core, {costs[-1]['memory_mb']:.0f} MB")
    return costs


def measure_first_step(programs, times):
    """From `mixlnctl submit` of the demo's model to its first step, on a real worker whose data cache is warm."""
    with running(programs) as c:
        worker = subprocess.Popen(
            [programs / "mixln-worker", "--coordinator", f"127.0.0.1:{c.port}", "--state-dir", c.folder / "worker", "--artifacts", c.folder / "artifacts",
             "--metrics-listen", "127.0.0.1:0", "--slots", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: c.ready() == 1)
            text = (ROOT / "examples/alpha-sweep.yaml").read_text().replace("corpus/", str(ROOT / "examples/corpus") + "/")
            text = re.sub(r"(?m)^      (norm\.alpha|train\.seed):.*$", lambda m: f"      {m[1]}: [0]", text)
            sweep = c.folder / "demo.yaml"
            sweep.write_text(text)
            seconds = []
            for i in range(times + 1):  # the first one fills the cache
                begin = time.monotonic()
                subprocess.run([programs / "mixlnctl", "--coordinator", f"127.0.0.1:{c.port}", "submit", sweep, "--name", f"first-{i}"],
                               check=True, capture_output=True)
                get = message("GetTrialRequest", trial_id=f"first-{i}-0")
                wait_for(lambda: c.call("TrialService", "GetTrial", get).progress.step > 0)
                seconds.append(time.monotonic() - begin)
                c.call("SweepService", "CancelSweep", message("CancelSweepRequest", sweep_id=f"first-{i}"))
                wait_for(lambda: c.counts(f"first-{i}").cancelled == 1)
            say("submit to the first step of the demo's model, warm cache",
                f"p50 {statistics.median(seconds[1:]):.2f} s, longest {max(seconds[1:]):.2f} s; with a cold cache {seconds[0]:.2f} s")
        finally:
            worker.terminate()
            worker.wait()


def numbers(text):
    return [int(word) for word in text.split(",") if word]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", type=pathlib.Path)
    parser.add_argument("--workers", type=int, default=500)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--second-trials", type=int, default=480)
    parser.add_argument("--cost", type=numbers, default=[], metavar="WORKERS,...")
    parser.add_argument("--cost-trials", type=numbers, default=[0, 5000, 10_000], metavar="TRIALS,...")
    parser.add_argument("--first-step", type=int, default=0, metavar="TIMES")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--plot", type=pathlib.Path)
    args = parser.parse_args()
    programs = args.programs.resolve()
    if args.workers:
        measure_load(programs, args.workers, args.trials)
        measure_loss(programs)
    if args.second_trials:
        measure_second_trials(programs, args.second_trials)
    costs = measure_cost(programs, args.cost, args.cost_trials) if args.cost else []
    if args.first_step:
        measure_first_step(programs, args.first_step)
    if args.json:
        args.json.write_text(json.dumps({"figures": FIGURES, "cost": costs}, indent=2) + "\n")
    if args.plot and costs:
        args.plot.write_text(plot.draw(costs))


if __name__ == "__main__":
    main()
