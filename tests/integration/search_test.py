"""Search strategies end to end: real programs, real text, trials that a search ends early."""
import unittest

from cluster import FAST, Cluster, corpus_text, sweep_text

MIN_STEPS, STEPS = 10, 1500


def search_text(name, source, rates=(1e-3, 2e-3, 4e-3, 1e-7), steps=STEPS):
    """Some learning rates and one, thousands of times smaller, that cannot learn anything. It comes last: whoever is first at a rung
    goes on."""
    text = sweep_text(name, source, {"train.lr": rates, "train.seed": [0]}, steps=steps)
    return text.replace("  sweep:\n", f"  sweep:\n    strategy: asha\n    asha: {{min_steps: {MIN_STEPS}, reduction_factor: 2}}\n")


class Search(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster(*FAST))
        self.corpus = self.cluster.write("corpus.txt", corpus_text())

    def test_asha_ends_the_losers_early_and_the_sweep_ends(self):
        self.cluster.start_worker("worker", "--slots", "2")
        sweep = self.cluster.write("asha.yaml", search_text("asha", self.corpus))
        self.cluster.ctl("submit", sweep)
        self.cluster.ctl("wait", "asha", "--timeout", "300")  # exits 0: PRUNED is a result
        trials = self.cluster.trials("asha").values()
        by_state = {}
        for trial in trials:
            by_state.setdefault(trial["state"].removeprefix("TRIAL_STATE_"), []).append(trial)
        self.assertEqual(set(by_state), {"PRUNED", "SUCCEEDED"})
        for trial in by_state["PRUNED"]:
            self.assertRegex(trial["reason"], r"^pruned at step \d+: its evaluation loss of [\d.]+ is number \d of \d there")
            self.assertLess(int(trial["progress"]["step"]), STEPS, "it was ended early")
            self.assertTrue(trial["checkpoints"], "and can be resumed")
            self.assertEqual(int(trial["rungs"][0]["step"]), MIN_STEPS)
        for trial in by_state["SUCCEEDED"]:
            self.assertEqual(int(trial["progress"]["step"]), STEPS)
        results = self.cluster.ctl("results", "asha").stdout
        self.assertIn("1 pruned", results)
        self.assertRegex(results, r"★.*1 succeeded")
        described = self.cluster.ctl("describe", "sweep", "asha").stdout
        self.assertRegex(described, r"Search: +asha, one trial in 2 goes on from step 10")

    def test_a_pruned_trial_that_is_resumed_trains_to_the_end_as_a_new_one(self):
        self.cluster.start_worker("worker", "--slots", "1")  # so that the one that learns is first at the rung
        self.cluster.ctl("submit", self.cluster.write("again.yaml", search_text("again", self.corpus, rates=(1e-3, 1e-7), steps=200)))
        self.cluster.ctl("wait", "again", "--timeout", "300")
        pruned = self.cluster.trial("again-1")
        self.assertEqual(pruned["state"], "TRIAL_STATE_PRUNED")
        self.cluster.ctl("resume", "again-1")
        self.cluster.ctl("wait", "again", "--timeout", "300")
        resumed = self.cluster.trial("again-2")
        self.assertEqual((resumed["state"], resumed["retry_of"]), ("TRIAL_STATE_SUCCEEDED", "again-1"))
        self.assertEqual(int(resumed["progress"]["step"]), 200)
        self.assertEqual(int(resumed["attempts"][0]["resume_step"]), int(pruned["checkpoints"][-1]["step"]))
        self.assertGreaterEqual(int(resumed["attempts"][0]["resume_step"]), MIN_STEPS)
        self.assertEqual(self.cluster.trial("again-1"), pruned, "the pruned one is what it was")

    def test_a_dry_run_shows_the_cells_that_are_then_trained(self):
        text = sweep_text("draws", self.corpus, {}).replace(
            "    parameters:\n", "    strategy: random\n    samples: 3\n    seed: 5\n    parameters:\n"
            "      train.lr: {log_uniform: [1.0e-4, 1.0e-2]}\n      norm.alpha: {uniform: [0, 1]}\n")
        sweep = self.cluster.write("draws.yaml", text)
        shown = self.cluster.json("submit", sweep, "--dry-run")["cells"]
        self.assertEqual(len(shown), 3)
        table = self.cluster.ctl("submit", sweep, "--dry-run").stdout
        for cell in shown:
            for parameter in cell["parameters"]:
                self.assertIn(parameter["value"], table)
        self.cluster.start_worker("worker", "--slots", "2")
        self.cluster.ctl("submit", sweep)
        self.cluster.ctl("wait", "draws", "--timeout", "300")
        trained = self.cluster.trials("draws").values()
        self.assertEqual(sorted(str(t["parameters"]) for t in trained), sorted(str(c["parameters"]) for c in shown))
        for trial in trained:
            self.assertIn(float(trial["spec"]["train"]["lr"]), [float(p["value"]) for p in trial["parameters"]])


if __name__ == "__main__":
    unittest.main(verbosity=2)
