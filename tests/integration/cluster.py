"""A real coordinator and real workers on loopback ports of the system's choosing, for integration tests.

Nothing here sleeps for a fixed time: wait_until() looks again and again until a condition holds or a generous deadline passes,
and then fails with what was seen last.
"""
import contextlib
import gzip
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ["MIXLN_BIN"])          # where the programs are
DEADLINE_SECONDS = 120                               # for anything that should take a few seconds
FAST = ("--heartbeat-seconds", "0.5")  # of a coordinator: what happens to a worker is soon known


def wait_until(condition, what, deadline_seconds=DEADLINE_SECONDS):
    """Returns the condition's first true value; fails with `what` and the last value after the deadline."""
    end = time.monotonic() + deadline_seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline_seconds} s in vain for {what}; last: {value!r}")
        time.sleep(0.05)  # between two looks, not for an event


def alive(pid):
    """Whether the process exists and is no zombie."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class Daemon:
    """One started program with its log and its address file."""

    def __init__(self, name, folder, *arguments):
        self.name = name
        self.address_file = folder / f"{name}.address"
        self.log = folder / f"{name}.log"
        self.address_file.unlink(missing_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*map(str, arguments), "--address-file", str(self.address_file)],
                                            stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        wait_until(lambda: self.address_file.exists() or self.process.poll() is not None, f"{name} to serve")
        if self.process.poll() is not None:
            raise AssertionError(f"{name} ended with {self.process.returncode}:\n{self.log.read_text()}")
        self.address = json.loads(self.address_file.read_text())

    def kill(self):
        """kill -9 of this one process."""
        self.process.kill()
        self.process.wait()

    def terminate(self):
        """Asks it to end and waits."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(DEADLINE_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{self.name} did not end on SIGTERM:\n{self.log.read_text()}")


class LogFollower:
    """A command whose standard streams go to files."""

    def __init__(self, path, *command):
        self.out = path.with_suffix(".out")
        self.err = path.with_suffix(".err")
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen([*map(str, command)], stdout=out, stderr=err)

    def text(self):
        return self.out.read_text()

    def errors(self):
        return self.err.read_text()


