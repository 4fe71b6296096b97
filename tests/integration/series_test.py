"""Series of trials that have ended go: a hundred finished and diverged trials leave none behind, and each was there to be scraped before."""
import os
import re
import unittest
from unittest import mock

from cluster import FAST, Cluster, corpus_text, sweep_text, wait_until

KEEP_SECONDS = 10  # instead of the 300 that are usual
TRIALS = 100
STEPS = 12


class Series(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster(*FAST))
        self.scraped = {}  # trial → the highest step that /metrics said

    def families(self, daemon):
        """Names of all that the daemon exports; what it says of trials is noted."""
        text = self.cluster.metrics(daemon)
        for trial, step in re.findall(r'(?m)^mixln_step\{.*trial="([^"]+)".*\} (\d+)$', text):
            self.scraped[trial] = max(self.scraped.get(trial, 0), int(step))
        return set(re.findall(r"(?m)^(\w+\{[^}]*trial=[^}]*\}) ", text)), set(re.findall(r"(?m)^# TYPE (mixln_\w+)", text))

    def test_a_hundred_trials_leave_none_behind(self):
        keep = ("--slots", "2", "--metrics-keep-seconds", str(KEEP_SECONDS))
        workers = [self.cluster.start_fake_worker("one", *keep), self.cluster.start_fake_worker("two", *keep)]
        with mock.patch.dict(os.environ, {"MIXLN_FAKE_TRAINER": f"fail:76@{STEPS // 2}"}):
            workers.append(self.cluster.start_fake_worker("diverges", *keep))
        before = [self.families(worker) for worker in workers]
        corpus = self.cluster.write("corpus.txt", corpus_text())
        self.cluster.ctl("submit", self.cluster.write("many.yaml", sweep_text(
            "many", corpus, {"train.seed": list(range(TRIALS))}, steps=STEPS)))

        def ended():
            for worker in workers:
                self.families(worker)
            return self.cluster.states("many") <= {"SUCCEEDED", "DIVERGED"}
        wait_until(ended, "all trials to end", deadline_seconds=600)
        states = {trial: t["state"] for trial, t in self.cluster.trials("many").items()}
        self.assertEqual(set(states.values()), {"TRIAL_STATE_SUCCEEDED", "TRIAL_STATE_DIVERGED"})
        last = {"TRIAL_STATE_SUCCEEDED": STEPS, "TRIAL_STATE_DIVERGED": STEPS // 2 - 1}
        for worker in workers:
            self.families(worker)
        self.assertEqual(self.scraped, {trial: last[state] for trial, state in states.items()})  # the last values were scraped
        wait_until(lambda: [self.families(worker) for worker in workers] == before, "all series of trials to go")
        self.assertNotIn("many", self.cluster.metrics(self.cluster.coordinator))  # it counts by state only


if __name__ == "__main__":
    unittest.main(verbosity=2)
