"""Data sets that cannot be trained on, or not now, given to the real program: refused in one sentence that names the file."""
import os
import pathlib
import struct
import tempfile
import unittest

from rank import VOCAB, Rank, trial, write_dataset


def outside(path):
    """A token that the vocabulary has not."""
    with open(path, "r+b") as shard:
        shard.seek(64 + 2 * 100)  # behind the header: docs/rank-contract.md, "Prepared data"
        shard.write(struct.pack("<H", VOCAB))


def cut(path):
    os.truncate(path, path.stat().st_size - 8)


def unreadable(path):
    """What the system refuses to open, whoever asks, as a network does that is gone for now: a link to itself."""
    path.unlink()
    path.symlink_to(path.name)


FILES = ("dataset.json", "train-00000.tokens", "validation-00000.tokens", "unigram.u64", "token_bytes.u16")


class BadData(unittest.TestCase):
    def check(self, damage, file, exit_code, cause, words):
        """A trial whose data has one damaged file."""
        with self.subTest(file, damage=damage.__name__), tempfile.TemporaryDirectory(prefix="mixln-bad-data-") as name:
            folder = pathlib.Path(name)
            write_dataset(folder / "data")
            damage(folder / "data" / file)
            rank = Rank(folder / "rank", trial(folder))
            self.assertEqual(rank.wait(), exit_code, rank.log())
            failed = rank.failure()
            self.assertEqual(failed["cause"], cause)
            self.assertIn(f"{folder}/data/{file}{words}", failed["message"])

    def test_a_token_outside_of_the_vocabulary_is_refused_with_its_place(self):
        for file in ("train-00001.tokens", "validation-00000.tokens"):
            self.check(outside, file, 65, "FAILURE_CAUSE_DATA_ERROR", f": token 100 is {VOCAB}, but the vocabulary has {VOCAB}")

    def test_a_file_that_is_cut_or_gone_is_refused_with_its_name(self):
        for file in FILES:
            for damage in (cut, os.unlink):
                self.check(damage, file, 65, "FAILURE_CAUSE_DATA_ERROR", "")

    def test_a_file_that_the_system_does_not_let_read_may_be_read_later(self):
        for file in FILES:
            self.check(unreadable, file, 74, "FAILURE_CAUSE_IO", ": Too many levels of symbolic links")


if __name__ == "__main__":
    unittest.main()
