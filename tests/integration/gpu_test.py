"""A trial on a GPU as its agent runs it: the trainer with the plugin for GPUs, which here computes over an emulator
(tests/emulated_gpu), and what it says where there is no GPU that it can use."""
import json
import os
import pathlib
import shutil
import tempfile
import unittest

from rank import Rank, trial, write_dataset

PLUGIN = os.environ["MIXLN_EMULATED_PLUGIN"]
STEPS = 4


class GpuTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mixln-gpu-"))
        self.addCleanup(shutil.rmtree, self.folder)
        write_dataset(self.folder / "data")
        os.environ["MIXLN_GPU_PLUGIN"] = PLUGIN
        os.environ["MIXLN_EMULATED_GPU"] = ""

    def small(self, attempt, gpu):
        """Few tokens: the emulator switches threads by hand."""
        config = trial(self.folder, attempt)
        config["gpu"] = gpu
        spec = config["spec"]
        spec["model"].update(hidden_size=16, intermediate_size=24)
        spec["data"]["context"] = 8
        spec["train"].update(steps=str(STEPS), batch={"sequences": 4, "micro_sequences": 2}, warmup_steps="1")
        spec["eval"] = {"every_steps": "2", "tokens": "40"}
        spec["checkpoint"]["every_steps"] = "2"
        return config

    def run_trial(self, config, name):
        rank = Rank(self.folder / name, config)
        return rank.wait(), rank

    def manifest(self, attempt, step=STEPS):
        return json.loads((self.folder / attempt / "checkpoints" / f"step-{step:09}" / "manifest.json").read_text())

    def test_trains_as_on_the_cpu_and_its_checkpoints_go_on_there(self):
        code, cpu = self.run_trial(self.small("cpu", -1), "on-cpu")
        self.assertEqual(code, 0, cpu.log())
        code, gpu = self.run_trial(self.small("gpu", 0), "on-gpu")
        self.assertEqual(code, 0, gpu.log())
        self.assertIn("Emulated (sm_90)", gpu.log())
        self.assertEqual(list(gpu.losses()), list(range(1, STEPS + 1)))
        for step, loss in cpu.losses().items():
            self.assertAlmostEqual(gpu.losses()[step] / loss, 1, delta=1e-5)
        for (step, ours), (_, theirs) in zip(gpu.of("eval_done"), cpu.of("eval_done"), strict=True):
            self.assertAlmostEqual(ours["loss"] / theirs["loss"], 1, delta=1e-5, msg=f"step {step}")
        written = self.manifest("gpu")
        self.assertEqual((written["device"], written["instruction_set"]), ("cuda", "sm_90"))

        # From the GPU's step 2 on the CPU: what changed is said.
        config = self.small("moved", -1)
        config["resume_from"] = str(self.folder / "gpu" / "checkpoints" / f"step-{2:09}")
        code, moved = self.run_trial(config, "moved-rank")
        self.assertEqual(code, 0, moved.log())
        self.assertIn("cuda", moved.log())
        self.assertEqual(list(moved.losses()), [3, 4])
        self.assertAlmostEqual(moved.losses()[4] / cpu.losses()[4], 1, delta=1e-5)

    def test_says_why_it_cannot_train_on_a_gpu(self):
        for plugin, machine, words in [("/nowhere/libmixln_cuda.so", "", "this build has no kernels for GPUs"),
                                       (PLUGIN, "none", "this machine has no GPU"),
                                       (PLUGIN, "old driver", "driver is too old")]:
            with self.subTest(words):
                os.environ["MIXLN_GPU_PLUGIN"], os.environ["MIXLN_EMULATED_GPU"] = plugin, machine
                code, rank = self.run_trial(self.small("refused", 0), "refused-" + machine.replace(" ", "-"))
                self.assertEqual(code, 64, rank.log())
                failed = rank.of("failed")[-1][1]
                self.assertEqual(failed["cause"], "FAILURE_CAUSE_BAD_CONFIG")
                self.assertIn(words, failed["message"])
                self.assertIn("gpu: is 0, but ", failed["message"])
                self.assertNotIn("\n", failed["message"])


if __name__ == "__main__":
    unittest.main()
