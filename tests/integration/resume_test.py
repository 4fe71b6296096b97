"""Promise 5: a resumed run equals an uninterrupted one, bit for bit. A rank dies by kill -9 between two micro-batches of one
update, in the middle of an epoch; all are started again and go on from the last checkpoint."""
import copy
import json
import unittest

from rank import STEPS, Rank, folder_with_data, trial
from ranks_test import start

EVERY = 20        # steps from checkpoint to checkpoint
ROWS, AT_ONCE = 16, 4
KILLED_AT = 51    # some 400 windows are an epoch, 26 batches of 16: the middle of the second


class Resume(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = folder_with_data(cls, "resume")

    def config(self, attempt, precision, threads):
        config = dict(trial(self.folder, attempt), threads=threads)
        config["spec"]["train"].update(precision=precision, batch={"sequences": ROWS, "micro_sequences": AT_ONCE})
        config["spec"]["checkpoint"]["every_steps"] = str(EVERY)
        return config

    def start(self, name, config, world_size, failpoints=None):
        if world_size > 1:
            return start(self.folder / name, config, world_size, failpoints)
        return [Rank(self.folder / name / "rank-0", config, (failpoints or {}).get(0))]

    def wait(self, ranks, *codes):
        self.assertEqual([rank.wait() for rank in ranks], list(codes), "\n".join(rank.log() for rank in ranks))

    def files(self, attempt):
        folder = self.folder / attempt / f"checkpoints/step-{STEPS:09}"
        self.assertTrue((folder / "manifest.json").exists())
        return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}

    def repeat(self, world_size, precision, threads=1):
        name = f"{world_size}-{precision}-{threads}"
        straight = self.start(f"{name}-straight", self.config(f"{name}-s", precision, threads), world_size)
        self.wait(straight, *[0] * world_size)
        config = self.config(f"{name}-k", precision, threads)
        micro_batches = ROWS // AT_ONCE // world_size
        self.assertGreater(micro_batches, 1)
        last = world_size - 1
        hit = micro_batches * (KILLED_AT - 1) + 2  # one of this update is done
        ranks = self.start(name, copy.deepcopy(config), world_size, {last: f"trainer.micro_batch:{hit}=kill"})
        self.wait(ranks, *[72] * last, -9)
        self.assertLess(max(ranks[0].losses()), KILLED_AT)
        again = self.start(name, config, world_size)
        self.wait(again, *[0] * world_size)
        # The save of the last checkpoint but one may have been cut off with the rank.
        resumed = int(again[0].of("started")[-1][1]["resume_step"])
        self.assertIn(resumed, (KILLED_AT // EVERY * EVERY, KILLED_AT // EVERY * EVERY - EVERY))
        manifest = json.loads((self.folder / f"{name}-k/checkpoints/step-{resumed:09}/manifest.json").read_text())
        self.assertEqual(manifest["threads"], threads)
        self.assertGreater(manifest["data"]["offset"], 0)
        self.assertLess(manifest["data"]["offset"], manifest["data"]["windows"] - ROWS)  # the middle of an epoch
        self.assertEqual(again[0].losses(), straight[0].losses())
        self.assertEqual(again[0].of("eval_done")[-1], straight[0].of("eval_done")[-1])
        self.assertEqual(self.files(f"{name}-k"), self.files(f"{name}-s"))

    def test_promise_5_one_rank_fp32(self):
        self.repeat(1, "PRECISION_FP32")

    def test_promise_5_one_rank_bf16(self):
        self.repeat(1, "PRECISION_BF16")

    def test_promise_5_one_rank_on_two_threads(self):
        self.repeat(1, "PRECISION_BF16", threads=2)

    def test_promise_5_two_ranks_fp32(self):
        self.repeat(2, "PRECISION_FP32")

    def test_promise_5_two_ranks_bf16(self):
        self.repeat(2, "PRECISION_BF16")


if __name__ == "__main__":
    unittest.main()
