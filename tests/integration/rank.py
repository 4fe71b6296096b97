"""A rank as its agent runs it: one mixln-trainer in a folder of its own, with a trial.json, over shards written here by hand."""
import array
import json
import os
import pathlib
import random
import shutil
import socket
import struct
import subprocess
import tempfile
import time

import xxhash

BIN = pathlib.Path(os.environ["MIXLN_BIN"])
DEADLINE_SECONDS = 120  # for anything that should take a few seconds
VOCAB = 64
STEPS = 200  # enough that a test which kills a rank in the middle finds it there


def wait_until(condition, what):
    """Returns the condition's first true value; fails after the deadline."""
    end = time.monotonic() + DEADLINE_SECONDS
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {DEADLINE_SECONDS} s in vain for {what}; last: {value!r}")
        time.sleep(0.002)  # between two looks, not for an event


def write_shard(path, documents):
    """docs/rank-contract.md, "Prepared data"; returns its entry in dataset.json."""
    tokens = array.array("H", [t for d in documents for t in d])
    offsets = array.array("Q", [0])
    for document in documents:
        offsets.append(offsets[-1] + len(document))
    body = tokens.tobytes()
    path.write_bytes(b"MIXLNTOK" + struct.pack("<IIQQ", 1, 2, len(tokens), len(documents)) + bytes(32)
                     + body + bytes(-len(body) % 8) + offsets.tobytes())
    return {"file": path.name, "tokens": len(tokens), "documents": len(documents), "xxh3_64": "0" * 16}


def write_dataset(folder):
    """A language with little to learn: nine times of ten a token decides its successor, and all are equally frequent."""
    rng = random.Random(7)
    folder.mkdir(parents=True)

    def documents(count):
        result = []
        for _ in range(count):
            token, document = rng.randrange(3, VOCAB), []
            for _ in range(rng.randrange(10, 60)):
                document.append(token)
                token = 3 + (token * 7 + 1) % (VOCAB - 3) if rng.random() < 0.9 else rng.randrange(3, VOCAB)
            result.append(document + [1])
        return result

    train, validation = documents(400), documents(40)
    unigram = [0] * VOCAB
    for token in (t for d in train for t in d):
        unigram[token] += 1

    def split(shards):
        return {"tokens": sum(s["tokens"] for s in shards), "documents": sum(s["documents"] for s in shards),
                "text_bytes": 2 * sum(s["tokens"] for s in shards), "shards": shards}

    dataset = {
        "format_version": 1, "vocab_size": VOCAB, "pad_id": 0, "eos_id": 1, "unk_id": 2, "duplicates_removed": 0,
        "invalid_utf8_replaced": 0, "sources": [],
        "train": split([write_shard(folder / "train-00000.tokens", train[:150]),
                        write_shard(folder / "train-00001.tokens", train[150:])]),
        "validation": split([write_shard(folder / "validation-00000.tokens", validation)]),
    }
    (folder / "dataset.json").write_text(json.dumps(dataset))
    (folder / "unigram.u64").write_bytes(array.array("Q", unigram).tobytes())
    (folder / "token_bytes.u16").write_bytes(array.array("H", [0, 0] + [2] * (VOCAB - 2)).tobytes())


