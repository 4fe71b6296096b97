"""What a trial tells of an evaluation, against the same by hand: the validation documents are cut here, and the exported model reads
them in transformers."""
import array
import itertools
import math
import struct
import unittest

from export_test import export, load  # first: it says where transformers may write
import torch

from rank import Rank, folder_with_data, trial
from ranks_test import start

CONTEXT, TARGETS = 32, 1000  # of rank.trial
EOS = 1


def documents_of(shard):
    """docs/rank-contract.md, "Prepared data"."""
    data = shard.read_bytes()
    tokens, documents = struct.unpack("<QQ", data[16:32])
    stream = array.array("H", data[64:64 + 2 * tokens])
    offsets = array.array("Q", data[-8 * (documents + 1):])
    return [stream[begin:end].tolist() for begin, end in itertools.pairwise(offsets)]


def packed(documents):
    """Windows that share a token, which is a target in one and an input in the next."""
    stream = list(itertools.chain(*documents))
    return [stream[begin:begin + CONTEXT + 1] for begin in range(0, len(stream) - 1, CONTEXT)]


def padded(documents):
    return [document[:CONTEXT] for document in documents]


def cut_to(rows, targets):
    for row in rows:
        if targets > 0:
            yield row[:targets + 1]
        targets -= len(row) - 1


class Perplexity(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = folder_with_data(cls, "perplexity")

    def check(self, reading, rows_of, world_size=1):
        name = f"{reading}-{world_size}"
        config = trial(self.folder, name)
        config["spec"]["data"]["reading"] = reading
        config["spec"]["train"]["steps"] = "40"
        ranks = start(self.folder / f"{name}-ranks", config, world_size) if world_size > 1 else [Rank(self.folder / f"{name}-rank", config)]
        self.assertEqual([rank.wait() for rank in ranks], [0] * world_size, "".join(rank.log() for rank in ranks))
        done = export(self.folder / name / "checkpoints/step-000000040", self.folder / f"{name}-model")
        self.assertEqual(done.returncode, 0, done.stderr)
        model = load(self.folder / f"{name}-model")

        documents = documents_of(self.folder / "data/validation-00000.tokens")
        rows = list(cut_to(rows_of(documents), TARGETS))
        self.assertEqual(sum(len(row) - 1 for row in rows), TARGETS)
        total = 0.0
        for row in rows:
            with torch.no_grad():
                logits = model(torch.tensor([row[:-1]])).logits[0].double()
            total += torch.nn.functional.cross_entropy(logits, torch.tensor(row[1:]), reduction="sum").item()
        text_bytes = sum(2 for row in rows for token in row[1:] if token != EOS)

        evaluation = ranks[0].of("eval_done")[-1][1]
        self.assertEqual(int(evaluation["tokens"]), TARGETS)
        self.assertAlmostEqual(evaluation["loss"] / (total / TARGETS), 1, delta=1e-5)
        self.assertAlmostEqual(evaluation["perplexity"] / math.exp(total / TARGETS), 1, delta=1e-5)
        self.assertAlmostEqual(evaluation["bits_per_byte"] / (total / math.log(2) / text_bytes), 1, delta=1e-5)

    def test_packed(self):
        self.check("READING_PACKED", packed)

    def test_padded(self):
        self.check("READING_PADDED", padded)

    def test_packed_by_two_ranks(self):
        self.check("READING_PACKED", packed, 2)


if __name__ == "__main__":
    unittest.main()
