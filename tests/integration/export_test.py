"""Checkpoints as Hugging Face models and back: transformers' logits against the engine's, bit-equal round trips, refusals."""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = os.environ["TQDM_DISABLE"] = "1"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="mixln-hf-")  # where transformers copies a model's code to

import safetensors.torch  # noqa: E402
import sentencepiece  # noqa: E402
import torch  # noqa: E402
import xxhash  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM  # noqa: E402

from cluster import BIN, ROOT, Cluster, corpus_text, sweep_text  # noqa: E402
from rank import Rank, folder_with_data, trial, write_manifest  # noqa: E402
from ranks_test import start  # noqa: E402

sys.path.insert(0, str(ROOT / "tests/parity"))
import mixln  # noqa: E402

PARITY = BIN.parent / "tests/mixln-parity"
PLACEMENTS = [["pre", "pre", "pre"], ["post", "pre", "pre"], ["pre", "post", "pre"], ["sandwich", "admin", "lns"],
              *([p, p, p] for p in ("post", "sandwich", "deepnorm", "admin", "lns", "group", "dlcl"))]


def masters(checkpoint):
    """A checkpoint's weights by name, put together from its ranks' files as docs/rank-contract.md says."""
    whole = {}
    for file in json.loads((checkpoint / "manifest.json").read_text())["files"]:
        data = (checkpoint / file["file"]).read_bytes()
        for t in file["tensors"]:
            if not t["name"].startswith("exp_avg"):
                flat = whole.setdefault(t["name"], torch.zeros(t["shape"])).view(-1)
                values = torch.frombuffer(bytearray(data[t["offset_bytes"]:t["offset_bytes"] + 4 * t["elements"]]), dtype=torch.float32)
                flat[t["begin"]:t["begin"] + t["elements"]] = values
    return whole


def engine_logits(checkpoint, tokens):
    """What the engine computes with a checkpoint's weights."""
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    spec, weights = manifest["spec"]["model"], masters(checkpoint)
    m = mixln.model("pre", vocab_size=weights["model.embed_tokens.weight"].shape[0], hidden_size=spec["hidden_size"],
                    intermediate_size=spec["intermediate_size"], layers=spec["layers"], heads=spec["heads"],
                    kv_heads=spec["kv_heads"] or spec["heads"], rope_theta=spec["rope_theta"], norm_eps=spec["norm_eps"],
                    tie_embeddings=spec["tie_embeddings"], context=tokens.shape[1])
    m["placements"] = manifest["layer_placements"]
    m["norm_kind"] = manifest["spec"]["norm"]["kind"].removeprefix("NORM_KIND_").lower()
    batch = dict(tokens=torch.cat([tokens, tokens[:, :1]], 1), mask=None, lr=None)  # the last is a target only
    return mixln.run(PARITY, m, [batch], weights, ["logits"])["tensors"]["logits"]


def export(checkpoint, to, *flags):
    return subprocess.run([BIN / "mixln-trainer", "export", *flags, checkpoint, to], capture_output=True, text=True)


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, dtype="auto").eval()


