"""Promises 1, 4 and 9 (docs/promises.md), each broken on purpose with the real daemons and the fake trainer."""
import os
import unittest
from unittest import mock

from cluster import Cluster, corpus_text, curve_steps, sweep_text, wait_until
from partition import Partition

FAST = ("--lease-seconds", "4", "--heartbeat-seconds", "0.5")
TERMINAL = {"SUCCEEDED", "FAILED", "DIVERGED", "PRUNED", "CANCELLED"}
CELLS = 60


class Promises(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster(*FAST))
        self.corpus = self.cluster.write("corpus.txt", corpus_text())

    def start_worker(self, name, faults="", slots="1"):
        with mock.patch.dict(os.environ, {"MIXLN_FAKE_TRAINER": faults}):
            return self.cluster.start_fake_worker(name, "--slots", slots)

    def submit(self, name, seeds=1, **options):
        text = sweep_text(name, self.corpus, {"train.seed": list(range(seeds))}, steps=12, **options)
        return self.cluster.ctl("submit", self.cluster.write(f"{name}.yaml", text))

    def wait(self, name, expected=0):
        done = self.cluster.ctl("wait", name, "--timeout", "120", check=False)
        self.assertEqual(done.returncode, expected, done.stdout + done.stderr)

    def step_of(self, trial_id):
        return int(self.cluster.trial(trial_id).get("progress", {}).get("step", 0))

    def restart_coordinator(self):
        self.cluster.coordinator.kill()
        self.cluster.start_coordinator()

    def test_promise_1_every_cell_ends_in_exactly_one_terminal_state(self):
        self.submit("all", CELLS)
        self.restart_coordinator()
        self.assertIn("exists already with the same spec", self.submit("all", CELLS).stdout)  # said twice, there once
        ended = {}  # the terminal state in which each trial was seen first

        def look():
            for trial_id, trial in self.cluster.trials("all").items():
                state = trial["state"].removeprefix("TRIAL_STATE_")
                self.assertIn(state, {ended.get(trial_id, state)}, f"{trial_id} ended twice")
                if state in TERMINAL:
                    ended[trial_id] = state
            return ended

        def wait_for_ends(count, what):
            wait_until(lambda: len(look()) >= count, what)

        self.cluster.ctl("cancel", "all-59")
        for state, fault in (("FAILED", "fail:71@3"), ("DIVERGED", "fail:76@3")):
            worker = self.start_worker(state.lower(), fault)
            wait_until(lambda: state in look().values(), f"a trial to end as {state}")
            worker.kill()
            self.cluster.workers.pop(state.lower())
            self.cluster.kill_ranks()
        for name in ("east", "west"):
            self.start_worker(name, slots="2")
        seen = len(look())
        for part in (1, 2, 3):
            wait_for_ends(seen + (CELLS - seen) * part // 4, "some trials to end")
            self.restart_coordinator()
            if part == 2:
                self.cluster.workers["east"].kill()
                self.cluster.kill_ranks()  # of both: the one that lives sees its ranks die
                self.start_worker("east", slots="2")
        wait_for_ends(CELLS, "all trials to end")
        self.restart_coordinator()
        look()
        trials = self.cluster.trials("all")
        self.assertEqual(sorted(trials), sorted(f"all-{i}" for i in range(CELLS)))
        self.assertEqual(sorted(int(t["spec"]["train"]["seed"]) for t in trials.values()), list(range(CELLS)))
        self.assertLessEqual({"SUCCEEDED", "FAILED", "DIVERGED", "CANCELLED"}, set(ended.values()))
        (row,) = self.cluster.json("results", "all")["rows"]
        counts = {name.upper(): int(count) for name, count in row["counts"].items() if int(count)}
        self.assertEqual(counts, {state: list(ended.values()).count(state) for state in set(ended.values())})

    def test_promise_4_a_fenced_attempt_publishes_nothing_and_its_series_vanish(self):
        go_on, finish = self.cluster.folder / "go_on", self.cluster.folder / "finish"
        network = self.enterContext(Partition(self.cluster.port))
        with mock.patch.object(self.cluster, "port", network.port):
            east = self.start_worker("east", f"wait:{go_on}@8")
        self.submit("fenced")
        wait_until(lambda: self.step_of("fenced-0") == 7, "step 7")
        west = self.start_worker("west", f"wait:{finish}@10")
        (folder,) = (self.cluster.folder / "east" / "attempts").glob("fenced-0/*/rank-0")

        def series_of(worker):
            return [line for line in self.cluster.metrics(worker).splitlines() if 'trial="fenced-0"' in line]

        self.assertTrue(series_of(east))
        network.cut()
        wait_until(lambda: len(self.cluster.trial("fenced-0")["attempts"]) == 2, "the trial to be placed elsewhere")
        # The worker counts its lease from what it sent, the coordinator from what it received: nobody else shows
        # the trial before the fenced worker has stopped to.
        wait_until(lambda: series_of(west), "the trial's series on the other worker")
        self.assertEqual(series_of(east), [])
        wait_until(lambda: self.step_of("fenced-0") == 9, "the second attempt to wait at step 10")
        go_on.touch()
        wait_until(lambda: '"step":"12"' in (folder / "events.jsonl").read_text(), "the fenced rank to train to its end")

        network.heal()
        self.submit("next")  # the only free slot is the fenced one's, and it has to be free of it
        self.wait("next")
        self.assertEqual(series_of(east), [])
        trial = self.cluster.trial("fenced-0")
        first, second = trial["attempts"]
        self.assertEqual(trial["state"], "TRIAL_STATE_RUNNING")
        self.assertEqual(int(trial["progress"]["step"]), 9)
        self.assertEqual([(int(c["step"]), c["fence"]) for c in trial["checkpoints"]], [(5, first["fence"])])
        self.assertEqual(int(second["resume_step"]), 5)
        self.assertEqual(curve_steps(self.cluster, "fenced-0"), list(range(1, 10)))

        finish.touch()
        self.wait("fenced")
        trial = self.cluster.trial("fenced-0")
        self.assertEqual(len(trial["attempts"]), 2)
        self.assertEqual([(int(c["step"]), c["fence"]) for c in trial["checkpoints"]],
                         [(10, second["fence"]), (12, second["fence"])])
        self.assertEqual(curve_steps(self.cluster, "fenced-0"), list(range(1, 13)))

    def test_promise_9_a_diverged_trial_is_recorded_as_a_result_and_never_retried(self):
        self.start_worker("worker", "fail:76@8")
        self.submit("diverges", more="  retry: {max_retries: 5}\n")
        self.wait("diverges")  # exits 0: it is a result
        trial = self.cluster.trial("diverges-0")
        self.assertEqual(trial["state"], "TRIAL_STATE_DIVERGED")
        self.assertIn("fake failure at step 8", trial["reason"])
        self.assertEqual(int(trial["progress"]["step"]), 7)
        self.assertEqual(curve_steps(self.cluster, "diverges-0"), list(range(1, 8)), "the evidence is kept")
        self.assertEqual(self.cluster.rank_pids(), {})
        # Neither a new coordinator nor another free worker nor a user makes it train again.
        self.restart_coordinator()
        self.start_worker("another")
        self.submit("next")
        self.wait("next")
        for verb in (("retry", "diverges-0"), ("retry", "--failed", "diverges")):
            self.assertNotEqual(self.cluster.ctl(*verb, check=False).returncode, 0)
        trial = self.cluster.trial("diverges-0")
        self.assertEqual((trial["state"], len(trial["attempts"])), ("TRIAL_STATE_DIVERGED", 1))
        (row,) = self.cluster.json("results", "diverges")["rows"]
        self.assertEqual((int(row["counts"]["diverged"]), bool(row["best"])), (1, False))


if __name__ == "__main__":
    unittest.main(verbosity=2)
