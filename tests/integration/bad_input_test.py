"""Bad input starts nothing and is explained in full: each case of the list, against the real programs."""
import gzip
import json
import pathlib
import re
import socket
import subprocess
import unittest

import grpc

from cluster import BIN, Cluster, corpus_text, sweep_text

GRID = {"norm.alpha": [0, 0.5]}


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        cls.cluster.start_fake_worker("worker", "--slots", "2")
        cls.corpus = cls.cluster.write("corpus.txt", corpus_text())
        cls.good = sweep_text("good", cls.corpus, GRID)

    def refuse(self, text, *said, arguments=()):
        """Submitting `text` fails, says each of `said`, and leaves no sweep behind."""
        path = self.cluster.write("bad.yaml", text)
        sweeps_before = self.cluster.ctl("get", "sweeps", "-o", "name").stdout
        done = self.cluster.ctl("submit", path, *arguments, check=False)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertEqual(done.stdout, "")
        for words in said:
            self.assertRegex(done.stderr, words)
        self.assertEqual(self.cluster.ctl("get", "sweeps", "-o", "name").stdout, sweeps_before)
        return done.stderr

    def edit(self, old, new):
        self.assertIn(old, self.good)
        return self.good.replace(old, new)

    def line_of(self, text, needle):
        """1-based line and column of the needle."""
        before = text[: text.index(needle)]
        return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1

    def test_promise_10_a_misspelt_field_is_named_with_its_place_and_a_suggestion(self):
        text = self.edit("warmup_steps", "warmup_stepz")
        line, column = self.line_of(text, "warmup_stepz")
        self.refuse(text, rf"bad\.yaml:{line}:{column}: .*warmup_stepz.*warmup_steps")

    def test_a_wrong_type(self):
        self.refuse(self.edit("steps: 30", "steps: many"), r"bad\.yaml:\d+:\d+: .*steps.*many")

    def test_alpha_outside_its_range_as_value_and_in_the_grid(self):
        self.refuse(self.edit("alpha: 0.25", "alpha: 1.5"), r"bad\.yaml:\d+:\d+: .*alpha.*\[0, 1\]")
        self.refuse(self.edit("[0, 0.5]", "[0, -0.5]"), r"bad\.yaml:\d+:\d+: .*alpha.*\[0, 1\]")

    def test_zero_layers(self):
        self.refuse(self.edit("layers: 4", "layers: 0"), r"bad\.yaml:\d+:\d+: .*layers")

    def test_heads_that_do_not_divide_the_hidden_size(self):
        self.refuse(self.edit("heads: 2", "heads: 5"), r"bad\.yaml:\d+:\d+: .*heads.*32")

    def test_promise_10_all_problems_are_reported_at_once(self):
        text = self.edit("layers: 4", "layers: 0").replace("alpha: 0.25", "alpha: 7").replace("warmup_steps", "warmupsteps")
        said = self.refuse(text)
        self.assertEqual(len(re.findall(r"bad\.yaml:\d+:\d+: ", said)), 3, said)

    def test_a_grid_of_more_than_ten_thousand_cells_needs_a_word(self):
        seeds = list(range(10_001))
        text = sweep_text("huge", self.corpus, {"train.seed": seeds})
        self.refuse(text, r"10,?001.*--allow-large")

    def test_two_alphas_with_one_placement_are_merged_and_said(self):
        path = self.cluster.write("merged.yaml", sweep_text("merged", self.corpus, {"norm.alpha": [0.25, 0.26]}))
        done = self.cluster.ctl("submit", path, "--dry-run", "-o", "json")
        self.assertEqual(len(json.loads(done.stdout)["cells"]), 1)
        self.assertRegex(done.stderr, r"0\.25.*0\.26.*merged")

    def test_promise_10_a_missing_corpus(self):
        self.refuse(sweep_text("x", self.cluster.folder / "nowhere.txt", GRID), r"nowhere\.txt")

    def test_a_corpus_that_is_a_folder_or_cut_off(self):
        self.refuse(sweep_text("x", self.cluster.folder, GRID), r"is a folder")
        path = self.cluster.folder / "cut.txt.gz"
        path.write_bytes(gzip.compress(corpus_text().encode())[:2000])
        self.refuse(sweep_text("x", path, GRID), r"cut\.txt\.gz is damaged")

    def test_an_empty_corpus(self):
        self.refuse(sweep_text("x", self.cluster.write("empty.txt", ""), GRID), r"empty\.txt.*empty")

    def test_a_binary_corpus(self):
        path = self.cluster.folder / "binary.txt"
        path.write_bytes(bytes(range(256)) * 200)
        self.refuse(sweep_text("x", path, GRID), r"binary\.txt is not text")

    def test_a_corpus_too_small_for_one_batch(self):
        self.refuse(sweep_text("x", self.cluster.write("small.txt", "only a few words\n"), GRID), r"small")

    def test_a_tokenizer_whose_vocabulary_does_not_match(self):
        text = self.edit("model: {hidden_size", "model: {vocab_size: 500, hidden_size")
        self.refuse(text, r"vocab.*500.*400|vocab.*400.*500")

    def test_a_given_tokenizer_that_is_none_or_has_another_vocabulary(self):
        def given(path, text=self.good):
            return text.replace("tokenizer: {train: {vocab: 400}}", f"tokenizer: {{model: {path}}}")
        line, _ = self.line_of(self.good, "tokenizer:")
        self.refuse(given(self.cluster.folder / "none.model"), rf"bad\.yaml:{line}:\d+: .*there is no file .*none\.model")
        self.refuse(given(self.corpus), rf"bad\.yaml:{line}:\d+: .*not a SentencePiece model")
        subprocess.run(["spm_train", f"--input={self.corpus}", f"--model_prefix={self.cluster.folder / 'given'}", "--vocab_size=420"],
                       check=True, capture_output=True)
        text = self.edit("model: {hidden_size", "model: {vocab_size: 500, hidden_size")
        self.refuse(given(self.cluster.folder / "given.model", text), r"bad\.yaml:5:\d+: model\.vocab_size: .*500.*420")

    def test_numbers_are_shown_in_full_and_must_be_finite(self):
        self.refuse(self.edit("layers: 4", "layers: 1000000"), r"must be in \[1, 10000\], not 1000000")
        self.refuse(self.edit("alpha: 0.25", "alpha: .nan"), r"bad\.yaml:\d+:\d+: .*alpha.*finite")

    def test_promise_10_files_that_are_no_sweeps(self):
        self.refuse("", r"bad\.yaml:1:1: .*empty")
        self.refuse("a: [1, 2\nb: }", r"bad\.yaml:\d+:\d+: .*not YAML")
        self.refuse("- 1\n", r"bad\.yaml:1:1: .*not a list")
        self.refuse(self.good + "---\n" + self.good, r"bad\.yaml:\d+:\d+: .*second document")
        self.refuse(self.edit("  eval:", "  train: {steps: 3}\n  eval:"), r"bad\.yaml:\d+:\d+: .*train.*twice")

    def test_promise_10_more_ranks_than_all_workers_offer(self):
        self.refuse(self.good + "  resources: {ranks: 3}\n", r"3 .*(slots|ranks)")

    def test_a_name_taken_by_an_equal_spec_is_that_sweep_and_by_another_is_refused(self):
        path = self.cluster.write("taken.yaml", sweep_text("taken", self.corpus, GRID))
        self.cluster.ctl("submit", path)
        again = self.cluster.ctl("submit", path)
        self.assertRegex(again.stdout, "exists already with the same spec")
        self.assertEqual(len(self.cluster.trials("taken")), 2)
        self.refuse(sweep_text("taken", self.corpus, {"norm.alpha": [0, 1]}), r"taken")

    def test_invalid_utf8_is_replaced_and_counted(self):
        path = self.cluster.folder / "latin1.txt"
        path.write_bytes(corpus_text().encode() + "\n\nna\u00efve caf\u00e9\n".encode("latin-1"))
        prepared = subprocess.run(
            [BIN / "mixln-prepare", "--source", path, "--vocab", "400", "--split", "paragraph", "--cache", self.cluster.folder / "cache"],
            capture_output=True, text=True, check=True)
        folder = pathlib.Path(json.loads(prepared.stdout.splitlines()[-1])["dataset_dir"])
        # "ï" followed by "v", and "é" at the end: two bytes that are not UTF-8.
        self.assertRegex((folder / "dataset.json").read_text(), r'invalid_utf8\w*"\s*:\s*2\b')

    def test_a_file_that_is_not_there(self):
        done = self.cluster.ctl("submit", self.cluster.folder / "absent.yaml", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("absent.yaml", done.stderr)

    def test_unknown_names_are_not_found_with_a_suggestion(self):
        path = self.cluster.write("known.yaml", sweep_text("known", self.corpus, GRID))
        self.cluster.ctl("submit", path)
        for arguments in (("describe", "sweep", "knwon"), ("results", "knwon"), ("cancel", "knwon")):
            done = self.cluster.ctl(*arguments, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stderr, r"knwon.*known")
        self.assertEqual(self.cluster.ctl("wait", "knwon", check=False).returncode, 102)


class BadSurroundings(unittest.TestCase):
    def test_a_coordinator_that_is_not_there(self):
        with socket.socket() as held:  # bound and never listening: connections are refused
            held.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{held.getsockname()[1]}"
            done = subprocess.run([BIN / "mixlnctl", "--coordinator", address, "get", "sweeps"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn(address, done.stderr)
        self.assertIn("mixlnctl up", done.stderr)

    def run_coordinator(self, *flags):
        return subprocess.run([BIN / "mixln-coordinator", *map(str, flags)], capture_output=True, text=True, timeout=60)

    def test_a_port_in_use(self):
        with Cluster() as cluster, socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            done = self.run_coordinator("--listen", address, "--metrics-listen", "127.0.0.1:0", "--state-dir", cluster.folder / "other")
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, rf"{address}.*in use")

    def test_a_metrics_port_in_use_and_a_folder_that_cannot_be_written_stop_a_worker(self):
        with Cluster() as cluster:
            def worker(**changes):
                flags = {"state_dir": cluster.folder / "w", "artifacts": cluster.folder / "a", "metrics_listen": "127.0.0.1:0", **changes}
                flags = [word for name, value in flags.items() for word in ("--" + name.replace("_", "-"), str(value))]
                done = subprocess.run([BIN / "mixln-worker", "--coordinator", f"127.0.0.1:{cluster.port}", *flags],
                                      capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 1)
                return done.stderr
            taken = cluster.coordinator.address["metrics"]
            self.assertRegex(worker(metrics_listen=taken), rf"{taken}.*in use")
            self.assertRegex(worker(metrics_listen="0.0.0.0:0"), "loopback")
            blocked = cluster.write("file", "a file where a folder should be")
            self.assertIn(str(blocked), worker(state_dir=blocked / "state"))
            self.assertIn(str(blocked), worker(artifacts=blocked / "artifacts"))

    def test_a_state_folder_that_cannot_be_written(self):
        with Cluster() as cluster:
            blocked = cluster.write("file", "a file where a folder should be")
            done = self.run_coordinator("--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--state-dir", blocked / "state")
            self.assertEqual(done.returncode, 1)
            self.assertIn(str(blocked), done.stderr)

    def test_a_second_coordinator_on_one_state_folder(self):
        with Cluster() as cluster:
            done = self.run_coordinator("--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--state-dir", cluster.folder / "coordinator")
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, r"another coordinator")

    def test_no_listening_off_the_loopback(self):
        done = self.run_coordinator("--listen", "0.0.0.0:0", "--metrics-listen", "127.0.0.1:0", "--state-dir", "unused")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"loopback")

    def test_a_client_of_another_major_version_is_refused_and_the_previous_minor_works(self):
        with Cluster() as cluster, grpc.insecure_channel(f"127.0.0.1:{cluster.port}") as channel:
            list_sweeps = channel.unary_unary("/mixln.v1.SweepService/ListSweeps")
            version = json.loads(cluster.ctl("version", "-o", "json").stdout)["client"]
            major, minor, _ = map(int, version.split("."))
            self.assertEqual(major, 0)  # before 1.0 the minor number counts as the major one
            for works in (version, f"0.{minor}.99", f"0.{minor - 1}.0"):
                list_sweeps(b"", metadata=[("mixln-version", works)])
            for refused in (f"0.{minor + 2}.0", "9.0.0", "newest"):
                with self.assertRaises(grpc.RpcError) as error:
                    list_sweeps(b"", metadata=[("mixln-version", refused)])
                self.assertEqual(error.exception.code(), grpc.StatusCode.FAILED_PRECONDITION)
                self.assertIn(refused, error.exception.details())


if __name__ == "__main__":
    unittest.main(verbosity=2)
