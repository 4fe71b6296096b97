"""Backup and restore of a coordinator at work, and what it refuses to start from. The ranks are fake trainers."""
import contextlib
import os
import shutil
import sqlite3
import subprocess
import unittest
from unittest import mock

from cluster import BIN, FAST, Cluster, corpus_text, sweep_text, wait_until


def coordinator(*arguments):
    return subprocess.run([BIN / "mixln-coordinator", *map(str, arguments)], capture_output=True, text=True, timeout=120)


def rows(database, query, *values):
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        return db.execute(query, values).fetchall()


def term_of(folder):
    return int(rows(folder / "state.db", "select value from cluster where key = 'term'")[0][0])


class Backup(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster(*FAST))
        self.state = self.cluster.coordinator_folder
        self.copy = self.cluster.folder / "copy"
        self.corpus = self.cluster.write("corpus.txt", corpus_text(100))

    def submit(self, name, steps):
        sweep = self.cluster.write(f"{name}.yaml", sweep_text(name, self.corpus, {"train.seed": [0, 1]}, steps=steps))
        self.cluster.ctl("submit", sweep)

    def backup(self, to):
        done = coordinator("backup", "--state-dir", self.state, to)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def lose_the_state_folder(self):
        self.cluster.coordinator.kill()
        shutil.rmtree(self.state)

    def test_a_backup_of_a_coordinator_at_work_is_restored_and_goes_on(self):
        go = self.cluster.folder / "go"
        with mock.patch.dict(os.environ, {"MIXLN_FAKE_TRAINER": f"wait:{go}@50"}):
            self.cluster.start_fake_worker("worker", "--slots", "2")
        self.submit("before", 10)
        self.cluster.ctl("wait", "before", "--timeout", "120")
        self.submit("during", 400)
        wait_until(lambda: all(t["checkpoints"] for t in self.cluster.trials("during").values()), "checkpoints of both trials")
        said = self.backup(self.copy)
        self.assertIn("2 sweeps, 4 trials", said)
        before = self.cluster.trials("before")
        self.submit("after", 10)
        term = term_of(self.copy)

        self.lose_the_state_folder()
        restored = coordinator("restore", "--state-dir", self.state, self.copy)
        self.assertEqual(restored.returncode, 0, restored.stderr)
        self.assertEqual(term_of(self.state), term + 2**32)
        self.cluster.start_coordinator()
        self.assertEqual(term_of(self.state), term + 2**32 + 1)
        self.assertEqual(self.cluster.trials("before"), before, "what had ended is as it was")
        self.assertEqual(self.cluster.ctl("wait", "after", check=False).returncode, 102, "it knows nothing of what came later")
        go.touch()
        self.cluster.ctl("wait", "during", "--timeout", "240")
        for trial_id, trial in self.cluster.trials("during").items():
            steps = [r[0] for r in rows(self.state / "metrics.db", """
                select step from points join trials on trials.id = trial join metrics on metrics.id = metric
                where trials.name = ? and metrics.name = 'loss' order by step""", trial_id)]
            self.assertEqual(steps, list(range(1, 401)), "no gap and no step twice")
            self.assertEqual(int(trial["progress"]["step"]), 400)
            self.assertEqual(len(trial["attempts"]), 1, "the ranks trained on meanwhile")

    def test_what_a_restore_does_not_do(self):
        self.backup(self.copy)
        running = coordinator("restore", "--state-dir", self.state, self.copy)
        self.assertIn("is used by another coordinator", running.stderr)
        self.cluster.coordinator.terminate()
        full = coordinator("restore", "--state-dir", self.state, self.copy)
        self.assertIn("has a state.db already", full.stderr)
        again = coordinator("backup", "--state-dir", self.state, self.copy)
        self.assertIn("is there already", again.stderr)
        nothing = coordinator("backup", "--state-dir", self.copy / "none", self.cluster.folder / "other")
        self.assertIn("has no state.db", nothing.stderr)
        for done in (running, full, again, nothing):
            self.assertEqual(done.returncode, 1)

    def starting_fails(self, *words):
        done = coordinator("--state-dir", self.state, "--listen", "127.0.0.1:0", "--metrics-listen", "")
        self.assertEqual(done.returncode, 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_damage_a_newer_schema_and_another_clusters_curves_are_refused(self):
        self.cluster.coordinator.terminate()
        with contextlib.closing(sqlite3.connect(self.state / "state.db")) as db:
            db.execute("create table ballast (x)")
            db.executemany("insert into ballast values (?)", [("y" * 3000,) for _ in range(300)])
            db.commit()
            db.execute("pragma wal_checkpoint(truncate)")
        whole = (self.state / "state.db").read_bytes()
        middle = len(whole) // 4096 // 2 * 4096
        (self.state / "state.db").write_bytes(whole[:middle] + b"x" * 4096 + whole[middle + 4096:])
        self.starting_fails("state.db", "is damaged", "mixln-coordinator restore")
        (self.state / "state.db").write_bytes(whole)
        with contextlib.closing(sqlite3.connect(self.state / "state.db")) as db:
            db.execute("pragma user_version = 99")
        self.starting_fails("state.db has schema version 99", "newer release")
        (self.state / "state.db").write_bytes(whole)
        with contextlib.closing(sqlite3.connect(self.state / "metrics.db")) as db:
            db.execute("update cluster set id = 'another'")
            db.commit()
        self.starting_fails("has the curves of cluster another")
        with contextlib.closing(sqlite3.connect(self.state / "metrics.db")) as db:
            db.execute("delete from cluster")
            db.commit()
        self.cluster.start_coordinator()

    def test_a_copy_put_in_place_by_hand_is_not_served_to_workers_that_know_better(self):
        self.cluster.start_fake_worker("worker", "--slots", "1")
        self.cluster.coordinator.terminate()
        shutil.copytree(self.state, self.copy)
        for _ in range(2):  # the copy's own next start is one term later, too
            self.cluster.start_coordinator()
            wait_until(lambda: "READY" in self.cluster.ctl("nodes").stdout, "the worker to come back in the new term")
            self.cluster.coordinator.kill()
        self.lose_the_state_folder()
        shutil.copytree(self.copy, self.state)
        self.cluster.start_coordinator()
        log = self.cluster.workers["worker"].log
        wait_until(lambda: "runs on an old copy of its state" in log.read_text(), "the worker to say why it does not connect")
        self.assertNotIn("READY", self.cluster.ctl("nodes").stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
