"""Promise 6: a crash at any point of a checkpoint leaves the last one whole. The process is killed before every single write,
fsync, rename and folder of a checkpoint, by fail-points, and then goes on bit for bit from what is there.

usage: checkpoint_crash_test.py [--all]
"""
import copy
import itertools
import sys
import time
import unittest

from rank import Rank, folder_with_data, trial
from ranks_test import PEER_LOST_SECONDS, start

STEPS = 3
WRITES = 6  # of the many writes of two ranks, each so manieth kills one; with --all, every one
ALL = "--all" in sys.argv
POINTS = ("file.make folder", "file.make", "file.write", "file.sync", "file.rename", "file.open folder")


def small(folder, attempt):
    """Three steps of two micro-batches, a checkpoint after each."""
    config = trial(folder, attempt)
    config["spec"]["model"].update(hidden_size=8, intermediate_size=8, layers=1)
    config["spec"]["norm"].update(alpha=1, layer_placements=["PLACEMENT_POST"])
    config["spec"]["train"].update(steps=str(STEPS), batch={"sequences": 4, "micro_sequences": 2}, warmup_steps="0")
    config["spec"]["eval"].update(every_steps="0", tokens="40")
    config["spec"]["checkpoint"]["every_steps"] = "1"
    return config


class CheckpointCrash(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = folder_with_data(cls, "crash")
        cls.straight = Rank(cls.folder / "straight", small(cls.folder, "straight-attempt"))
        assert cls.straight.wait() == 0, cls.straight.log()
        cls.final = cls.tensors("straight-attempt")

    @classmethod
    def tensors(cls, attempt):
        folder = cls.folder / attempt / f"checkpoints/step-{STEPS:09}"
        return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}

    def complete(self, attempt):
        return {path.parent.name for path in (self.folder / attempt).glob("checkpoints/step-*/manifest.json")}

    def test_promise_6_killed_before_every_call_of_a_save_the_last_checkpoint_is_whole(self):
        kills = 0
        for point in POINTS:
            for hit in itertools.count(1):
                name = f"{point.replace(' ', '-')}-{hit}"
                config = small(self.folder, f"{name}-attempt")
                rank = Rank(self.folder / name, config, f"{point}@step-000000002:{hit}=kill")
                if rank.wait() == 0:
                    break  # the save has no more such calls
                self.assertEqual(rank.wait(), -9, rank.log())
                kills += 1
                complete = self.complete(f"{name}-attempt")
                self.assertIn("step-000000001", complete)
                again = Rank(self.folder / name, copy.deepcopy(config))
                self.assertEqual(again.wait(), 0, again.log())
                self.assertGreaterEqual(int(again.of("started")[-1][1]["resume_step"]), 1)
                self.assertEqual(again.losses(), self.straight.losses())
                self.assertEqual(self.tensors(f"{name}-attempt"), self.final)
            self.assertGreater(hit, 1, f"no call was {point}")
        # A header, 12 parameters with two moments each, a manifest; each file made, synced and renamed; two folders.
        self.assertGreaterEqual(kills, 1 + 36 + 1 + 3 * 2 + 2)

    def test_promise_6_killed_between_micro_batches_it_goes_on_bit_for_bit(self):
        for hit in (4, 5, 6):  # the second micro-batch of step 2, and both of step 3
            config = small(self.folder, f"micro-{hit}-attempt")
            rank = Rank(self.folder / f"micro-{hit}", config, f"trainer.micro_batch:{hit}=kill")
            self.assertEqual(rank.wait(), -9, rank.log())
            again = Rank(self.folder / f"micro-{hit}", config)
            self.assertEqual(again.wait(), 0, again.log())
            self.assertEqual(again.losses(), self.straight.losses())
            self.assertEqual(self.tensors(f"micro-{hit}-attempt"), self.final)

    def test_promise_6_one_of_two_ranks_killed_in_a_save_leaves_the_last_checkpoint(self):
        straight = start(self.folder / "two-straight", small(self.folder, "two-straight-attempt"), 2)
        self.assertEqual([rank.wait() for rank in straight], [0, 0])
        for victim, point in itertools.product((0, 1), POINTS):
            every = WRITES if point == "file.write" and not ALL else 1
            for hit in itertools.count(1, every):
                name = f"two-{victim}-{point.replace(' ', '-')}-{hit}"
                config = small(self.folder, f"{name}-attempt")
                ranks = start(self.folder / name, config, 2, failpoints={victim: f"{point}@step-000000002:{hit}=kill"})
                if ranks[victim].wait() == 0:
                    self.assertEqual(ranks[1 - victim].wait(), 0)
                    break  # the save has no more such calls
                died = time.monotonic()
                ended = {rank: ranks[rank].wait() for rank in (0, 1)}
                self.assertLess(time.monotonic() - died, PEER_LOST_SECONDS, name)
                self.assertEqual(ended, {victim: -9, 1 - victim: 72}, "".join(rank.log() for rank in ranks))
                self.assertIn("step-000000001", self.complete(f"{name}-attempt"))
                again = start(self.folder / name, config, 2)
                self.assertEqual([rank.wait() for rank in again], [0, 0], "".join(rank.log() for rank in again))
                self.assertEqual(again[0].losses(), straight[0].losses(), name)
                self.assertEqual(self.tensors(f"{name}-attempt"), self.tensors("two-straight-attempt"), name)
            if point != "file.make folder":  # the one that comes first makes it
                self.assertGreater(hit, 1, f"no call of rank {victim} was {point}")


if __name__ == "__main__":
    unittest.main(argv=[argument for argument in sys.argv if argument != "--all"])