class Cluster(contextlib.AbstractContextManager):
    """A coordinator and its workers below a temporary folder; all are gone after the with-block."""

    host = "127.0.0.1"  # where the coordinator listens

    def __init__(self, *coordinator_flags):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mixln-test-"))
        self.coordinator_flags = coordinator_flags
        self.workers = {}
        self.port = 0
        self.coordinator = None
        self.coordinator_folder = self.folder / "coordinator"
        self.start_coordinator()

    def __exit__(self, error_type, *_):
        for worker in self.workers.values():
            worker.terminate()
        self.kill_ranks()
        self.coordinator.terminate()
        if error_type is not None:  # what the daemons said helps to find out why
            for log in sorted(self.folder.glob("*.log")):
                print(f"--- {log.name}\n{log.read_text()[-4000:]}")
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_coordinator(self):
        self.coordinator = Daemon(
            "coordinator", self.folder, BIN / "mixln-coordinator", "--listen", f"{self.host}:{self.port}",
            "--metrics-listen", f"{self.host}:0", "--state-dir", self.coordinator_folder, *self.coordinator_flags)
        self.port = int(self.coordinator.address["grpc"].rsplit(":", 1)[1])

    def start_worker(self, name="worker", *flags, artifacts="artifacts"):
        self.workers[name] = Daemon(
            name, self.folder, BIN / "mixln-worker", "--coordinator", f"127.0.0.1:{self.port}",
            "--state-dir", self.folder / name, "--artifacts", self.folder / artifacts,
            "--metrics-listen", "127.0.0.1:0", *flags)
        return self.workers[name]

    def start_fake_worker(self, name="worker", *flags, **options):
        """A worker whose ranks are the fake trainer, which computes nothing."""
        return self.start_worker(name, "--trainer", BIN / "mixln-fake-trainer", *flags, **options)

    def ctl(self, *arguments, check=True, stdin=None):
        """Runs mixlnctl; returns the finished process with its output."""
        done = subprocess.run(
            [BIN / "mixlnctl", "--coordinator", f"127.0.0.1:{self.port}", *map(str, arguments)],
            capture_output=True, text=True, timeout=600, input=stdin)
        if check and done.returncode != 0:
            raise AssertionError(f"mixlnctl {' '.join(map(str, arguments))} exited {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def follow_log(self, trial_id, *flags):
        """`mixlnctl logs -f` of a trial, which runs on its own until the trial's attempt has ended."""
        return LogFollower(self.folder / f"{'-'.join([trial_id, *flags])}.followed",
                           BIN / "mixlnctl", "--coordinator", f"127.0.0.1:{self.port}", "logs", "-f", trial_id, *flags)

    def json(self, *arguments):
        return json.loads(self.ctl(*arguments, "-o", "json").stdout)

    def trials(self, sweep):
        """The sweep's trials by id, as the API's JSON."""
        answer = self.json("get", "trials", sweep)
        trials = answer["trials"] if isinstance(answer, dict) else answer
        return {t["id"]: t for t in trials}

    def trial(self, trial_id):
        return self.json("describe", "trial", trial_id)

    def states(self, sweep):
        return {t["state"].removeprefix("TRIAL_STATE_") for t in self.trials(sweep).values()}

    def rank_pids(self):
        """Pids of all trainer processes whose working directory is below this cluster's folder, with that folder."""
        found = {}
        for proc in pathlib.Path("/proc").iterdir():
            if proc.name.isdigit():
                with contextlib.suppress(OSError):
                    cwd = os.readlink(proc / "cwd")
                    program = os.path.basename(os.readlink(proc / "exe"))
                    if cwd.startswith(str(self.folder)) and program in ("mixln-trainer", "mixln-fake-trainer"):
                        found[int(proc.name)] = cwd
        return found

    def kill_ranks(self):
        for pid in self.rank_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def metrics(self, daemon):
        """The text of a daemon's /metrics."""
        with urllib.request.urlopen(f"http://{daemon.address['metrics']}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path


def corpus_text(paragraphs=400):
    """Real text: the first paragraphs of a shipped novel."""
    novel = sorted((ROOT / "examples" / "corpus").glob("*.gz"))[0]
    text = gzip.decompress(novel.read_bytes()).decode()
    return "\n\n".join(text.split("\n\n")[:paragraphs]) + "\n"


def sweep_text(name, source, parameters, steps=30, layers=4, hidden_size=32, more=""):
    """A sweep of a tiny model that trains in seconds."""
    grid = "\n".join(f"      {path}: {json.dumps(values)}" for path, values in parameters.items())
    return f"""apiVersion: mixln/v1
kind: Sweep
metadata: {{name: {name}}}
spec:
  model: {{hidden_size: {hidden_size}, intermediate_size: {2 * hidden_size}, layers: {layers}, heads: 2}}
  norm: {{placement: mix, alpha: 0.25}}
  data:
    source: ["{source}"]
    tokenizer: {{train: {{vocab: 400}}}}
    reading: packed
    context: 32
    split: paragraph
    validation_fraction: 0.1
  train: {{steps: {steps}, batch: {{sequences: 4}}, lr: 3.0e-3, warmup_steps: 5, precision: fp32}}
  eval: {{every_steps: 10, tokens: 2000}}
  checkpoint: {{every_steps: 5}}
  sweep:
    parameters:
{grid}
{more}"""


def finished_losses(cluster, sweep):
    """Final evaluation loss of each trial, by its parameters."""
    return {json.dumps(t["parameters"]): t["progress"]["eval_loss"] for t in cluster.trials(sweep).values()}


def curve_steps(cluster, trial_id, metric="loss"):
    """Steps recorded for one metric, straight from the coordinator's database."""
    with contextlib.closing(sqlite3.connect(f"file:{cluster.coordinator_folder}/metrics.db?mode=ro", uri=True)) as db:
        rows = db.execute("""select step from points join trials on trials.id = trial join metrics on metrics.id = metric
                             where trials.name = ? and metrics.name = ? order by step""", (trial_id, metric))
        return [row[0] for row in rows]
