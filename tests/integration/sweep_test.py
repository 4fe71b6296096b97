"""A whole sweep on real text with the real trainer, and what outlives restarts: the main job, end to end."""
import contextlib
import os
import pathlib
import signal
import unittest

from cluster import FAST, Cluster, alive, corpus_text, curve_steps, finished_losses, sweep_text, wait_until

TAIL = 5  # lines
ALPHAS = {"norm.alpha": [0, 0.5, 1], "train.seed": [0, 1]}


class WholeSweep(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster(*FAST))
        self.corpus = self.cluster.write("corpus.txt", corpus_text())

    def submit(self, name, parameters, **options):
        sweep = self.cluster.write(f"{name}.yaml", sweep_text(name, self.corpus, parameters, **options))
        return self.cluster.ctl("submit", sweep)

    def wait(self, name, expected=0):
        done = self.cluster.ctl("wait", name, "--timeout", "300", check=False)
        self.assertEqual(done.returncode, expected, done.stdout + done.stderr)

    def wait_for_steps(self, name):
        """Until each of the sweep's trials has trained a step: one runs from when its ranks are started, which is earlier."""
        wait_until(lambda: all(curve_steps(self.cluster, trial) for trial in self.cluster.trials(name)), f"the trials of {name} to train")

    def rank_logs(self):
        """Where the ranks that run write their logs, by trial."""
        return {folder.split("/attempts/")[1].split("/")[0]: pathlib.Path(folder, "log").resolve()
                for folder in self.cluster.rank_pids().values()}

    def follow(self, trial_id, *flags):
        follower = self.cluster.follow_log(trial_id, *flags)
        wait_until(follower.text, f"the log of {trial_id} to come")
        return follower

    def followed(self, follower):
        """All that it has shown, once it has ended by itself."""
        self.assertEqual(follower.process.wait(60), 0, follower.errors())
        return follower.text()

    def test_every_trial_trains_and_the_table_compares_them(self):
        worker = self.cluster.start_worker("worker", "--slots", "2")
        said = self.submit("alpha", ALPHAS, steps=600)
        self.assertIn("mixlnctl watch alpha", said.stderr)  # ends with the next useful command
        self.wait("alpha")
        trials = self.cluster.trials("alpha")
        self.assertEqual(len(trials), 6)
        self.assertEqual({t["state"] for t in trials.values()}, {"TRIAL_STATE_SUCCEEDED"})
        results = self.cluster.json("results", "alpha")
        self.assertEqual(len(results["rows"]), 3)
        self.assertEqual([bool(r["best"]) for r in results["rows"]], [True, False, False])
        for row in results["rows"]:
            self.assertGreater(results["unigram_perplexity"], 2 * row["perplexity_mean"], row)
            losses = [t["progress"]["perplexity"] for i, t in trials.items() if i in row["trial_ids"]]
            mean = sum(losses) / 2
            self.assertAlmostEqual(row["perplexity_mean"], mean, delta=1e-6 * mean)
            # The sample standard deviation of two numbers is their distance over the square root of two.
            self.assertAlmostEqual(row["perplexity_stddev"], abs(losses[0] - losses[1]) / 2**0.5, delta=1e-6 * mean)
        table = self.cluster.ctl("results", "alpha").stdout
        self.assertRegex(table, r"(?i)perplexity")
        for trial_id in trials:
            self.assertEqual(curve_steps(self.cluster, trial_id), list(range(1, 601)))
        text = self.cluster.metrics(worker)
        for name in ("mixln_loss", "mixln_eval_loss", "mixln_perplexity", "mixln_learning_rate", "mixln_gradient_norm",
                     "mixln_layer_gradient_norm", "mixln_layer_activation_variance", "mixln_layer_update_ratio",
                     "mixln_model_flops_utilization", "mixln_tokens_per_second", "mixln_step", "mixln_tokens_total"):
            self.assertRegex(text, rf'(?m)^{name}\{{[^}}]*sweep="alpha"[^}}]*\}} ')
        text = self.cluster.metrics(self.cluster.coordinator)
        self.assertRegex(text, r'(?m)^mixln_trials\{state="succeeded"\} 6')
        self.assertRegex(text, r"(?m)^mixln_slots\{")
        log = self.cluster.ctl("logs", sorted(trials)[0]).stdout
        self.assertTrue(log.strip())
        self.assertEqual(self.cluster.rank_pids(), {})

    def test_two_workers_share_a_sweep(self):
        self.cluster.start_worker("east", "--slots", "2")
        self.cluster.start_worker("west", "--slots", "2")
        self.submit("shared", ALPHAS)
        self.wait("shared")
        trials = self.cluster.trials("shared")
        workers = {t["attempts"][-1]["ranks"][0]["worker_id"] for t in trials.values()}
        self.assertEqual({t["state"] for t in trials.values()}, {"TRIAL_STATE_SUCCEEDED"})
        self.assertEqual(len(workers), 2)

    def test_two_ranks_train_what_one_does_on_one_worker_and_across_two(self):
        self.cluster.start_worker("east", "--slots", "2")
        self.submit("alone", {"train.seed": [0]}, steps=10)
        two = "  resources: {ranks: 2}\n"
        self.submit("together", {"train.seed": [0]}, steps=10, more=two)
        self.wait("alone")
        self.wait("together")
        self.cluster.workers.pop("east").terminate()
        # One slot each: the attempt has to be spread.
        self.cluster.start_worker("north", "--slots", "1")
        self.cluster.start_worker("south", "--slots", "1")
        self.submit("apart", {"train.seed": [0]}, steps=10, more=two)
        self.wait("apart")
        trial = next(iter(self.cluster.trials("apart").values()))
        self.assertEqual(len({rank["worker_id"] for rank in trial["attempts"][-1]["ranks"]}), 2)
        alone, together, apart = (next(iter(finished_losses(self.cluster, name).values()))
                                  for name in ("alone", "together", "apart"))
        self.assertAlmostEqual(together / alone, 1, delta=1e-5)
        self.assertEqual(apart, together)

    def test_promise_3_a_lost_host_of_two_costs_a_gang_nothing(self):
        for name in ("north", "south", "spare"):
            self.cluster.start_worker(name, "--slots", "1")
        two = "  resources: {ranks: 2}\n"
        self.submit("calm", {"train.seed": [0]}, steps=300, more=two)
        self.wait("calm")
        self.submit("stormy", {"train.seed": [0]}, steps=300, more=two)

        def with_checkpoint():
            trial = next(iter(self.cluster.trials("stormy").values()))
            return trial if trial["checkpoints"] else None
        trial = wait_until(with_checkpoint, "a checkpoint")
        doomed_id = trial["attempts"][-1]["ranks"][1]["worker_id"]
        doomed = next(n for n, w in self.cluster.workers.items() if w.address["worker_id"] == doomed_id)
        self.cluster.workers.pop(doomed).kill()
        for pid, folder in self.cluster.rank_pids().items():
            if f"/{doomed}/" in folder:
                with contextlib.suppress(ProcessLookupError):  # it ended just now
                    os.killpg(os.getpgid(pid), signal.SIGKILL)
        self.wait("stormy")
        trial = self.cluster.trials("stormy")[trial["id"]]
        self.assertGreater(len(trial["attempts"]), 1)
        self.assertIn(trial["attempts"][0]["cause"], ("FAILURE_CAUSE_WORKER_LOST", "FAILURE_CAUSE_PEER_LOST"))
        self.assertEqual(finished_losses(self.cluster, "calm"), finished_losses(self.cluster, "stormy"))

    def test_a_cancel_in_the_middle_ends_the_ranks_and_frees_the_slots(self):
        self.cluster.start_worker("worker", "--slots", "2")
        self.submit("long", {"train.seed": [0, 1, 2]}, steps=1_000_000)
        wait_until(lambda: len(self.cluster.rank_pids()) == 2 and "RUNNING" in self.cluster.states("long"), "two ranks to train")
        self.cluster.ctl("cancel", "long")
        self.wait("long", expected=103)
        self.assertEqual(self.cluster.states("long"), {"CANCELLED"})
        self.assertEqual(self.cluster.rank_pids(), {})
        self.submit("next", {"train.seed": [0]})  # the slots are free again
        self.wait("next")

    def test_a_pause_in_the_middle_changes_no_number(self):
        self.cluster.start_worker("worker", "--slots", "2")
        parameters = {"train.seed": [0, 1]}
        self.submit("calm", parameters, steps=900)
        self.wait("calm")
        self.submit("paused", parameters, steps=900)
        self.wait_for_steps("paused")
        self.cluster.ctl("pause", "paused")
        wait_until(lambda: self.cluster.states("paused") == {"PAUSED"}, "both trials to stop")
        self.assertEqual(self.cluster.rank_pids(), {})
        self.cluster.ctl("resume", "paused")
        self.wait("paused")
        for trial_id, trial in self.cluster.trials("paused").items():
            self.assertEqual(len(trial["attempts"]), 2)
            self.assertEqual(curve_steps(self.cluster, trial_id), list(range(1, 901)))
        self.assertEqual(finished_losses(self.cluster, "calm"), finished_losses(self.cluster, "paused"))

    def test_a_worker_that_shuts_down_hands_its_trials_back_and_no_step_is_lost(self):
        parameters = {"train.seed": [0, 1]}
        self.cluster.start_worker("goes", "--slots", "2", "--stop-ranks-on-exit")
        self.submit("calm", parameters, steps=900)
        self.wait("calm")
        # It takes no trial yet, but reads the logs of the worker that leaves.
        next_id = self.cluster.start_worker("comes", "--slots", "2").address["worker_id"]
        self.cluster.ctl("drain", next_id)
        self.submit("moved", parameters, steps=900)
        self.wait_for_steps("moved")
        logs = self.rank_logs()
        followers = {trial_id: self.follow(trial_id) for trial_id in logs}
        leaving = self.cluster.workers.pop("goes")
        leaving.terminate()
        self.assertEqual(leaving.process.returncode, 0)
        self.assertEqual(self.cluster.rank_pids(), {})
        handed_back = {trial_id: max(curve_steps(self.cluster, trial_id)) for trial_id in self.cluster.trials("moved")}
        for trial_id, follower in followers.items():
            self.assertEqual(self.followed(follower), logs[trial_id].read_text())
        self.cluster.ctl("undrain", next_id)
        self.wait("moved")
        for trial_id, trial in self.cluster.trials("moved").items():
            first, second = trial["attempts"]
            self.assertEqual(first["cause"], "FAILURE_CAUSE_PREEMPTED")
            self.assertEqual(int(second["resume_step"]), handed_back[trial_id], "it goes on from the very last step")
            self.assertEqual(int(trial["retries"]), 0)
            self.assertEqual(curve_steps(self.cluster, trial_id), list(range(1, 901)))
        self.assertEqual(finished_losses(self.cluster, "calm"), finished_losses(self.cluster, "moved"))

    def test_promise_2_a_coordinator_killed_in_the_middle_is_invisible_to_training(self):
        self.cluster.start_worker("worker", "--slots", "2")
        parameters = {"train.seed": [0, 1]}
        self.submit("calm", parameters, steps=2400)
        self.wait("calm")
        self.submit("stormy", parameters, steps=2400)
        self.wait_for_steps("stormy")
        followed, log = next(iter(self.rank_logs().items()))
        wait_until(lambda: log.read_text().count("\n") > 2 * TAIL, "a log that is longer than its tail")
        followers = whole, tail = self.follow(followed), self.follow(followed, "--tail", str(TAIL))
        self.cluster.coordinator.kill()
        self.cluster.start_coordinator()
        wait_until(lambda: all("waiting for the log" in follower.errors() for follower in followers), "both streams to break")
        seen = [follower.text() for follower in followers]
        wait_until(lambda: all(follower.text() != text for follower, text in zip(followers, seen)), "the log to go on")
        self.cluster.coordinator.terminate()
        self.cluster.start_coordinator()
        self.wait("stormy")
        self.assertEqual(self.followed(whole), log.read_text(), "no gap and no line twice")
        shown = self.followed(tail)
        self.assertTrue(log.read_text().endswith("\n" + shown), "whole lines, no gap and none twice")
        self.assertGreaterEqual(shown.count("\n"), TAIL)
        for follower in followers:
            self.assertGreaterEqual(follower.errors().count("waiting for the log"), 2, follower.errors())
        for trial_id, trial in self.cluster.trials("stormy").items():
            self.assertEqual(len(trial["attempts"]), 1, "the same attempt goes on")
            self.assertEqual(curve_steps(self.cluster, trial_id), list(range(1, 2401)))
        self.assertEqual(finished_losses(self.cluster, "calm"), finished_losses(self.cluster, "stormy"))

    def test_promise_3_a_lost_host_costs_no_trial_and_changes_no_number(self):
        self.cluster.start_worker("stays", "--slots", "2")
        self.submit("calm", {"train.seed": [3]}, steps=600)
        self.wait("calm")
        self.cluster.start_worker("dies", "--slots", "2")
        self.submit("stormy", {"train.seed": [3, 4, 5, 6]}, steps=600)
        doomed_id = self.cluster.workers["dies"].address["worker_id"]

        def doomed_trial():
            for trial_id, trial in self.cluster.trials("stormy").items():
                if trial["attempts"] and trial["attempts"][-1]["ranks"][0]["worker_id"] == doomed_id and trial["checkpoints"]:
                    return trial_id
        doomed = wait_until(doomed_trial, "the doomed worker's trial to have a checkpoint")
        log = self.rank_logs()[doomed]
        follower = self.follow(doomed)
        # The host is gone: the daemon, the shims and the ranks below it at once.
        self.cluster.workers.pop("dies").kill()
        for pid, folder in self.cluster.rank_pids().items():
            if "/dies/" in folder:
                with contextlib.suppress(ProcessLookupError):  # it ended just now
                    os.killpg(os.getpgid(pid), signal.SIGKILL)
        self.assertEqual(self.followed(follower), log.read_text(), "to its end, through the other worker")
        self.wait("stormy")
        trial = self.cluster.trials("stormy")[doomed]
        self.assertEqual(trial["state"], "TRIAL_STATE_SUCCEEDED")
        self.assertEqual(trial["attempts"][0]["cause"], "FAILURE_CAUSE_WORKER_LOST")
        self.assertGreater(int(trial["attempts"][1]["resume_step"]), 0, "it went on from a checkpoint")
        self.assertEqual(curve_steps(self.cluster, doomed), list(range(1, 601)))
        first_log = self.cluster.ctl("logs", doomed, "--attempt", "1", "--since", "1h").stdout
        self.assertIn(f"trial {doomed}", first_log)
        self.assertEqual(first_log, log.read_text(), "the whole log of the lost host, through the other worker")
        self.assertEqual(self.cluster.ctl("logs", doomed, "--attempt", "1", "--since", "2100-01-01T00:00:00Z").stdout, "")
        calm = finished_losses(self.cluster, "calm")
        stormy = finished_losses(self.cluster, "stormy")
        for parameters, loss in calm.items():
            self.assertEqual(loss, stormy[parameters])

    def test_promise_7_a_restarted_worker_adopts_its_ranks(self):
        worker = self.cluster.start_worker("worker", "--slots", "2")
        self.submit("adopted", {"train.seed": [0]}, steps=2400)
        self.wait_for_steps("adopted")
        (pid,) = self.cluster.rank_pids()
        ((trial_id, log),) = self.rank_logs().items()
        follower = self.follow(trial_id)
        worker.kill()
        self.assertTrue(alive(pid))
        wait_until(lambda: "no worker is connected that could read this log" in self.cluster.ctl("logs", trial_id, check=False).stderr,
                   "the coordinator to miss the worker")
        self.cluster.start_worker("worker", "--slots", "2")
        self.wait("adopted")
        (trial,) = self.cluster.trials("adopted").values()
        self.assertEqual(self.followed(follower), log.read_text(), "no gap and no line twice")
        self.assertEqual(len(trial["attempts"]), 1)
        self.assertEqual(curve_steps(self.cluster, trial["id"]), list(range(1, 2401)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
