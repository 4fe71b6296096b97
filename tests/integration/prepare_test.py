"""mixln-prepare as a program: its shards against Debian's spm_encode and Python's gzip and json, its exits, and what a
kill -9 or a second process at the same time leave behind."""
import contextlib
import gzip
import json
import os
import pathlib
import pty
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PREPARE = pathlib.Path(os.environ["MIXLN_BIN"]) / "mixln-prepare"


def zstd_frame(data):
    """A zstd frame of raw blocks, by RFC 8878: magic, descriptor 0, an 8 MiB window, then 3-byte block headers."""
    frame = b"\x28\xb5\x2f\xfd\x00\x68"
    blocks = [data[i:i + 100_000] for i in range(0, len(data), 100_000)]
    for i, block in enumerate(blocks):
        last = i == len(blocks) - 1
        frame += (len(block) << 3 | last).to_bytes(3, "little") + block
    return frame


def read_shards(folder, split):
    """Documents of a split as lists of token ids, read with struct alone."""
    dataset = json.loads((folder / "dataset.json").read_text())
    documents = []
    for info in dataset[split]["shards"]:
        data = (folder / info["file"]).read_bytes()
        magic, version, width, tokens, count = struct.unpack_from("<8sIIQQ", data)
        assert (magic, version, data[32:64]) == (b"MIXLNTOK", 1, bytes(32))
        ids = struct.unpack_from(f"<{tokens}{'H' if width == 2 else 'I'}", data, 64)
        begin = -(-(64 + tokens * width) // 8) * 8
        offsets = struct.unpack_from(f"<{count + 1}Q", data, begin)
        assert begin + 8 * (count + 1) == len(data) and offsets[0] == 0 and offsets[-1] == tokens
        documents += [list(ids[a:b]) for a, b in zip(offsets, offsets[1:])]
    return documents


def sentences(count, seed=0):
    """Different lines of English, put together from the shipped corpus's words."""
    words = gzip.open(ROOT / "examples/corpus/persuasion.txt.gz", "rt").read().split()
    draw = random.Random(seed)
    return [f"{i} " + " ".join(words[at:at + 30]) for i in range(count) for at in [draw.randrange(len(words) - 30)]]


class PrepareTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.cache = self.folder / "cache"

    def write(self, name, data):
        path = self.folder / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    def run_prepare(self, *arguments, expected=0, **options):
        done = subprocess.run([PREPARE, "--cache", self.cache, *map(str, arguments)], capture_output=True, text=True, **options)
        self.assertEqual(done.returncode, expected, done.stdout + done.stderr)
        return done

    def prepare(self, *arguments):
        lines = self.run_prepare(*arguments).stdout.splitlines()
        return pathlib.Path(json.loads(lines[-1])["dataset_dir"])

    def visible(self):
        return [p for p in self.cache.iterdir() if not p.name.startswith(".")]

    def leftovers(self):
        return [p for p in self.cache.iterdir() if p.name.startswith(".building-")]

    def spm_encode(self, model, lines):
        said = subprocess.run(["spm_encode", f"--model={model}", "--output_format=id"], input="\n".join(lines) + "\n",
                              capture_output=True, text=True, check=True).stdout
        return [[int(i) for i in line.split()] for line in said.splitlines()]


class Contents(PrepareTest):
    def test_c4_files_of_many_gzip_members_encode_as_spm_encode_does(self):
        texts = sentences(2000) + ["café 😀 — naïve"]
        lines = [json.dumps({"text": t, "timestamp": "2019-04-25T12:57:54Z", "url": "https://x"}) + "\n" for t in texts + texts[:7]]
        half = len(lines) // 2
        members = b"".join(gzip.compress("".join(part).encode()) for part in (lines[:half], lines[half:]))
        source = self.write("c4-train.00000-of-01024.json.gz", members)
        folder = self.prepare("--source", source, "--vocab", 1000, "--validation-fraction", 0.1)
        dataset = json.loads((folder / "dataset.json").read_text())
        train, validation = read_shards(folder, "train"), read_shards(folder, "validation")
        self.assertEqual(dataset["duplicates_removed"], 7)
        self.assertEqual(len(train) + len(validation), len(texts))
        # Four standard deviations of a binomial with n = 2001 and p = 0.1.
        self.assertAlmostEqual(len(validation), 200, delta=54)
        expected = [ids + [1] for ids in self.spm_encode(folder / "tokenizer.model", texts)]
        held_out = [ids for ids in expected if ids in validation]
        self.assertEqual(train, [ids for ids in expected if ids not in held_out])
        self.assertEqual(validation, held_out)
        self.assertEqual(dataset["train"]["text_bytes"] + dataset["validation"]["text_bytes"], sum(len(t.encode()) for t in texts))
        counts = struct.unpack("<1000Q", (folder / "unigram.u64").read_bytes())
        self.assertEqual(counts, tuple(sum(d.count(i) for d in train) for i in range(1000)))

    def test_every_container_of_the_same_text_gives_the_same_tokens(self):
        text = "\n".join(sentences(1500)).encode()
        jsonl = "".join(json.dumps({"text": t}) + "\n" for t in text.decode().split("\n")).encode()
        cut = len(text) // 2
        containers = {"a.txt": text, "b.txt.gz": gzip.compress(text), "c": zstd_frame(text), "d.jsonl": jsonl, "f": jsonl,
                      "e.zst": zstd_frame(text[:cut]) + zstd_frame(text[cut:]), "g.json.zst": zstd_frame(jsonl)}
        first = None
        model = self.prepare("--source", self.write("model.txt", text), "--vocab", 800, "--split", "line") / "tokenizer.model"
        for name, data in containers.items():
            folder = self.prepare("--source", self.write(name, data), "--tokenizer", model, "--split", "line")
            tokens = (read_shards(folder, "train"), read_shards(folder, "validation"))
            first = first or tokens
            self.assertEqual(tokens, first, name)
        self.assertEqual(len(self.visible()), 1 + len(set(containers.values())))  # d.jsonl and f are the same bytes

    def test_adding_documents_moves_none_between_training_and_validation(self):
        old, new = sentences(1000), sentences(1500, seed=7)
        model = self.prepare("--source", self.write("a.txt", "\n".join(old)), "--vocab", 800, "--split", "line") / "tokenizer.model"
        few = self.prepare("--source", self.write("b.txt", "\n".join(old)), "--tokenizer", model, "--split", "line",
                           "--validation-fraction", "0.2")
        many = self.prepare("--source", self.write("c.txt", "\n".join(new + old[::-1])), "--tokenizer", model, "--split", "line",
                            "--validation-fraction", "0.2")
        for split in ("train", "validation"):
            kept = {tuple(d) for d in read_shards(many, split)}
            self.assertTrue(all(tuple(d) in kept for d in read_shards(few, split)))

    def test_the_shipped_corpus_loses_no_byte(self):
        files = sorted((ROOT / "examples/corpus").glob("*.gz"))
        self.assertEqual(len(files), 6)
        self.assertLess(sum(f.stat().st_size for f in files), 2_000_000)
        folder = self.prepare("--source", ROOT / "examples/corpus/*.txt.gz", "--vocab", 2048)
        dataset = json.loads((folder / "dataset.json").read_text())
        paragraphs = [p for f in files for p in gzip.open(f, "rt").read().strip().split("\n\n")]
        self.assertEqual(dataset["duplicates_removed"], len(paragraphs) - len(set(paragraphs)))
        token_bytes = struct.unpack("<2048H", (folder / "token_bytes.u16").read_bytes())
        for split in ("train", "validation"):
            self.assertEqual(sum(token_bytes[i] for d in read_shards(folder, split) for i in d), dataset[split]["text_bytes"])
        self.assertEqual(dataset["train"]["text_bytes"] + dataset["validation"]["text_bytes"],
                         sum(len(p.encode()) for p in set(paragraphs)))

    def test_a_given_model_in_t5s_style_encodes_c4_as_spm_encode_does(self):
        # T5's own: pad 0, eos 1, unk 2, no bos, normalization and a dummy prefix as SentencePiece's defaults are, sentinels.
        texts = [f"{t}  twice-spaced ﬁne" for t in sentences(3000)] + ["a <extra_id_1> b", "漢字 unseen 😀"]
        words = self.write("words.txt", "\n".join(texts[:-1]))
        sentinels = ",".join(f"<extra_id_{i}>" for i in reversed(range(100)))
        subprocess.run(["spm_train", f"--input={words}", f"--model_prefix={self.folder / 't5'}", "--vocab_size=1200",
                        "--pad_id=0", "--eos_id=1", "--unk_id=2", "--bos_id=-1", f"--user_defined_symbols={sentinels}"],
                       check=True, capture_output=True)
        model = self.folder / "t5.model"
        records = "".join(json.dumps({"text": t, "timestamp": "2019-04-25T12:57:54Z", "url": f"https://x/{i}"}) + "\n"
                          for i, t in enumerate(texts))
        half = len(records) // 2  # in the middle of a line: a member may end anywhere
        members = gzip.compress(records[:half].encode()) + gzip.compress(b"") + gzip.compress(records[half:].encode())
        source = self.write("c4-train.00001-of-01024.json.gz", members)
        folder = self.prepare("--source", source, "--tokenizer", model, "--validation-fraction", 0.1)
        dataset = json.loads((folder / "dataset.json").read_text())
        self.assertEqual((dataset["vocab_size"], dataset["pad_id"], dataset["eos_id"]), (1200, 0, 1))
        expected = [ids + [1] for ids in self.spm_encode(model, texts)]
        train, validation = read_shards(folder, "train"), read_shards(folder, "validation")
        self.assertEqual(sorted(train + validation), sorted(expected))
        self.assertIn(2, expected[-1])  # unk, which the model has no bytes for

    def test_sentencepiece_and_protobuf_do_not_meet_in_one_process(self):
        libraries = subprocess.run(["ldd", PREPARE], capture_output=True, text=True, check=True).stdout
        self.assertIn("libsentencepiece", libraries)
        self.assertNotIn("libprotobuf", libraries)


class Terminal(PrepareTest):
    def test_a_progress_bar_is_drawn_on_a_terminal_and_wiped_at_the_end(self):
        source = self.write("a.txt", "\n".join(sentences(3000)))
        terminal, theirs = pty.openpty()
        process = subprocess.Popen([PREPARE, "--cache", self.cache, "--source", source, "--vocab", "800", "--split", "line"],
                                   stdout=subprocess.PIPE, stderr=theirs)
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the end of a terminal whose other side is closed
            while piece := os.read(terminal, 4096):
                shown += piece
        os.close(terminal)
        out, _ = process.communicate()
        self.assertEqual(process.returncode, 0, shown)
        *frames, last = shown.decode().split("\r\x1b[K")
        bars = [re.fullmatch(r"(.+) \[(#*)(\.*)\] +(\d+)%.*", frame) for frame in frames if frame]
        self.assertTrue(bars and all(bars), shown)
        self.assertEqual(list(dict.fromkeys(bar[1] for bar in bars)), ["hashing", "training the tokenizer", "tokenizing"])
        for bar in bars:
            self.assertEqual(len(bar[2] + bar[3]), 30)
            self.assertAlmostEqual(len(bar[2]), 30 * int(bar[4]) / 100, delta=1)
        self.assertTrue(last.startswith("prepared "), last)
        self.assertIn("dataset_dir", json.loads(out.splitlines()[-1]))  # data stays on standard output


class Requests(PrepareTest):
    def test_the_agents_request_reports_progress_and_the_second_only_finds(self):
        source = self.write("a.txt", "\n".join(sentences(1000)))
        request = self.write("request.json", json.dumps({
            "source": [str(source)], "tokenizer": {"model": "", "train": {"vocab": 800}}, "reading": "READING_PACKED",
            "context": 128, "validation_fraction": 0.01, "split": "DOCUMENT_SPLIT_LINE"}))
        first = self.run_prepare("--request", request, "--threads", 2)
        lines = [json.loads(line) for line in first.stdout.splitlines()]
        phases = list(dict.fromkeys(line["phase"] for line in lines[:-1]))
        self.assertEqual(phases, ["hashing", "training the tokenizer", "tokenizing"])
        self.assertTrue(all(0 <= line["fraction"] <= 1 for line in lines[:-1]))
        self.assertIn("prepared", first.stderr)
        second = self.run_prepare("--request", request)
        self.assertEqual(second.stdout.splitlines()[-1], first.stdout.splitlines()[-1])
        self.assertIn("found", second.stderr)
        self.assertNotIn("tokenizing", second.stdout)

    def refused(self, code, words, *arguments, **options):
        done = self.run_prepare(*arguments, expected=code, **options)
        for word in words:
            self.assertIn(word, done.stderr)
        if done.stdout:
            self.assertEqual(list(json.loads(done.stdout.splitlines()[-1])), ["error"])
        if self.cache.exists():
            self.assertEqual(self.visible() + self.leftovers(), [])

    def test_bad_data_is_named(self):
        text = self.write("a.txt", "\n".join(sentences(200)))
        empty, binary = self.write("empty.txt", ""), self.write("binary.txt", bytes(1000))
        broken = self.write("broken.json.gz", gzip.compress(b'{"text": "a"}\n{"txt": "b"}\n'))
        cut = self.write("cut.gz", gzip.compress("\n".join(sentences(5000)).encode())[:-100])
        line = ("--split", "line")
        self.refused(65, ["none.txt"], "--source", self.folder / "none.txt", "--vocab", 500)
        self.refused(65, ["empty.txt is empty", "binary.txt is not text"], "--source", empty, binary, "--vocab", 500)
        self.refused(65, ["broken.json.gz:2"], "--source", broken, "--vocab", 500)
        self.refused(65, ["cut.gz is damaged"], "--source", cut, "--vocab", 500, *line)
        self.refused(65, ["at most"], "--source", text, "--vocab", 30000, *line)
        self.refused(65, ["one document"], "--source", text, "--vocab", 500, "--split", "file")
        self.refused(65, ["a.txt is not a SentencePiece model"], "--source", text, "--tokenizer", text, *line)

    def test_bad_arguments_are_named(self):
        text = self.write("a.txt", "\n".join(sentences(200)))
        self.refused(64, ["--request or --source"])
        self.refused(64, ["--no-such-flag"], "--no-such-flag")
        self.refused(64, ["exactly one"], "--source", text)
        self.refused(64, ["validation_fraction"], "--source", text, "--vocab", 500, "--validation-fraction", 0.7)
        self.refused(64, ["split"], "--source", text, "--vocab", 500, "--split", "word")
        self.refused(64, ["request.json", "unknown field sauce"], "--request", self.write("request.json", '{"sauce": []}'))

    def test_a_disk_that_takes_no_more_is_an_io_error_and_leaves_nothing(self):
        def limit_file_size():  # stands for a full disk: write() fails half-way
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        text = self.write("a.txt", "\n".join(sentences(5000)))
        self.refused(74, ["cannot write", "train-00000.tokens"], "--source", text, "--vocab", 500, "--split", "line",
                     preexec_fn=limit_file_size)


class Processes(PrepareTest):
    def setUp(self):
        super().setUp()
        small = self.write("small.txt", "\n".join(sentences(500)))
        model = self.prepare("--source", small, "--vocab", 500, "--split", "line") / "tokenizer.model"
        self.model = shutil.copy(model, self.folder)
        shutil.rmtree(self.cache)
        self.source = self.write("a.txt", "\n".join(sentences(100_000)))
        self.arguments = ["--source", str(self.source), "--tokenizer", str(self.model), "--split", "line"]

    def start(self):
        process = subprocess.Popen([PREPARE, "--cache", self.cache, *self.arguments], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        return process

    def test_two_at_once_do_the_work_once(self):
        both = [self.start(), self.start()]
        said = [process.communicate() for process in both]
        self.assertEqual([p.returncode for p in both], [0, 0], said)
        self.assertEqual(len({out.splitlines()[-1] for out, _ in said}), 1)
        self.assertEqual(sorted(err.split()[0] for _, err in said), ["found", "prepared"])

    def test_a_kill_in_the_middle_leaves_nothing_to_see_and_the_next_run_cleans_up(self):
        process = self.start()
        while '"tokenizing"' not in process.stdout.readline():
            self.assertIsNone(process.poll())
        process.kill()
        process.communicate()
        self.assertEqual(self.visible(), [])
        self.assertEqual(len(self.leftovers()), 1)
        other = self.write("other.txt", "\n".join(sentences(300)))  # the preparation of anything sweeps what is abandoned
        self.prepare("--source", other, "--tokenizer", self.model, "--split", "line")
        self.assertEqual(self.leftovers(), [])
        folder = self.prepare(*self.arguments)
        self.assertEqual(sum(len(read_shards(folder, s)) for s in ("train", "validation")), 100_000)


if __name__ == "__main__":
    assert shutil.which("spm_encode"), "spm_encode is missing: run scripts/bootstrap"
    unittest.main()
