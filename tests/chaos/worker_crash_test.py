"""Promise 7: a worker is killed at each of its fail-points and started again; ranks are adopted or placed again, and none is left."""
import itertools
import shutil
import subprocess
import sys
import unittest

from chaos import BIN, KILLED, SLOTS, OneWorkerTest, environment, moments, points
from cluster import wait_until

ADOPTING = ("worker.adopt", "worker.adopted")
STOPPING = ("worker.stop",)
MOMENTS = {
    "worker.receive": ("@welcome:1", "@reserve:1", "@start:2", "@event_ack:1", "@delete:1"),
    "worker.send": ("@hello:1", "@heartbeat:2", "@report:1", "@report:4", "@started:1", "@checkpoint_done:1", "@finished:1"),
    "worker.spawned": (":1", ":2"),
    "worker.rank ended": (":1", ":2"),
}
SENDS_A_LOG = "worker.send@log:1"
# Files that a worker writes whole, and how often it has when it dies.
FILES = ("worker.json:1", "attempt.json:1", "attempt.json:4", "trial.json:2")
CALLS = ("file.make", "file.write", "file.sync", "file.rename")


class WorkerCrash(OneWorkerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.numbers = itertools.count()

    def submit(self, **options):
        sweep = f"stormy-{next(self.numbers)}"
        self.cluster.submit(sweep, **options)
        return sweep

    def wait_for_ranks(self):
        return wait_until(lambda: len(pids := self.cluster.rank_pids()) == 2 and set(pids), "both ranks")

    def die_and_come_back(self, moment, sweep):
        worker = self.cluster.workers["worker"]
        wait_until(lambda: worker.process.poll() is not None, f"the worker to die at {moment}")
        self.assertEqual(worker.process.returncode, KILLED, moment)
        self.cluster.start_fake_worker("worker", *SLOTS)
        if sweep is not None:
            self.cluster.follow(sweep)
            self.check(self.cluster, sweep, self.calm, moment)

    def start_to_die(self, moment):
        """Whether it came so far as to connect."""
        self.cluster.workers["worker"].kill()
        return self.cluster.start_worker_to_die("worker", f"{moment}=kill", *SLOTS)

    def test_promise_7_killed_at_each_fail_point(self):
        names = [name for name in points("worker.") if name not in ADOPTING + STOPPING]
        files = [f"{call}@{file}" for i, file in enumerate(FILES) for j, call in enumerate(CALLS)
                 if "--all" in sys.argv or i == j]
        for moment in moments(names, MOMENTS) + files:
            self.die_and_come_back(moment, self.submit() if self.start_to_die(moment) else None)

    def test_promise_7_killed_as_it_sends_a_log(self):
        gate, in_the_middle = self.held(next(self.numbers))
        with in_the_middle:
            self.assertTrue(self.start_to_die(SENDS_A_LOG))
        sweep = self.submit()
        self.wait_for_ranks()
        logs = subprocess.Popen([BIN / "mixlnctl", "--coordinator", f"127.0.0.1:{self.cluster.port}", "logs", f"{sweep}-0"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(logs.wait)
        wait_until(lambda: self.cluster.workers["worker"].process.poll() is not None, "the worker to die")
        gate.touch()
        self.die_and_come_back(SENDS_A_LOG, sweep)

    def test_promise_7_killed_while_it_adopts(self):
        for moment in moments(ADOPTING, {"worker.adopt": (":1", ":2")}):
            gate, in_the_middle = self.held(next(self.numbers))
            self.cluster.workers["worker"].kill()
            with in_the_middle:
                self.cluster.start_fake_worker("worker", *SLOTS)
            sweep = self.submit()
            pids = self.wait_for_ranks()
            self.assertFalse(self.start_to_die(moment), moment)
            self.assertEqual(self.wait_for_ranks(), pids, f"{moment}: the ranks live on")
            gate.touch()
            self.die_and_come_back(moment, sweep)
            attempts = [len(trial["attempts"]) for trial in self.cluster.trials(sweep).values()]
            self.assertEqual(attempts, [1, 1], f"{moment}: the ranks were adopted")

    def test_promise_7_killed_while_it_stops_ranks(self):
        for moment in moments(STOPPING, {"worker.stop": (":1", ":2")}):
            _, in_the_middle = self.held(next(self.numbers))
            with in_the_middle:
                self.assertTrue(self.start_to_die(moment))
            sweep = self.submit()
            self.wait_for_ranks()
            self.cluster.ctl("pause", sweep)
            self.die_and_come_back(moment, None)
            wait_until(lambda: self.cluster.states(sweep) == {"PAUSED"}, "the sweep to be paused")
            self.cluster.ctl("resume", sweep)
            self.cluster.follow(sweep)
            self.assertEqual(self.cluster.numbers(sweep), self.calm, moment)

    def test_promise_7_a_shim_killed_at_each_fail_point_takes_its_rank_along(self):
        files = [f"file.rename@{file}:1" for file in ("shim.json", "exit.json")]
        for moment in moments(points("shim."), {}) + files:
            self.assertTrue(self.start_to_die(moment), moment)
            sweep = self.submit(more="  retry: {max_retries: 50}\n")  # more than are used up until the worker is another
            wait_until(lambda: all(t["attempts"] and t["attempts"][0].get("cause") == "FAILURE_CAUSE_TRAINER_CRASH"
                                   for t in self.cluster.trials(sweep).values()), f"both shims to die at {moment}")
            self.cluster.workers["worker"].kill()
            self.cluster.start_fake_worker("worker", *SLOTS)
            self.cluster.follow(sweep)
            self.check(self.cluster, sweep, self.calm, moment)
            described = self.cluster.ctl("describe", "trial", f"{sweep}-0").stdout
            self.assertIn("left no exit status: its shim is gone, too", described)

    def test_promise_7_ranks_whose_folders_are_gone_leave_no_shim(self):
        gate, in_the_middle = self.held(next(self.numbers))
        self.cluster.workers["worker"].kill()
        with in_the_middle:
            self.cluster.start_fake_worker("worker", *SLOTS)
        sweep = self.submit()
        self.wait_for_ranks()
        self.cluster.workers["worker"].kill()
        shutil.rmtree(self.cluster.folder / "worker")  # the ranks wait: nobody writes into it
        gate.touch()
        wait_until(lambda: not self.cluster.processes(), "ranks and shims to end")
        self.cluster.start_fake_worker("worker", *SLOTS)  # another one, as its identity is gone too
        self.cluster.follow(sweep)
        self.check(self.cluster, sweep, self.calm)


if __name__ == "__main__":
    unittest.main(argv=[argument for argument in sys.argv if argument != "--all"], verbosity=2)
