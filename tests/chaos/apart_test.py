"""Workers with artifacts folders of their own: a trial goes on where its checkpoint is, or, after a wait, starts anew and says so."""
import contextlib
import os
import signal
import socket
import unittest

from chaos import PACE, SEEDS, SLOTS, ChaosCluster, ChaosTest, environment
from cluster import wait_until

SWEEP = {"parameters": {"train.seed": SEEDS["train.seed"][:1]}}
HOLD = 12  # the step at which ranks of a worker that is to be lost wait


class Apart(ChaosTest):
    def begin(self, wait_seconds):
        """A trial whose checkpoint of step 10 is in the folder of a worker that is lost with its host; another worker is there."""
        self.cluster = self.enterContext(ChaosCluster("--checkpoint-wait-seconds", wait_seconds, lease_seconds=2))
        with environment(MIXLN_FAKE_TRAINER=PACE):
            self.start("calm")
            self.calm = self.cluster.calm_numbers(**SWEEP)
        self.cluster.workers.pop("calm").terminate()
        gate = self.cluster.folder / "never"
        with environment(MIXLN_FAKE_TRAINER=f"{PACE},wait:{gate}@{HOLD}"):
            lost = self.start("one")
        self.cluster.submit("apart", **SWEEP)
        wait_until(lambda: [int(c["step"]) for c in self.trial()["checkpoints"]] == [5, 10], "two checkpoints")
        with environment(MIXLN_FAKE_TRAINER=PACE):
            self.start("two")
        lost.kill()
        for pid in self.cluster.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def start(self, name):
        return self.cluster.start_fake_worker(name, *SLOTS, artifacts=f"artifacts-{name}")

    def trial(self):
        (trial,) = self.cluster.trials("apart").values()
        return trial

    def test_promise_3_a_trial_waits_for_the_worker_that_sees_its_checkpoint(self):
        self.begin(wait_seconds="600")
        waits = f"waiting for 1 slot on {socket.gethostname()}, where its checkpoint of step 10 is"
        wait_until(lambda: waits in self.trial()["reason"], "the trial to say what it waits for")
        with environment(MIXLN_FAKE_TRAINER=PACE):
            self.start("one")
        self.cluster.follow("apart")
        self.assertEqual(int(self.trial()["attempts"][-1]["resume_step"]), 10)
        self.check(self.cluster, "apart", self.calm)

    def test_it_starts_anew_elsewhere_once_it_has_waited_and_says_why(self):
        self.begin(wait_seconds="1")
        self.cluster.follow("apart")
        last = self.trial()["attempts"][-1]
        self.assertEqual(int(last.get("resume_step", 0)), 0)
        self.assertIn("started anew: its checkpoint of step 10 is in the artifacts folder of",
                      self.cluster.ctl("describe", "trial", self.trial()["id"]).stdout)
        self.check(self.cluster, "apart", self.calm)


if __name__ == "__main__":
    unittest.main(verbosity=2)
