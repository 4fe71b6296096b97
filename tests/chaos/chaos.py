"""What the tests of this folder share: a cluster with short times whose programs die at fail-points, and what must hold afterwards.

A calm sweep is run first; a stormy one of the same cells has to end with the same numbers, bit for bit.
"""
import contextlib
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import unittest
from unittest import mock

from cluster import BIN, Cluster, alive, corpus_text, sweep_text, wait_until
from failpoints import documented

SEEDS = {"train.seed": [0, 1]}
STEPS = 30
PACE = "pace:10@0"  # a fake step takes 10 ms, so that there is a middle of a trial
KILLED = -9
SLOTS = ("--slots", "2")  # of a worker: one for each cell


def times(lease_seconds, grace_seconds):
    return ("--lease-seconds", str(lease_seconds), "--reconnect-grace-seconds", str(grace_seconds), "--heartbeat-seconds", "0.25",
            "--retry-seconds", "0.2")


def environment(**variables):
    return mock.patch.dict(os.environ, variables)


def points(prefix):
    """Names of the documented fail-points of one program."""
    return sorted(name for name in documented() if name.startswith(prefix))


def moments(names, chosen):
    """The hits to fail at, as POINT[@TEXT]:N: for each point those chosen for it, or its first."""
    unknown = set(chosen) - set(names)
    assert not unknown, f"no such fail-points: {unknown}"
    return [point + hit for point in names for hit in chosen.get(point, (":1",))]


class ChaosCluster(Cluster):
    """A cluster with one text to train on. Its leases are as long as a slow machine may take to start a worker: short ones are for
    tests in which they are to run out."""

    def __init__(self, *flags, lease_seconds=15, grace_seconds=60):
        super().__init__(*times(lease_seconds, grace_seconds), *flags)
        self.corpus = self.write("corpus.txt", corpus_text(100))

    def __exit__(self, error_type, *rest):
        for worker in self.workers.values():
            worker.kill()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.coordinator.kill()
        super().__exit__(error_type, *rest)

    def sweep_file(self, name, parameters=None, steps=STEPS, **options):
        text = sweep_text(name, self.corpus, parameters or SEEDS, steps=steps, **options)
        return self.write(f"{name}.yaml", text)

    def submit(self, name, check=True, **options):
        return self.ctl("submit", self.sweep_file(name, **options), check=check)

    def submitting(self, name, **options):
        """A submit that runs on its own, for a coordinator that is about to die."""
        return subprocess.Popen([BIN / "mixlnctl", "--coordinator", f"127.0.0.1:{self.port}", "submit",
                                 self.sweep_file(name, **options)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start_coordinator_to_die(self, failpoint):
        """Starts it with a fail-point; it may die before it serves."""
        with environment(MIXLN_FAILPOINTS=failpoint):
            return self.start_to_die(self.start_coordinator)

    def start_worker_to_die(self, name, failpoint, *flags):
        """As start_coordinator_to_die, a worker with fake ranks."""
        with environment(MIXLN_FAILPOINTS=failpoint):
            return self.start_to_die(lambda: self.start_fake_worker(name, *flags))

    @staticmethod
    def start_to_die(start):
        """Whether the daemon came so far as to serve."""
        try:
            start()
        except AssertionError as ended:
            if f"ended with {KILLED}" not in str(ended):
                raise
            return False
        return True

    def processes(self, below=""):
        """Pids of all processes below this cluster's folder, or one of its folders, other than its daemons, and how they were called."""
        daemons = {self.coordinator.process.pid, *(worker.process.pid for worker in self.workers.values())}
        found = {}
        for proc in pathlib.Path("/proc").iterdir():
            if not proc.name.isdigit() or int(proc.name) in daemons:
                continue
            with contextlib.suppress(OSError):
                words = (proc / "cmdline").read_text().split("\0")
                cwd = os.readlink(proc / "cwd")
                if f"{self.folder}/{below}" in " ".join([cwd, *words]) and words[0].startswith(str(BIN)) and alive(int(proc.name)):
                    found[int(proc.name)] = " ".join(words)
        return found

    def curve(self, trial_id, metric="loss"):
        """(step, value) of all recorded points of one metric, from the coordinator's database."""
        with contextlib.closing(sqlite3.connect(f"file:{self.coordinator_folder}/metrics.db?mode=ro", uri=True)) as db:
            return db.execute("""select step, value from points join trials on trials.id = trial
                                 join metrics on metrics.id = metric
                                 where trials.name = ? and metrics.name = ? order by step""", (trial_id, metric)).fetchall()

    def numbers(self, sweep):
        """All that a sweep has measured: per cell the final losses and both curves."""
        return {json.dumps(trial["parameters"]): (trial["progress"]["loss"], trial["progress"]["eval_loss"],
                                                  self.curve(trial_id), self.curve(trial_id, "eval_loss"))
                for trial_id, trial in self.trials(sweep).items()}

    def calm_numbers(self, **options):
        """Runs the sweep `calm`, which nothing disturbs."""
        self.submit("calm", **options)
        self.follow("calm")
        return self.numbers("calm")

    def unforgotten(self):
        """Records of attempts that a living worker is not done with: it would act on them again when it is started anew."""
        found = []
        for name, worker in self.workers.items():
            if worker.process.poll() is not None:
                continue
            for record in (self.folder / name / "attempts").glob("*/*/attempt.json"):
                with contextlib.suppress(OSError):  # it is removed just now
                    if not json.loads(record.read_text())["over"]:
                        found.append(record)
        return found

    def follow(self, sweep):
        """Waits until the sweep has ended well."""
        done = self.ctl("wait", sweep, "--timeout", "180", check=False)
        described = "".join(self.ctl("describe", "trial", trial).stdout for trial in self.trials(sweep))
        assert done.returncode == 0, done.stdout + done.stderr + described


class ChaosTest(unittest.TestCase):
    """Tests that compare stormy sweeps with a calm one of the same cells."""

    def check(self, cluster, stormy, calm, what=""):
        """Promises 1, 2, 5 and 7: one end for each cell, the same numbers bit for bit, no step lost or doubled, no orphan."""
        self.assertEqual(cluster.numbers(stormy), calm, what)
        for trial in cluster.trials(stormy).values():
            self.assertEqual(trial["state"], "TRIAL_STATE_SUCCEEDED", what)
            epochs = [int(attempt["fence"]["epoch"]) for attempt in trial["attempts"]]
            self.assertEqual(epochs, sorted(set(epochs)), f"{what}: epochs only grow")
            unfinished = [attempt.get("cause", "FAILURE_CAUSE_UNSPECIFIED") for attempt in trial["attempts"][:-1]]
            self.assertNotIn("FAILURE_CAUSE_UNSPECIFIED", unfinished, f"{what}: only the last attempt has finished")
        wait_until(lambda: not cluster.processes(), f"{what}: no process is left")
        wait_until(lambda: not cluster.unforgotten(), f"{what}: the workers to be done with it")


class OneWorkerTest(ChaosTest):
    """One cluster for all of a class: a worker with fake ranks, and the numbers of a calm sweep."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(ChaosCluster())
        cls.enterClassContext(environment(MIXLN_FAKE_TRAINER=PACE))
        cls.cluster.start_fake_worker("worker", *SLOTS)
        cls.calm = cls.cluster.calm_numbers()

    def held(self, name):
        """A file, and an environment: ranks of workers that are started in it stop in the middle of a trial until the file is there."""
        gate = self.cluster.folder / f"gate-{name}"
        return gate, environment(MIXLN_FAKE_TRAINER=f"{PACE},wait:{gate}@{STEPS // 2}")
