"""mixln-trainer as its agent runs it, alone."""
import copy
import hashlib
import json
import math
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import unittest

from rank import BIN, STEPS, VOCAB, Rank, folder_with_data, trial, wait_until
from ranks_test import start

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench/collapse"))
import judge  # noqa: E402


class TrainerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = folder_with_data(cls, "trainer")
        cls.straight = Rank(cls.shared / "straight", trial(cls.shared, "straight-attempt"))
        cls.code = cls.straight.wait()

    def setUp(self):
        self.folder = self.shared / self.id().rsplit(".", 1)[1]
        self.folder.mkdir()
        shutil.copytree(self.shared / "data", self.folder / "data")
        self.config = trial(self.folder)

    def run_trial(self, config=None, name="rank"):
        rank = Rank(self.folder / name, config or self.config)
        code = rank.wait()
        return code, rank

    def assert_refused(self, exit_code, cause, *words):
        code, rank = self.run_trial()
        self.assertEqual(code, exit_code, rank.log())
        failed = rank.failure()
        self.assertEqual(failed["cause"], cause)
        for word in words:
            self.assertIn(word, failed["message"])
        return rank

    def tensors(self, attempt, step=STEPS):
        """The bytes of a checkpoint's tensors."""
        folder = pathlib.Path(attempt) / "checkpoints" / f"step-{step:09}"
        self.assertTrue((folder / "manifest.json").exists())
        return hashlib.sha256((folder / "rank-00000.safetensors").read_bytes()).hexdigest()

    # The main job.

    def test_learns_and_tells_everything(self):
        rank = self.straight
        self.assertEqual(self.code, 0, rank.log())
        events = rank.events()
        self.assertEqual([int(e["sequence"]) for e in events], list(range(1, len(events) + 1)))
        self.assertEqual(list(rank.losses()), list(range(1, STEPS + 1)))
        self.assertEqual([step for step, _ in rank.of("eval_done")], [100, 200])
        self.assertEqual([step for step, _ in rank.of("checkpoint_done")], list(range(20, STEPS + 1, 20)))
        self.assertIn("finished", events[-1])

        started = rank.of("started")[0][1]
        # Embedding and head, two layers of 4 * 32 * 32 attention, 3 * 32 * 64 MLP and two norms, the final norm.
        self.assertEqual(int(started["parameters"]), 2 * VOCAB * 32 + 2 * (4 * 32 * 32 + 3 * 32 * 64 + 2 * 32) + 32)
        first, last = rank.of("step_done")[0][1], rank.of("step_done")[-1][1]
        self.assertAlmostEqual(first["loss"], math.log(VOCAB), delta=0.05)  # initial weights know nothing
        self.assertEqual(first["lr"], 0)
        self.assertEqual(len(first["layer_gradient_norms"]), 2)
        self.assertEqual(len(first["layer_activation_variances"]), 2)
        self.assertEqual(first["layer_update_ratios"], [0, 0])  # a learning rate of 0 moves nothing
        for ratio in last["layer_update_ratios"]:
            self.assertTrue(0 < ratio < 1, ratio)
        self.assertEqual(int(last["tokens"]), STEPS * 16 * 32)
        self.assertAlmostEqual(last["lr"], 0.002)

        evaluation = rank.of("eval_done")[-1][1]
        self.assertEqual(int(evaluation["tokens"]), 1000)
        self.assertAlmostEqual(evaluation["perplexity"], math.exp(evaluation["loss"]))
        # Nearly all targets stand for two bytes.
        self.assertAlmostEqual(evaluation["bits_per_byte"], evaluation["loss"] / math.log(2) / 2, delta=0.1)
        self.assertGreater(started["unigram_perplexity"], 50)
        self.assertLess(evaluation["perplexity"], started["unigram_perplexity"] / 4)

    def test_padded_reading_counts_real_targets(self):
        self.config["spec"]["data"]["reading"] = "READING_PADDED"
        code, rank = self.run_trial()
        self.assertEqual(code, 0, rank.log())
        tokens = int(rank.of("step_done")[0][1]["tokens"])
        self.assertLess(tokens, 16 * 31)
        self.assertGreater(tokens, 16 * 9)
        self.assertLess(rank.of("eval_done")[-1][1]["perplexity"], rank.of("started")[0][1]["unigram_perplexity"] / 2)

    # Going on.

    def test_killed_and_restarted_in_its_folder_it_repeats_bit_for_bit(self):
        rank = Rank(self.folder / "rank", self.config)
        # Some 400 windows are an epoch, 26 batches of 16: step 40 lies in the middle of the second.
        wait_until(lambda: any(step >= 40 for step, _ in rank.of("checkpoint_done")), "a checkpoint")
        rank.process.kill()
        rank.wait()
        before = rank.losses()
        self.assertLess(max(before), STEPS)
        again = Rank(self.folder / "rank", self.config)
        self.assertEqual(again.wait(), 0, again.log())
        resumed = int(again.of("started")[-1][1]["resume_step"])
        self.assertGreaterEqual(resumed, 40)
        events = again.events()
        self.assertEqual([int(e["sequence"]) for e in events], list(range(1, len(events) + 1)))
        self.assertEqual(again.losses(), self.straight.losses())
        self.assertEqual(before, {s: l for s, l in self.straight.losses().items() if s in before})
        self.assertEqual(again.of("eval_done")[-1], self.straight.of("eval_done")[-1])
        self.assertEqual(self.tensors(self.config["attempt_dir"]), self.tensors(self.shared / "straight-attempt"))

    def test_another_attempt_goes_on_from_a_checkpoint_bit_for_bit(self):
        self.config["resume_from"] = str(self.shared / "straight-attempt/checkpoints/step-000000060")
        code, rank = self.run_trial()
        self.assertEqual(code, 0, rank.log())
        self.assertEqual(rank.losses(), {s: l for s, l in self.straight.losses().items() if s > 60})
        self.assertEqual(self.tensors(self.config["attempt_dir"]), self.tensors(self.shared / "straight-attempt"))

    def test_what_only_some_placements_learn_goes_on_bit_for_bit_too(self):
        for placement in ("ADMIN", "DLCL"):
            straight = trial(self.folder, f"{placement}-straight")
            straight["spec"]["norm"] = {"placement": f"PLACEMENT_{placement}", "alpha": 0, "post_layers": 0,
                                        "layer_placements": 2 * [f"PLACEMENT_{placement}"], "kind": "NORM_KIND_LAYERNORM"}
            straight["spec"]["train"]["steps"] = "40"
            code, rank = self.run_trial(straight, f"{placement}-1")
            self.assertEqual(code, 0, rank.log())
            self.assertEqual("initializing weights from the first global batch" in rank.log(), placement == "ADMIN")
            resumed = dict(straight, attempt_dir=str(self.folder / f"{placement}-resumed"),
                           resume_from=str(self.folder / f"{placement}-straight/checkpoints/step-000000020"))
            code, again = self.run_trial(resumed, f"{placement}-2")
            self.assertEqual(code, 0, again.log())
            self.assertNotIn("initializing weights", again.log())
            self.assertEqual(again.losses(), {s: l for s, l in rank.losses().items() if s > 20})
            self.assertEqual(self.tensors(resumed["attempt_dir"], 40), self.tensors(straight["attempt_dir"], 40))

    def test_a_stop_leaves_a_checkpoint_to_go_on_from(self):
        for stop in (lambda rank: rank.send(b"stop"), lambda rank: rank.process.send_signal(signal.SIGTERM)):
            rank = Rank(self.folder / "rank", self.config)
            seen = len(rank.of("step_done"))
            wait_until(lambda: len(rank.of("step_done")) > seen + 3, "some steps")
            stop(rank)
            self.assertEqual(rank.wait(), 75, rank.log())
            step, done = rank.of("checkpoint_done")[-1]
            self.assertEqual(step, max(rank.losses()))
            self.assertTrue((self.folder / "attempt" / done["path"] / "manifest.json").exists())
            self.assertFalse((rank.folder / "control").exists())
        rank = Rank(self.folder / "rank", self.config)
        self.assertEqual(rank.wait(), 0, rank.log())
        self.assertEqual(rank.losses(), self.straight.losses())

    def test_a_checkpoint_on_request(self):
        self.config["spec"]["checkpoint"]["every_steps"] = "0"
        rank = Rank(self.folder / "rank", self.config)
        wait_until(lambda: rank.of("step_done"), "a step")
        rank.send(b"checkpoint")
        self.assertEqual(rank.wait(), 0, rank.log())
        steps = [step for step, _ in rank.of("checkpoint_done")]
        self.assertEqual(len(steps), 2)
        self.assertLess(steps[0], STEPS)

    # Checkpoints that cannot be used.

    def test_a_corrupted_checkpoint_is_named(self):
        broken = self.folder / "step-000000060"
        shutil.copytree(self.shared / "straight-attempt/checkpoints/step-000000060", broken)
        data = bytearray((broken / "rank-00000.safetensors").read_bytes())
        data[-5] ^= 1
        (broken / "rank-00000.safetensors").write_bytes(data)
        self.config["resume_from"] = str(broken)
        rank = self.assert_refused(74, "FAILURE_CAUSE_IO", str(broken), "is corrupted")
        self.assertEqual([bad for _, bad in rank.of("checkpoint_bad")], [{"path": str(broken)}])

    def test_its_own_older_checkpoint_serves_when_the_newest_is_corrupted(self):
        checkpoints = self.folder / "attempt/checkpoints"
        for step in ("step-000000040", "step-000000060"):
            shutil.copytree(self.shared / "straight-attempt/checkpoints" / step, checkpoints / step)
        os.truncate(checkpoints / "step-000000060/rank-00000.safetensors", 100)
        code, rank = self.run_trial()
        self.assertEqual(code, 0, rank.log())
        self.assertEqual(rank.of("started")[0][1]["resume_step"], "40")
        self.assertIn("step-000000060", rank.log())
        self.assertEqual([bad for _, bad in rank.of("checkpoint_bad")], [{"path": str(checkpoints / "step-000000060")}])
        self.assertEqual(self.tensors(self.config["attempt_dir"]), self.tensors(self.shared / "straight-attempt"))

    def test_its_own_older_checkpoint_serves_when_the_newest_has_a_flipped_bit_in_its_manifest(self):
        checkpoints = self.folder / "attempt/checkpoints"
        for step in ("step-000000040", "step-000000060"):
            shutil.copytree(self.shared / "straight-attempt/checkpoints" / step, checkpoints / step)
        manifest = checkpoints / "step-000000060/manifest.json"
        text = manifest.read_bytes()
        flipped = text.replace(b'"tokens": 30720', b'"tokens": 30721')  # 60 steps of 16 * 32
        self.assertNotEqual(flipped, text)
        manifest.write_bytes(flipped)
        code, rank = self.run_trial()
        self.assertEqual(code, 0, rank.log())
        self.assertEqual(rank.of("started")[0][1]["resume_step"], "40")
        self.assertIn(f"{manifest}: is corrupted: its checksum does not match; trying the checkpoint before it", rank.log())
        self.assertEqual([bad for _, bad in rank.of("checkpoint_bad")], [{"path": str(manifest.parent)}])
        self.assertEqual(self.tensors(self.config["attempt_dir"]), self.tensors(self.shared / "straight-attempt"))

    def test_its_own_checkpoint_that_the_system_does_not_let_read_is_tried_again_and_not_passed_over(self):
        """A disk or network that fails says nothing of a checkpoint. Its own are the newest there are: an older one, or
        none, would throw training away."""
        checkpoints = self.folder / "attempt/checkpoints"
        for step in ("step-000000040", "step-000000060"):
            shutil.copytree(self.shared / "straight-attempt/checkpoints" / step, checkpoints / step)
        for file in ("rank-00000.safetensors", "manifest.json"):
            with self.subTest(file):
                path = checkpoints / "step-000000060" / file
                path.rename(self.folder / "aside")
                path.symlink_to(file)  # to itself
                rank = self.assert_refused(74, "FAILURE_CAUSE_IO", "step-000000060" if file[0] == "r" else str(checkpoints),
                                           "Too many levels of symbolic links")
                self.assertEqual(rank.of("checkpoint_bad") + rank.of("started"), [])
                path.unlink()
                (self.folder / "aside").rename(path)
        code, rank = self.run_trial()
        self.assertEqual(code, 0, rank.log())
        self.assertEqual(rank.of("started")[0][1]["resume_step"], "60")

    def test_a_checkpoint_of_another_placement_is_refused(self):
        self.config["resume_from"] = str(self.shared / "straight-attempt/checkpoints/step-000000060")
        self.config["spec"]["norm"] = {"placement": "PLACEMENT_PRE", "alpha": 0, "post_layers": 0,
                                       "layer_placements": ["PLACEMENT_PRE", "PLACEMENT_PRE"], "kind": "NORM_KIND_RMSNORM"}
        self.assert_refused(64, "FAILURE_CAUSE_BAD_CONFIG",
                            "was trained as mix with 1 post layers of 2; this trial is pre")

    def test_a_checkpoint_of_another_kind_of_norm_is_refused(self):
        self.config["resume_from"] = str(self.shared / "straight-attempt/checkpoints/step-000000060")
        self.config["spec"]["norm"]["kind"] = "NORM_KIND_LAYERNORM"
        self.assert_refused(64, "FAILURE_CAUSE_BAD_CONFIG", "norm.kind is \"NORM_KIND_RMSNORM\" there")

    # Bad input.

    def test_bad_configurations_are_refused_in_words(self):
        good = copy.deepcopy(self.config)

        def change(path, value):
            self.config = copy.deepcopy(good)
            at = self.config
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = value

        for path, value, words in [
                (("spec", "train", "learning_rate"), 1, "spec.train.learning_rate: is unknown"),
                (("spec", "model", "heads"), 3, "spec.model.heads: is 3, but must divide hidden_size 32"),
                (("spec", "norm", "alpha"), "half", "spec.norm.alpha: is \"half\""),
                (("spec", "model", "vocab_size"), 65, "spec.model.vocab_size: is 65, but the data set"),
                (("world_size",), 0, "world_size: is 0, but must be above 0"),
                (("spec", "norm", "layer_placements"), ["PLACEMENT_PRE", "PLACEMENT_DLCL"],
                 "spec: placement dlcl is one of the whole model, not of 1 of 2 layers"),
                (("gpu",), 0, "gpu: is 0")]:
            with self.subTest(words):
                change(path, value)
                self.assert_refused(64, "FAILURE_CAUSE_BAD_CONFIG", words)

    def test_too_little_data_is_refused_in_words(self):
        self.config["spec"]["train"]["batch"] = {"sequences": 5000, "micro_sequences": 0}
        self.assert_refused(65, "FAILURE_CAUSE_DATA_ERROR", "fewer than one batch of 5000", "documents")

    def test_a_model_that_the_system_does_not_let_read_may_be_read_later(self):
        model = self.folder / "model"
        model.mkdir()
        spec = self.config["spec"]
        config = {"model_type": "mixln", "vocab_size": VOCAB, "num_hidden_layers": 2, "num_attention_heads": 2,
                  "max_position_embeddings": 32, "rms_norm_eps": 1e-6, "rope_theta": 10000, "norm_kind": "rmsnorm",
                  "layer_placements": ["post", "pre"], **{key: spec["model"][key] for key in ("hidden_size", "intermediate_size")}}
        (model / "config.json").write_text(json.dumps(config))
        spec["init"]["from"] = str(model)
        self.assert_refused(65, "FAILURE_CAUSE_DATA_ERROR", f"{model}/model.safetensors: cannot be read: No such file")
        for file in ("model.safetensors", "model.safetensors.index.json", "config.json"):  # the last read first
            with self.subTest(file):
                (model / file).unlink(missing_ok=True)
                (model / file).symlink_to(file)  # to itself
                self.assert_refused(74, "FAILURE_CAUSE_IO", f"{model}/{file}: ", "Too many levels of symbolic links")

    def test_too_little_memory_is_said_before_any_is_taken(self):
        layers = 200  # of 4 * 32768^2 + 3 * 32768 * 131072 weights: 54 TB in fp32
        self.config["spec"]["model"].update(hidden_size=32768, intermediate_size=131072, layers=layers)
        self.config["spec"]["norm"].update(post_layers=0, layer_placements=["PLACEMENT_PRE"] * layers)
        self.assert_refused(71, "FAILURE_CAUSE_OUT_OF_MEMORY", "the trial needs at least 963", "(54975.6 GB for parameters, gradients and optimizer, 41231.7 GB for the copy that checkpoints are written from, ", " are available: lower ")
        # Two ranks of one host hear of each other's need, and say the same.
        ranks = start(self.folder / "two", self.config, 2)
        self.assertEqual([rank.wait() for rank in ranks], [71, 71], "\n".join(rank.log() for rank in ranks))
        said = [rank.of("failed")[-1][1]["message"] for rank in ranks]
        self.assertIn(" on the host for its 2 ranks there (", said[0])
        self.assertEqual(said[1], said[0])

    def test_promise_9_a_run_that_diverges_is_a_result(self):
        self.config["spec"]["train"].update(lr=1e30, clip_norm=0, warmup_steps="1", weight_decay=0)
        self.config["spec"]["norm"] = {"placement": "PLACEMENT_PRE", "alpha": 0, "post_layers": 0,
                                       "layer_placements": ["PLACEMENT_PRE", "PLACEMENT_PRE"], "kind": "NORM_KIND_RMSNORM"}
        code, rank = self.run_trial()
        self.assertEqual(code, 76, rank.log())
        self.assertEqual(rank.of("failed")[-1][1]["cause"], "FAILURE_CAUSE_DIVERGED")
        self.assertIn("step_done", rank.events()[-2])  # the evidence

    def collapse(self, steps):
        """A deep Post-LN at a learning rate that it cannot stand."""
        layers = 12
        self.config["spec"]["model"].update(layers=layers)
        self.config["spec"]["norm"] = {"placement": "PLACEMENT_POST", "alpha": 0, "post_layers": layers,
                                       "layer_placements": ["PLACEMENT_POST"] * layers, "kind": "NORM_KIND_RMSNORM"}
        self.config["spec"]["train"].update(steps=str(steps), lr=0.1, clip_norm=0, weight_decay=0)
        self.config["spec"]["checkpoint"]["every_steps"] = "13"

    def test_promise_9_a_run_that_collapses_is_a_result_and_one_that_goes_on_judges_alike(self):
        steps = 2000
        self.collapse(steps)
        code, rank = self.run_trial()
        self.assertEqual(code, 76, rank.log())
        failed = rank.of("failed")[-1]
        self.assertEqual(failed[1]["cause"], "FAILURE_CAUSE_DIVERGED")
        self.assertIn("the model has collapsed and ignores its input", failed[1]["message"])
        done = [step for _, step in rank.of("step_done")]
        self.assertAlmostEqual(done[-1]["loss"], done[-1]["unigram_loss"], delta=0.15)
        # Within a tenth of the run from the step on which it knows nothing but frequencies.
        entropy = judge.entropy(self.folder / "data/unigram.u64")
        warmup = int(self.config["spec"]["train"]["warmup_steps"])
        collapsed = judge.collapsed_at([step["loss"] for step in done], steps // 50, entropy, warmup)
        self.assertLessEqual(failed[0] - collapsed, steps // 10)
        # The same from its checkpoint: it is found at the same step, with the same words.
        self.config["resume_from"] = str(self.folder / "attempt/checkpoints/step-000000104")
        self.config["attempt_dir"] = str(self.folder / "again")
        code, resumed = self.run_trial(name="resumed")
        self.assertEqual(code, 76, resumed.log())
        self.assertEqual(resumed.of("started")[0][1]["resume_step"], "104")
        self.assertEqual(resumed.of("failed"), [failed])

    def test_a_collapse_is_let_be_where_it_is_asked_for(self):
        self.collapse(steps=60)
        self.config["spec"]["limits"]["detect_collapse"] = False
        code, rank = self.run_trial()
        self.assertEqual(code, 0, rank.log())

    def test_arguments(self):
        version = subprocess.run([BIN / "mixln-trainer", "--version"], capture_output=True, text=True, check=True)
        self.assertTrue(version.stdout.startswith("mixln-trainer "))
        self.assertEqual(subprocess.run([BIN / "mixln-trainer"], capture_output=True).returncode, 64)
        missing = subprocess.run([BIN / "mixln-trainer", "none.json"], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(missing.returncode, 64)
        self.assertIn("none.json: cannot be read", missing.stderr)


if __name__ == "__main__":
    unittest.main()
