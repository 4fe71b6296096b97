"""Checkpoints that a trial cannot go on from, given to the real program: of another model with checksums that hold, and not what
was written. Each is refused with the tensor or the file."""
import json
import os
import shutil
import unittest

import numpy as np
import safetensors.numpy
import xxhash

from rank import Rank, folder_with_data, trial, write_manifest
from ranks_test import start

NORM = "model.layers.1.input_layernorm.weight"
MATRIX = "model.layers.1.mlp.down_proj.weight"
STEP = 10


def rewrite(checkpoint, edit):
    """Writes a checkpoint's files again with checksums that hold, after edit(parts): of each file, the entries of the manifest by
    name, each with its "values"."""
    path = checkpoint / "manifest.json"
    manifest = json.loads(path.read_text())
    for file in manifest["files"]:
        data = (checkpoint / file["file"]).read_bytes()
        parts = {t["name"]: dict(t, values=np.frombuffer(data, np.float32, t["elements"], t["offset_bytes"]).copy())
                 for t in file["tensors"]}
        edit(parts)
        data = safetensors.numpy.save({name: part["values"] for name, part in parts.items()})
        begin = 8 + int.from_bytes(data[:8], "little")
        places = json.loads(data[8:begin])
        file["tensors"] = []
        for name, part in parts.items():
            first, last = places[name]["data_offsets"]
            file["tensors"].append({"name": name, "shape": part["shape"], "begin": part["begin"], "elements": len(part["values"]),
                                    "offset_bytes": begin + first, "xxh3_64": xxhash.xxh3_64_hexdigest(data[begin + first:begin + last])})
        file.update(size_bytes=len(data), xxh3_64=xxhash.xxh3_64_hexdigest(data))
        (checkpoint / file["file"]).write_bytes(data)
    write_manifest(path, manifest)


def poison(parts):
    """One number of a matrix that is none; of several ranks, on the one that owns it."""
    if MATRIX in parts and parts[MATRIX]["begin"] <= 700 < parts[MATRIX]["begin"] + len(parts[MATRIX]["values"]):
        parts[MATRIX]["values"][700 - parts[MATRIX]["begin"]] = np.nan


def flip(checkpoint, name):
    """One bit in the middle of a tensor."""
    [file] = json.loads((checkpoint / "manifest.json").read_text())["files"]
    [tensor] = [t for t in file["tensors"] if t["name"] == name]
    with open(checkpoint / file["file"], "r+b") as data:
        data.seek(tensor["offset_bytes"] + 2 * tensor["elements"])
        byte = data.read(1)[0]
        data.seek(-1, os.SEEK_CUR)
        data.write(bytes([byte ^ 4]))


class BadCheckpoint(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = folder_with_data(cls, "bad-checkpoint")
        for world_size in (1, 2):
            ranks = cls.run_ranks(f"good-{world_size}", world_size)
            assert [rank.wait() for rank in ranks] == [0] * world_size, "".join(rank.log() for rank in ranks)

    @classmethod
    def run_ranks(cls, name, world_size, resume_from=""):
        config = trial(cls.folder, f"{name}-attempt")
        config["spec"]["train"]["steps"] = str(2 * STEP)
        config["spec"]["checkpoint"]["every_steps"] = str(STEP)
        config["resume_from"] = str(resume_from)
        return start(cls.folder / name, config, world_size) if world_size > 1 else [Rank(cls.folder / name, config)]

    def copy(self, name, world_size=1):
        return shutil.copytree(self.folder / f"good-{world_size}-attempt/checkpoints/step-{STEP:09}", self.folder / f"{name}-checkpoint")

    def check(self, name, checkpoint, exit_code, *words):
        [rank] = self.run_ranks(name, 1, checkpoint)
        self.assertEqual(rank.wait(), exit_code, rank.log())
        self.check_words(rank, checkpoint, exit_code, *words)

    def check_words(self, rank, checkpoint, exit_code, *words):
        failed = rank.failure()
        self.assertEqual(failed["cause"], {64: "FAILURE_CAUSE_BAD_CONFIG", 74: "FAILURE_CAUSE_IO"}[exit_code])
        for word in (str(checkpoint), *words):
            self.assertIn(word, failed["message"])
        # One of another model is whole; what is not is never tried again.
        self.assertEqual([bad for _, bad in rank.of("checkpoint_bad")], [{"path": str(checkpoint)}] if exit_code == 74 else [])
        self.assertEqual(rank.losses(), {})

    def test_every_bad_checkpoint_is_refused_with_the_tensor(self):
        def cut(parts):
            parts[NORM].update(shape=[31], values=parts[NORM]["values"][:31])

        def extra(parts):
            parts["model.extra.weight"] = dict(parts[NORM])

        # It is what is edited that makes them bad.
        rewritten = self.copy("rewritten")
        rewrite(rewritten, lambda parts: None)
        [rank] = self.run_ranks("rewritten", 1, rewritten)
        self.assertEqual(rank.wait(), 0, rank.log())
        self.assertEqual(min(rank.losses()), STEP + 1)

        for name, edit, exit_code, words in [
                ("shape", cut, 64, f"{NORM} has shape [31] there and [32] here"),
                ("missing", lambda parts: parts.pop(NORM), 64, f"has 0 of 32 elements of {NORM}"),
                ("extra", extra, 64, "has a tensor model.extra.weight that this trial's model has not"),
                ("nan", poison, 74, f"{MATRIX} has elements that are no finite numbers")]:
            with self.subTest(name):
                checkpoint = self.copy(name)
                rewrite(checkpoint, edit)
                self.check(name, checkpoint, exit_code, words)

    def test_one_that_is_not_what_was_written_is_refused_with_the_file_and_told(self):
        truncated = self.copy("truncated")
        size = (truncated / "rank-00000.safetensors").stat().st_size
        os.truncate(truncated / "rank-00000.safetensors", size - 4)
        self.check("truncated", truncated, 74, "rank-00000.safetensors: is corrupted", f"it has {size - 4} bytes, not {size}")
        for name in (NORM, f"exp_avg/{MATRIX}"):
            with self.subTest(name):
                case = "flipped-" + name.replace("/", "-")
                flipped = self.copy(case)
                flip(flipped, name)
                self.check(case, flipped, 74, f"rank-00000.safetensors: is corrupted: the checksum of {name} does not match")

    def test_any_of_two_ranks_refuses_it(self):
        checkpoint = self.copy("two", world_size=2)
        rewrite(checkpoint, poison)
        ranks = self.run_ranks("two", 2, checkpoint)
        codes = [rank.wait() for rank in ranks]
        # The one that looks first may be gone before the other has joined it.
        self.assertIn(sorted(codes), ([72, 74], [74, 74]), "".join(rank.log() for rank in ranks))
        for rank, code in zip(ranks, codes):
            if code == 74:
                self.check_words(rank, checkpoint, 74, f"{MATRIX} has elements that are no finite numbers")


if __name__ == "__main__":
    unittest.main()