class ExportTest(unittest.TestCase):
    """The trainer alone, over data written by hand."""

    @classmethod
    def setUpClass(cls):
        cls.shared = folder_with_data(cls, "export")
        cls.tokens = torch.randint(64, (3, 24), generator=torch.Generator().manual_seed(5))
        cls.checkpoint = cls.train("mix", ["post", "pre", "pre"])
        done = export(cls.checkpoint, cls.shared / "mix-model")
        assert done.returncode == 0, done.stderr

    @classmethod
    def config(cls, name, placements, steps=12, norm_kind="rmsnorm"):
        config = trial(cls.shared, name)
        config["spec"]["model"].update(layers=len(placements))
        config["spec"]["norm"].update(placement="PLACEMENT_MIX", layer_placements=["PLACEMENT_" + p.upper() for p in placements],
                                      kind="NORM_KIND_" + norm_kind.upper())
        config["spec"]["train"].update(steps=str(steps))
        return config

    @classmethod
    def train(cls, name, placements, norm_kind="rmsnorm", **model):
        config = cls.config(name, placements, norm_kind=norm_kind)
        config["spec"]["model"].update(model)
        rank = Rank(cls.shared / (name + "-rank"), config)
        assert rank.wait() == 0, rank.log()
        return cls.shared / name / "checkpoints/step-000000012"

    def setUp(self):
        self.folder = self.shared / self.id().rsplit(".", 1)[1]
        self.folder.mkdir()

    def assert_same_logits(self, model, checkpoint):
        with torch.no_grad():
            error = mixln.relative(model(self.tokens).logits, engine_logits(checkpoint, self.tokens))
        self.assertLess(error, 1e-5)

    def test_pre_is_a_llama(self):
        checkpoint = self.train("pre", ["pre", "pre"], kv_heads=1)
        self.assertEqual(export(checkpoint, self.folder / "model").returncode, 0)
        model, info = LlamaForCausalLM.from_pretrained(self.folder / "model", output_loading_info=True)
        for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
            self.assertFalse(info[kind], kind)
        self.assert_same_logits(model.eval(), checkpoint)

    def test_every_placement_computes_what_the_engine_does(self):
        cases = [*((p, "rmsnorm") for p in PLACEMENTS), (["pre", "group", "post"], "layernorm")]
        cases += [([p, p, p], "layernorm") for p in ("sandwich", "admin", "dlcl")]
        for placements, norm_kind in cases:
            name = "-".join([*placements, norm_kind])
            kv_heads = 1 if len(set(placements)) == 1 else 2
            with self.subTest(name):
                checkpoint = self.train(name, placements, norm_kind, kv_heads=kv_heads)
                self.assertEqual(export(checkpoint, self.folder / name).returncode, 0)
                self.assert_same_logits(load(self.folder / name), checkpoint)

    def test_tied_embeddings(self):
        for placements in (["pre", "pre"], ["post", "pre"]):
            with self.subTest(placements):
                name = "tied-" + placements[0]
                checkpoint = self.train(name, placements, tie_embeddings=True)
                self.assertEqual(export(checkpoint, self.folder / name).returncode, 0)
                self.assert_same_logits(load(self.folder / name), checkpoint)

    def test_the_config_keeps_the_placements_and_llama_refuses_it(self):
        config = load(self.shared / "mix-model").config
        self.assertEqual(config.layer_placements, ["post", "pre", "pre"])
        with self.assertRaisesRegex(KeyError, "not_llama"):
            LlamaForCausalLM.from_pretrained(self.shared / "mix-model")

    def test_padding_on_the_left_changes_nothing_and_it_generates(self):
        model = load(self.shared / "mix-model")
        row = self.tokens[:1, :9]
        with torch.no_grad():
            alone = model(row).logits[0]
            padded = torch.cat([torch.zeros(1, 4, dtype=torch.long), row], 1)
            mask = torch.tensor([[0] * 4 + [1] * 9])
            inputs = model.prepare_inputs_for_generation(padded, attention_mask=mask)
            self.assertLess(mixln.relative(model(**inputs).logits[0, 4:], alone), 1e-5)
            text = model.generate(row, max_new_tokens=5, do_sample=False)
            self.assertEqual(text.shape, (1, 14))
            self.assertEqual(text[0, 9].item(), alone[-1].argmax().item())

    def test_bf16_rounds_the_masters(self):
        self.assertEqual(export(self.checkpoint, self.folder / "model", "--dtype", "bf16").returncode, 0)
        weights = safetensors.torch.load_file(self.folder / "model/model.safetensors")
        for name, master in masters(self.checkpoint).items():
            self.assertTrue(torch.equal(weights[name], master.to(torch.bfloat16)), name)

    def test_a_checkpoint_spread_over_files_is_put_together(self):
        """Tensors cut at any element, as ranks of a larger world have them."""
        split = self.folder / "checkpoint"
        split.mkdir()
        manifest = json.loads((self.checkpoint / "manifest.json").read_text())
        data, [file] = (self.checkpoint / "rank-00000.safetensors").read_bytes(), manifest["files"]
        manifest["files"] = []
        for rank in range(3):
            body, tensors = b"", []
            for t in file["tensors"]:
                cut = [t["elements"] * r // 3 for r in (rank, rank + 1)]
                part = data[t["offset_bytes"] + 4 * cut[0]:t["offset_bytes"] + 4 * cut[1]]
                tensors.append(dict(t, begin=cut[0], elements=cut[1] - cut[0], offset_bytes=len(body),
                                    xxh3_64=xxhash.xxh3_64_hexdigest(part)))
                body += part
            name = f"rank-{rank:05}.safetensors"
            (split / name).write_bytes(body)
            manifest["files"].append(dict(file=name, size_bytes=len(body), xxh3_64=xxhash.xxh3_64_hexdigest(body), tensors=tensors))
        manifest["files"].reverse()
        write_manifest(split / "manifest.json", manifest)
        done = export(split, self.folder / "model")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.folder / "model/model.safetensors").read_bytes(),
                         (self.shared / "mix-model/model.safetensors").read_bytes())

    def test_what_cannot_be_exported_is_said_and_leaves_nothing(self):
        broken = self.folder / "broken"
        shutil.copytree(self.checkpoint, broken)
        os.truncate(broken / "rank-00000.safetensors", 1000)
        for checkpoint, words in [(self.folder / "none", "cannot be read"), (broken, "is corrupted")]:
            done = export(checkpoint, self.folder / "model")
            self.assertEqual(done.returncode, 74)
            self.assertIn(words, done.stderr)
            self.assertEqual([p.name for p in self.folder.iterdir() if "model" in p.name], [])
        done = export(self.checkpoint, self.shared / "mix-model")
        self.assertEqual(done.returncode, 74)
        self.assertIn("is there and not empty", done.stderr)
        self.assertEqual(export(self.checkpoint, self.folder / "model", "--dtype", "int8").returncode, 64)

    # Import.

    def start_from(self, model, placements=("post", "pre", "pre"), world_size=1):
        """One update at a learning rate of 0, so that the weights stay what they were; its exit code, log and checkpoint."""
        name = str(self.folder.relative_to(self.shared) / f"import-{len(list(self.folder.iterdir()))}")
        config = self.config(name, list(placements), steps=1)
        config["spec"]["init"]["from"] = str(model)
        config["spec"]["train"].update(warmup_steps="1", weight_decay=0)
        folder = self.shared / (name + "-ranks")
        ranks = start(folder, config, world_size) if world_size > 1 else [Rank(folder, config)]
        [code] = {rank.wait() for rank in ranks}
        return code, ranks[0].log(), self.shared / name / "checkpoints/step-000000001"

    def test_export_import_export_is_bit_equal(self):
        for world_size in (1, 2):
            with self.subTest(world_size=world_size):
                code, log, checkpoint = self.start_from(self.shared / "mix-model", world_size=world_size)
                self.assertEqual(code, 0, log)
                self.assertIn("starting with the weights in", log)
                self.assertEqual(len(list(checkpoint.glob("*.safetensors"))), world_size)
                again = self.folder / f"again-{world_size}"
                self.assertEqual(export(checkpoint, again).returncode, 0)
                self.assertEqual((again / "model.safetensors").read_bytes(), (self.shared / "mix-model/model.safetensors").read_bytes())

    def test_a_llama_that_transformers_saved_in_pieces_and_bf16_is_read(self):
        checkpoint = self.train("llama", ["pre", "pre"])
        self.assertEqual(export(checkpoint, self.folder / "model").returncode, 0)
        llama = LlamaForCausalLM.from_pretrained(self.folder / "model").to(torch.bfloat16)
        llama.save_pretrained(self.folder / "pieces", max_shard_size="20KB")
        self.assertTrue((self.folder / "pieces/model.safetensors.index.json").exists())
        code, log, checkpoint = self.start_from(self.folder / "pieces", ["pre", "pre"])
        self.assertEqual(code, 0, log)
        mine, theirs = masters(checkpoint), llama.state_dict()
        for name in mine:
            self.assertTrue(torch.equal(mine[name], theirs[name].float()), name)

    def variant(self, name, edit_weights=None, edit_config=None):
        """A copy of the exported model with changes."""
        folder = self.folder / name
        shutil.copytree(self.shared / "mix-model", folder)
        if edit_weights:
            weights = safetensors.torch.load_file(folder / "model.safetensors")
            edit_weights(weights)
            safetensors.torch.save_file(weights, folder / "model.safetensors")
        if edit_config:
            config = json.loads((folder / "config.json").read_text())
            edit_config(config)
            (folder / "config.json").write_text(json.dumps(config))
        return folder

    def test_every_bad_model_is_refused_with_the_tensor_or_field(self):
        norm = "model.layers.1.input_layernorm.weight"

        def nan(weights):
            weights[norm][3] = float("nan")

        cut = self.variant("cut")
        os.truncate(cut / "model.safetensors", 5000)
        lie = self.variant("lie")
        data = bytearray((lie / "model.safetensors").read_bytes())
        data[:8] = struct.pack("<Q", 2 ** 63)
        (lie / "model.safetensors").write_bytes(data)
        weightless = self.variant("weightless")
        (weightless / "model.safetensors").unlink()
        text = self.variant("text")
        (text / "config.json").write_text("nothing")
        for model, code, *words in [
                (self.variant("missing", lambda w: w.pop(norm)), 64, norm, "lacks the tensor"),
                (self.variant("extra", lambda w: w.update({"model.extra": torch.ones(3)})), 64, "model.extra"),
                (self.variant("shape", lambda w: w.update({norm: torch.ones(31)})), 64, norm, "[31] there and [32] here"),
                (self.variant("nan", nan), 65, norm, "no finite numbers"),
                (self.variant("type", lambda w: w.update({norm: torch.ones(32, dtype=torch.int64)})), 65, norm, "I64"),
                (cut, 65, "cut off"), (lie, 65, "cut off"), (weightless, 65, "model.safetensors: cannot be read"),
                (text, 64, "is no model's configuration"), (self.folder / "nowhere", 64, "nowhere is no folder of a model"),
                (self.variant("norm", None, lambda c: c.update(norm_kind="layernorm")), 64, "norm.kind"),
                (self.variant("eps", None, lambda c: c.update(rms_norm_eps=1e-5)), 64, "norm_eps is 1e-05 there and 1e-06 here"),
                (self.variant("gpt", None, lambda c: c.update(model_type="gpt2")), 64, "model_type \"gpt2\""),
                (self.variant("scaled", None, lambda c: c.update(rope_scaling={"factor": 2})), 64, "rope_scaling")]:
            with self.subTest(model.name):
                exit_code, log, _ = self.start_from(model)
                self.assertEqual(exit_code, code, log)
                for word in words:
                    self.assertIn(word, log.splitlines()[-1])

    def test_another_placement_is_refused(self):
        code, log, _ = self.start_from(self.shared / "mix-model", ["pre", "pre", "pre"])
        self.assertEqual(code, 64, log)
        self.assertIn("the model in it is mix with 1 post layers of 3; this trial is pre", log)


