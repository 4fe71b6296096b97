"""What users and operators do to sweeps and workers, with the fake trainer: pause, resume, retry, drain, and undo."""
import os
import socket
import unittest
from unittest import mock

from cluster import FAST, Cluster, corpus_text, curve_steps, sweep_text, wait_until


class Verbs(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster(*FAST))
        self.corpus = self.cluster.write("corpus.txt", corpus_text())
        self.go = self.cluster.folder / "go"

    def start_worker(self, name="worker", faults="", slots="1"):
        with mock.patch.dict(os.environ, {"MIXLN_FAKE_TRAINER": faults}):
            return self.cluster.start_fake_worker(name, "--slots", slots)

    def submit(self, name, seeds=(0,), **options):
        text = sweep_text(name, self.corpus, {"train.seed": list(seeds)}, steps=12, **options)
        self.cluster.ctl("submit", self.cluster.write(f"{name}.yaml", text))

    def wait(self, name, expected=0):
        done = self.cluster.ctl("wait", name, "--timeout", "120", check=False)
        self.assertEqual(done.returncode, expected, done.stdout + done.stderr)
        return done.stderr

    def wait_for_step(self, trial_id, step):
        wait_until(lambda: self.cluster.trial(trial_id).get("progress", {}).get("step") == str(step), f"step {step} of {trial_id}")

    def test_a_paused_sweep_frees_its_slot_and_goes_on_where_it_stopped(self):
        self.start_worker(faults=f"wait:{self.go}@8")
        self.submit("held")
        self.wait_for_step("held-0", 7)
        self.assertIn("resume held", self.cluster.ctl("pause", "held").stderr)
        wait_until(lambda: self.cluster.states("held") == {"PAUSED"}, "the pause")
        self.assertEqual(self.cluster.rank_pids(), {})
        self.assertIn("paused with a checkpoint of step 7", self.cluster.ctl("describe", "trial", "held-0").stdout)
        self.go.touch()
        self.submit("other")  # the slot is free
        self.wait("other")
        self.cluster.ctl("resume", "held-0")
        self.wait("held")
        trial = self.cluster.trial("held-0")
        self.assertEqual([a["resume_step"] for a in trial["attempts"]], ["0", "7"])
        self.assertEqual(curve_steps(self.cluster, "held-0"), list(range(1, 13)))

    def test_a_damaged_checkpoint_is_marked_and_the_one_before_is_used(self):
        self.start_worker(faults=f"wait:{self.go}@8")
        self.submit("marred", more="  retry: {max_retries: 0}\n")
        self.wait_for_step("marred-0", 7)
        self.cluster.ctl("pause", "marred")
        wait_until(lambda: self.cluster.states("marred") == {"PAUSED"}, "the pause")
        self.go.touch()
        newest = self.cluster.trial("marred-0")["checkpoints"][-1]
        self.assertEqual(newest["step"], "7")
        (self.cluster.folder / "artifacts" / newest["path"] / "step").unlink()
        self.cluster.ctl("resume", "marred")
        self.wait("marred")
        trial = self.cluster.trial("marred-0")
        self.assertEqual([a["resume_step"] for a in trial["attempts"]], ["0", "7", "5"])
        self.assertEqual(trial["attempts"][1]["cause"], "FAILURE_CAUSE_IO")
        self.assertEqual(int(trial["retries"]), 0)
        self.assertEqual(curve_steps(self.cluster, "marred-0"), list(range(1, 13)))

    def test_a_worker_that_three_trials_fail_on_is_quarantined_until_it_is_taken_back(self):
        self.start_worker("spare", faults=f"wait:{self.go}@8")
        spare_id = self.cluster.workers["spare"].address["worker_id"]
        self.submit("busy")
        self.wait_for_step("busy-0", 7)  # so the spare one is in service and full
        bad_id = self.start_worker("bad", faults="exit:70@2", slots="2").address["worker_id"]
        self.submit("many", seeds=(0, 1, 2))

        def quarantined():
            (worker,) = [w for w in self.cluster.json("nodes")["workers"] if w["id"] == bad_id]
            return worker["quarantined"]
        wait_until(quarantined, "the quarantine")
        self.assertRegex(self.cluster.ctl("nodes").stdout, r"DRAINING .* quarantined: 3 trials in a row failed on it, the last one by trainer crash: ")
        self.go.touch()
        self.wait("many")
        self.assertEqual({t["attempts"][-1]["ranks"][0]["worker_id"] for t in self.cluster.trials("many").values()}, {spare_id})
        self.cluster.ctl("undrain", bad_id)
        self.assertNotIn("quarantined", self.cluster.ctl("nodes").stdout)

    def test_failed_trials_are_tried_again_and_the_newest_counts(self):
        worker = self.start_worker(faults="fail:71@3")
        self.submit("again", seeds=(0, 1))
        self.wait("again", expected=100)
        described = self.cluster.ctl("describe", "trial", "again-0")
        self.assertRegex(described.stdout, r"(?m)^State: +FAILED\nError: +OUT_OF_MEMORY, rank 0 on "
                         + socket.gethostname() + " exited with code 71: fake failure at step 3$")
        self.assertIn("mixlnctl retry again-0", described.stderr)
        worker.terminate()
        self.start_worker()
        self.assertIn("again-2, again-3", self.cluster.ctl("retry", "--failed", "again").stderr)
        self.assertIn("2 succeeded, 2 tried again", self.wait("again"))
        self.assertEqual(self.cluster.ctl("watch", "again").returncode, 0)
        self.assertIn("tried again as again-2", self.wait("again-0", expected=100))
        (row,) = self.cluster.json("results", "again")["rows"]
        self.assertEqual((row["trial_ids"], row["superseded_trial_ids"]), (["again-2", "again-3"], ["again-0", "again-1"]))
        self.assertTrue(row["best"])
        self.assertNotEqual(self.cluster.ctl("retry", "--failed", "again", check=False).returncode, 0)  # nothing is left to try

    def test_a_drained_worker_hands_its_trial_on_and_takes_no_other_until_it_is_taken_back(self):
        east = self.start_worker("east", faults=f"wait:{self.go}@8")
        self.submit("moved")
        self.wait_for_step("moved-0", 7)
        self.start_worker("west")
        east_id = east.address["worker_id"]
        self.assertIn("undrain", self.cluster.ctl("drain", east_id[:12], "--reason", "new disk").stderr)
        self.wait("moved")
        trial = self.cluster.trial("moved-0")
        self.assertEqual([a["resume_step"] for a in trial["attempts"]], ["0", "7"])
        self.assertNotEqual(trial["attempts"][1]["ranks"][0]["worker_id"], east_id)
        self.assertEqual(int(trial["retries"]), 0)
        self.assertEqual(curve_steps(self.cluster, "moved-0"), list(range(1, 13)))
        self.assertRegex(self.cluster.ctl("nodes").stdout, r"DRAINING .* drained by a user: new disk")
        self.cluster.workers.pop("west").terminate()
        self.submit("waits")
        wait_until(lambda: self.cluster.trial("waits-0")["reason"] == "waiting for a worker: none is connected and ready", "it to wait")
        self.go.touch()
        self.cluster.ctl("undrain", east_id)
        self.wait("waits")


if __name__ == "__main__":
    unittest.main(verbosity=2)