def folder_with_data(tests, name):
    """A folder with a data set in data/, for all tests of a class, which removes it when it is done."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"mixln-{name}-"))
    tests.addClassCleanup(shutil.rmtree, folder)
    write_dataset(folder / "data")
    return folder


def trial(folder, attempt="attempt"):
    """A trial.json's content: mix with one post layer of two, fp32."""
    return {
        "trial_id": "t-0", "fence": {"term": "1", "epoch": "1"}, "rank": 0, "world_size": 1, "rendezvous": "",
        "spec": {
            "model": {"preset": "", "vocab_size": 0, "hidden_size": 32, "intermediate_size": 64, "layers": 2, "heads": 2,
                      "kv_heads": 0, "rope_theta": 10000, "norm_eps": 1e-6, "tie_embeddings": False},
            "norm": {"placement": "PLACEMENT_MIX", "alpha": 0.5, "post_layers": 1,
                     "layer_placements": ["PLACEMENT_POST", "PLACEMENT_PRE"], "kind": "NORM_KIND_RMSNORM"},
            "init": {"std": 0.02, "embedding_std": 0.02, "scaled": False, "from": ""},
            "data": {"source": [], "tokenizer": {"model": ""}, "reading": "READING_PACKED", "context": 32,
                     "validation_fraction": 0.1, "split": "DOCUMENT_SPLIT_LINE"},
            "train": {"steps": str(STEPS), "batch": {"sequences": 16, "micro_sequences": 8}, "lr": 0.02, "warmup_steps": "5",
                      "schedule": "SCHEDULE_COSINE", "min_lr_ratio": 0.1, "decay_share": 0.1, "beta1": 0.9, "beta2": 0.999,
                      "adam_eps": 1e-8, "weight_decay": 0.01, "clip_norm": 1.0, "precision": "PRECISION_FP32", "seed": "3",
                      "deterministic": True},
            "eval": {"every_steps": "100", "tokens": "1000"},
            "checkpoint": {"every_steps": "20"},
            "resources": {"device": "DEVICE_CPU", "ranks": 1, "priority": 0},
            "retry": {"max_retries": 0}, "limits": {"max_runtime_seconds": "0", "detect_collapse": True},
            "sharding": {"accumulate": "ACCUMULATE_REDUCE_EACH", "reshard_after_forward": True,
                         "activation_checkpointing": False},
        },
        "dataset_dir": str(folder / "data"), "attempt_dir": str(folder / attempt), "resume_from": "", "threads": 1, "gpu": -1,
        "address": "127.0.0.1",
    }


def write_manifest(path, manifest):
    """A checkpoint's manifest.json, with its own checksum: docs/rank-contract.md, "The attempt's folder"."""
    fields = {name: value for name, value in manifest.items() if name != "xxh3_64"}
    before = json.dumps(fields, indent=1).removesuffix("\n}") + ",\n "
    path.write_text(f'{before}"xxh3_64": "{xxhash.xxh3_64_hexdigest(before.encode())}"\n}}\n')


class Rank:
    """One process in a folder of its own. `listening`: the socket at which the others meet rank 0, which this is."""

    def __init__(self, folder, config, failpoints=None, listening=None):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "trial.json").write_text(json.dumps(config))
        with open(folder / "log", "ab") as log:
            environment = dict(os.environ, **({"MIXLN_FAILPOINTS": failpoints} if failpoints else {}))
            if listening is not None:
                environment["MIXLN_RENDEZVOUS_FD"] = str(listening.fileno())
            self.process = subprocess.Popen([BIN / "mixln-trainer", "trial.json"], cwd=folder, stdout=log, stderr=log,
                                            env=environment, pass_fds=() if listening is None else (listening.fileno(),))

    def wait(self):
        return self.process.wait(DEADLINE_SECONDS)

    def log(self):
        return (self.folder / "log").read_text()

    def events(self):
        """Whole lines only, as the agent reads them."""
        path = self.folder / "events.jsonl"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    def of(self, kind):
        return [(int(e["step"]), e[kind]) for e in self.events() if kind in e]

    def failure(self):
        """What it said last: one sentence, which is also the end of its log."""
        failed = self.of("failed")[-1][1]
        assert "\n" not in failed["message"], failed
        assert self.log().endswith(failed["message"] + "\n"), self.log()
        assert failed["message"].count("prepare the data again") <= 1, failed
        return failed

    def losses(self):
        return {step: e["loss"] for step, e in self.of("step_done")}

    def send(self, word):
        agent = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        here = os.getcwd()
        os.chdir(self.folder)  # the path of a socket must be short
        try:
            agent.sendto(word, "control")
        finally:
            os.chdir(here)
            agent.close()