class ExportCommandTest(unittest.TestCase):
    """mixlnctl on a cluster, with text and a tokenizer."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        cls.cluster.start_worker()
        source = cls.cluster.write("corpus.txt", corpus_text())
        sweep = cls.cluster.write("sweep.yaml", sweep_text("hf", source, {"norm.placement": ["pre", "mix"]}, steps=60))
        cls.cluster.ctl("submit", sweep)
        cls.cluster.ctl("wait", "hf")
        cls.artifacts = ("--artifacts", cls.cluster.folder / "artifacts")
        cls.models = [cls.cluster.folder / f"model-{i}" for i in range(2)]
        for i, model in enumerate(cls.models):
            cls.said = cls.cluster.ctl("export", f"hf-{i}", "--to", model, *cls.artifacts).stdout

    def test_the_last_checkpoint_and_a_chosen_one(self):
        self.assertIn("exported step 60 of trial hf-1, mix with 1 post layers of 4", self.said)
        chosen = self.cluster.folder / "chosen"
        self.assertIn("step 55", self.cluster.ctl("export", "hf/1", "--to", chosen, "--step", 55, *self.artifacts).stdout)
        self.assertNotEqual((chosen / "model.safetensors").read_bytes(), (self.models[1] / "model.safetensors").read_bytes())

    def test_what_cannot_be_is_said(self):
        for arguments, words in [
                (("hf-1", "--step", 7, *self.artifacts), "has no checkpoint of step 7: it has those of"),
                (("hf-9", *self.artifacts), "no trial is called"),
                (("hf-1", "--artifacts", self.cluster.folder), "run this where the workers' artifacts root is visible")]:
            done = self.cluster.ctl("export", *arguments, "--to", self.cluster.folder / "no", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(words, done.stderr)
            self.assertFalse((self.cluster.folder / "no").exists())

    def test_the_tokenizer_cuts_as_sentencepiece_does(self):
        tokenizer = AutoTokenizer.from_pretrained(self.models[1], trust_remote_code=True)
        reference = sentencepiece.SentencePieceProcessor(model_file=str(self.models[1] / "tokenizer.model"))
        texts = corpus_text().split("\n\n")[:100] + ["  two  spaces ", "naïve café ☃ 北京", "", " ", "</s>x\ty"]
        for text in texts:
            if "</s>" not in text:  # which transformers takes for the token itself
                self.assertEqual(tokenizer(text)["input_ids"], reference.encode(text), text)
                self.assertEqual(tokenizer.decode(tokenizer(text)["input_ids"]), text)
        self.assertEqual((tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id), (0, 1, 2))

    def test_a_sweep_starts_from_it(self):
        text = sweep_text("again", self.cluster.folder / "corpus.txt", {"norm.placement": ["mix"]}, steps=1).replace(
            "warmup_steps: 5", "warmup_steps: 1").replace("  data:", "  init: {from: model-1}\n  data:", 1)
        self.cluster.ctl("submit", self.cluster.write("again.yaml", text))
        self.cluster.ctl("wait", "again")
        self.cluster.ctl("export", "again-0", "--to", self.cluster.folder / "round", *self.artifacts)
        self.assertEqual((self.cluster.folder / "round/model.safetensors").read_bytes(),
                         (self.models[1] / "model.safetensors").read_bytes())
        refused = self.cluster.ctl("submit", self.cluster.write("bad.yaml", text.replace("model-1", "model-7")), check=False)
        self.assertIn("init.from", refused.stderr)

    def test_lm_eval_runs_on_it(self):
        """Bits a byte of a local task, against the same sum computed here."""
        import lm_eval
        from lm_eval.tasks import TaskManager
        folder = self.cluster.folder / "task"
        folder.mkdir()
        documents = [p.replace("\n", " ").strip() for p in corpus_text().split("\n\n")[50:60]]
        documents = [d[:120] for d in documents if len(d) > 20]
        (folder / "documents.jsonl").write_text("".join(json.dumps({"text": d}) + "\n" for d in documents))
        (folder / "novel.yaml").write_text(f"""task: novel
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/documents.jsonl}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
metric_list: [{{metric: bits_per_byte}}]
""")
        results = lm_eval.simple_evaluate(
            model="hf", tasks=["novel"], task_manager=TaskManager(include_path=str(folder), include_defaults=False),
            model_args=dict(pretrained=str(self.models[1]), trust_remote_code=True, device="cpu", dtype="float32", batch_size=1),
            bootstrap_iters=0)
        model, tokenizer = load(self.models[1]), AutoTokenizer.from_pretrained(self.models[1], trust_remote_code=True)
        bits, size = 0.0, 0
        for document in documents:
            ids = torch.tensor([[1] + tokenizer(document)["input_ids"]])
            # Longer documents are cut into windows of the context, whose first prediction sees one token before.
            for first in range(0, ids.shape[1] - 1, 32):
                window = ids[:, max(0, min(first, ids.shape[1] - 33)):first + 33]
                count = min(32, ids.shape[1] - 1 - first)
                with torch.no_grad():
                    losses = torch.nn.functional.cross_entropy(model(window[:, :-1]).logits[0], window[0, 1:], reduction="none")
                bits += losses[-count:].double().sum().item() / torch.log(torch.tensor(2.0)).item()
            size += len(document.encode())
        self.assertAlmostEqual(results["results"]["novel"]["bits_per_byte,none"], bits / size, places=4)


if __name__ == "__main__":
    unittest.main()
