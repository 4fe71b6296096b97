"""What is kept of a sweep and what ends: retention, delete and limits.max_runtime_seconds, with the real programs."""
import contextlib
import sqlite3
import unittest

from cluster import FAST, Cluster, corpus_text, sweep_text, wait_until


class Retention(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster(*FAST))
        self.corpus = self.cluster.write("corpus.txt", corpus_text())
        self.artifacts = self.cluster.folder / "artifacts"

    def submit(self, name, **options):
        sweep = self.cluster.write(f"{name}.yaml", sweep_text(name, self.corpus, {"train.seed": [0, 1]}, **options))
        self.cluster.ctl("submit", sweep)

    def rank_folders(self):
        return sorted(p for worker in self.cluster.workers for p in (self.cluster.folder / worker / "attempts").glob("*/*/rank-*"))

    def checkpoints(self):
        return sorted(self.artifacts.glob("trials/*/*/*/checkpoints/*/manifest.json"))

    def curve_points(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.cluster.coordinator_folder}/metrics.db?mode=ro", uri=True)) as db:
            return db.execute("select count(*) from points").fetchone()[0]

    def test_delete_removes_artifacts_logs_and_curves_wherever_they_are(self):
        for name in ("east", "west"):
            self.cluster.start_worker(name, "--slots", "1")
        self.submit("gone", steps=300)
        self.cluster.ctl("wait", "gone", "--timeout", "300")
        self.assertTrue(self.checkpoints())
        self.assertEqual(len(self.rank_folders()), 2)
        self.assertGreater(self.curve_points(), 0)
        self.cluster.ctl("delete", "gone")
        wait_until(lambda: not self.rank_folders(), "the ranks' folders to go")
        wait_until(lambda: not list(self.artifacts.glob("trials/*")), "the artifacts to go")
        wait_until(lambda: self.curve_points() == 0, "the curves to go")
        self.assertEqual(self.cluster.ctl("wait", "gone", check=False).returncode, 102)
        # The name is free again.
        self.submit("gone", steps=10)
        self.cluster.ctl("wait", "gone", "--timeout", "300")

    def test_a_worker_that_was_away_deletes_what_it_missed_when_it_comes_back(self):
        for name in ("east", "west"):
            self.cluster.start_worker(name, "--slots", "1")
        self.submit("gone", steps=300)
        self.cluster.ctl("wait", "gone", "--timeout", "300")
        west = self.cluster.folder / "west" / "attempts"
        self.cluster.workers["west"].kill()
        wait_until(lambda: "LOST" in self.cluster.ctl("nodes").stdout, "the worker to be lost")
        self.cluster.ctl("delete", "gone")
        wait_until(lambda: len(self.rank_folders()) == 1, "the folder on the other worker to go")
        self.assertTrue(list(west.glob("*/*/rank-*")))
        self.cluster.coordinator.kill()
        self.cluster.start_coordinator()
        self.cluster.start_worker("west", "--slots", "1")
        wait_until(lambda: not self.rank_folders(), "the folders of the worker that was away to go")

    def test_old_checkpoints_go_while_a_trial_trains_and_all_of_it_after_its_time(self):
        self.cluster.start_worker("worker", "--slots", "2")
        self.submit("kept", steps=100, more="  retention: {checkpoints: 3}\n")
        self.cluster.ctl("wait", "kept", "--timeout", "300")
        for trial in self.cluster.trials("kept").values():
            self.assertEqual([int(c["step"]) for c in trial["checkpoints"]], [90, 95, 100])
        wait_until(lambda: len(self.checkpoints()) == 6, "3 checkpoints a trial on disk")
        self.submit("tidy", steps=50, more="  retention: {seconds_after_end: 3}\n")
        self.cluster.ctl("wait", "tidy", "--timeout", "300")
        wait_until(lambda: len(list(self.artifacts.glob("trials/tidy-*/*"))) == 0, "the second sweep's artifacts to go")
        wait_until(lambda: len(self.rank_folders()) == 2, "its ranks' folders to go, and those alone")
        self.assertEqual(len(self.checkpoints()), 6)
        for trial in self.cluster.trials("tidy").values():
            self.assertEqual(trial["checkpoints"], [])
            self.assertGreater(trial["progress"]["eval_loss"], 0, "numbers stay")

    def test_a_trial_that_runs_too_long_is_stopped_with_a_checkpoint_and_has_failed(self):
        self.cluster.start_worker("worker", "--slots", "2")
        self.submit("long", steps=10_000_000, more="  limits: {max_runtime_seconds: 3}\n")
        self.assertEqual(self.cluster.ctl("wait", "long", "--timeout", "300", check=False).returncode, 100)
        for trial in self.cluster.trials("long").values():
            self.assertEqual(trial["state"], "TRIAL_STATE_FAILED")
            self.assertEqual(len(trial["attempts"]), 1, "more time was not to be had, so it was not tried again")
            self.assertEqual(trial["attempts"][0]["cause"], "FAILURE_CAUSE_MAX_RUNTIME")
            self.assertIn("limits.max_runtime_seconds of 3 s is over at step", trial["reason"])
            self.assertTrue(trial["checkpoints"])
            self.assertGreaterEqual(trial["train_seconds"], 3)
        self.assertEqual(self.cluster.rank_pids(), {})


if __name__ == "__main__":
    unittest.main(verbosity=2)
