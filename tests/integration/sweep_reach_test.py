"""How far a sweep file reaches: no file outside of the data roots, no word into a command line or an environment."""
import os
import pathlib
import unittest
from unittest import mock

from cluster import FAST, Cluster, corpus_text, sweep_text, wait_until


class SweepReach(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster(*FAST))
        self.data = self.cluster.folder / "data"
        self.data.mkdir()
        (self.data / "corpus.txt").write_text(corpus_text())
        self.secret = self.cluster.write("secret.txt", corpus_text())

    def submit(self, name, source, more="", tokenizer="train: {vocab: 400}", **options):
        text = sweep_text(name, source, {"train.seed": [0]}, more=more, **options).replace("train: {vocab: 400}", tokenizer)
        self.cluster.ctl("submit", self.cluster.write(f"{name}.yaml", text), "--skip-data-check")

    def ending(self, name):
        """How the sweep's one trial ended: its state, and its last attempt."""
        self.cluster.ctl("wait", name, "--timeout", "120", check=False)
        (trial,) = self.cluster.trials(name).values()
        return trial["state"], trial["attempts"][-1]

    def test_data_is_read_below_the_data_roots_only(self):
        os.symlink(self.secret, self.data / "link.txt")
        os.symlink(self.cluster.folder, self.data / "folder")
        (self.cluster.folder / "database").mkdir()
        (self.cluster.folder / "database" / "corpus.txt").write_text(corpus_text())
        self.cluster.start_fake_worker("worker", "--slots", "2", "--data-root", self.data)
        self.submit("inside", self.data / "corpus.txt")
        self.assertEqual(self.ending("inside")[0], "TRIAL_STATE_SUCCEEDED")
        outside = {"absolute": self.secret, "dots": f"{self.data}/../secret.txt", "link": self.data / "link.txt",
                   "way": self.data / "folder" / "secret.txt", "star": f"{self.data}/l*.txt", "brace": f"{self.data}/{{../secret.txt,x}}",
                   "sibling": self.cluster.folder / "database" / "corpus.txt", "missing": "/etc/there-is-none-*"}
        for name, source in outside.items():
            with self.subTest(name):
                self.submit(name, source)
                state, attempt = self.ending(name)
                self.assertEqual(state, "TRIAL_STATE_FAILED")
                self.assertEqual(attempt["cause"], "FAILURE_CAUSE_BAD_CONFIG", attempt)
                self.assertIn("outside of what may be read here", attempt["message"])

    def test_tokenizers_and_initial_weights_come_from_below_the_data_roots_only(self):
        self.cluster.start_fake_worker("worker", "--data-root", self.data)
        self.submit("weights", self.data / "corpus.txt", more=f"  init: {{from: {self.cluster.folder}}}\n")
        self.submit("tokenizer", self.data / "corpus.txt", tokenizer=f"model: {self.secret}")
        for name in ("weights", "tokenizer"):
            with self.subTest(name):
                state, attempt = self.ending(name)
                self.assertEqual((state, attempt["cause"]), ("TRIAL_STATE_FAILED", "FAILURE_CAUSE_BAD_CONFIG"))
                self.assertIn("outside of what may be read here", attempt["message"])

    def test_nothing_of_it_reaches_a_command_line_or_an_environment(self):
        hostile = self.data / "a b;$(touch pwned)`touch pwned`&--trainer=pwned.txt"
        hostile.write_text(corpus_text())
        go = self.cluster.folder / "go"
        with mock.patch.dict(os.environ, {"MIXLN_FAKE_TRAINER": f"wait:{go}@8"}):
            self.cluster.start_fake_worker("worker", "--slots", "1")
        self.submit("hostile", hostile, steps=12)
        (rank,) = wait_until(self.cluster.rank_pids, "a rank")
        folder = pathlib.Path(self.cluster.rank_pids()[rank])
        self.assertIn("pwned", wait_until(lambda: (folder / "trial.json").read_text(), "its file"))  # there it is, as JSON
        shim = int(pathlib.Path(f"/proc/{rank}/stat").read_text().rsplit(")", 1)[1].split()[1])
        for pid in (rank, shim):
            for what in ("cmdline", "environ"):
                said = pathlib.Path(f"/proc/{pid}/{what}").read_bytes()
                self.assertTrue(said)
                self.assertNotIn(b"pwned", said)
        go.touch()
        self.assertEqual(self.ending("hostile")[0], "TRIAL_STATE_SUCCEEDED")
        self.assertEqual(list(self.cluster.folder.rglob("pwned")), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
