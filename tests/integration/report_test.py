"""`mixlnctl compare` and `mixlnctl report` of a sweep that the real daemons ran with the fake trainer: what is shown is what the API says."""
import html.parser
import re
import unittest
import xml.etree.ElementTree

from cluster import FAST, Cluster, corpus_text, sweep_text

VOID = {"meta", "br", "link", "img"}


class Page(html.parser.HTMLParser):
    """A page's tables, ids and text; every element has to be closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.tags, self.rows, self.cells = [], [], set(), [], None
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        attributes = dict(attributes)
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(*FAST))
        corpus = cls.cluster.write("corpus.txt", corpus_text())
        cls.cluster.start_fake_worker("worker", "--slots", "2")
        cls.parameters = {"norm.alpha": [0, 0.5, 1], "train.seed": [0, 1]}
        for name, parameters in (("shown", cls.parameters), ("other", {"train.lr": [1e-3, 2e-3]})):
            cls.cluster.ctl("submit", cls.cluster.write(f"{name}.yaml", sweep_text(name, corpus, parameters, steps=60)))
            cls.cluster.ctl("wait", name, "--timeout", "120")
        cls.results = cls.cluster.json("results", "shown")

    def page(self):
        return self.cluster.ctl("report", "shown", "--to", "-").stdout

    def test_the_page_stands_alone(self):
        text = self.page()
        page = Page(text)
        self.assertEqual(page.ids, ["results", "alpha", "evaluation", "training", "gradients", "file"])
        self.assertFalse(page.tags & {"script", "link", "img", "iframe", "object", "use", "image"})
        self.assertNotRegex(text, r"https?:|//|src=|href=|url\(|@import")
        self.assertIn("prefers-color-scheme:dark", text)
        target = self.cluster.folder / "kept.html"
        self.cluster.ctl("report", "shown", "--to", target)
        without_time = [re.sub(r"\d\d:\d\d:\d\d UTC; sweep", "", t) for t in (target.read_text(), text)]
        self.assertEqual(*without_time)

    def test_the_table_has_the_numbers_of_the_results(self):
        header, *rows = Page(self.page()).rows
        self.assertEqual(header[1:4], ["norm.alpha", "post layers", "perplexity"])
        self.assertEqual(len(rows), len(self.results["rows"]))
        for cells, row in zip(rows, self.results["rows"]):
            self.assertEqual(cells[0], "★" if row["best"] else "")
            self.assertEqual(float(cells[1]), row["alpha"])
            self.assertEqual(cells[3], f"{row['perplexity_mean']:.2f} ± {row['perplexity_stddev']:.2f}")

    def test_the_charts_show_the_curves_of_the_api(self):
        charts = [xml.etree.ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", self.page(), re.S)]
        self.assertEqual([chart.get("aria-label") for chart in charts],
                         ["Perplexity over alpha", "Validation loss", "Training loss", "Gradient norm of each layer"])
        said = {title.text for title in charts[0].iter("title")}
        for row in self.results["rows"]:
            self.assertTrue(any(f"layers {row['alpha']:g}, perplexity {row['perplexity_mean']:.6g}" in words for words in said), said)
        # The lower a mean, the lower it is drawn; the star is the best one's.
        height = {float(re.search(r"layers ([\d.]+)", dot[0].text)[1]): float(dot.get("cy")) for dot in charts[0].iter("circle")}
        others = [row for row in self.results["rows"] if not row["best"]]
        self.assertEqual(sorted(height, key=height.get, reverse=True), [row["alpha"] for row in others])
        self.assertEqual(len(list(charts[0].iter("polygon"))), 1)
        # The fake trainer's gradient norms are 1 / layer.
        for layer in range(1, 5):
            self.assertIn(f"layer {layer}, gradient norm {1 / layer:.6g}", "".join(t.text for t in charts[3].iter("title")))
        # A point for each of 60 steps but those before the sixth.
        lines = [path.get("d") for path in charts[2].iter("path") if path.get("class") == "line"]
        self.assertEqual([len(re.findall("[ML]", line)) for line in lines], [55, 55, 55])

    def test_compare_puts_sweeps_and_trials_side_by_side(self):
        both = self.cluster.json("compare", "shown", "other-1")
        self.assertEqual([c["name"] for c in both["candidates"]],
                         [f"shown alpha={r['parameters'][0]['value']}" for r in self.results["rows"]] + ["other-1"])
        for candidate, row in zip(both["candidates"], self.results["rows"]):
            self.assertEqual(candidate["perplexity_mean"], row["perplexity_mean"])
            self.assertEqual(candidate["differing_settings"]["train.seed"], "0, 1")
        other = both["candidates"][-1]
        self.assertEqual((other["differing_settings"]["train.lr"], other["differing_settings"]["train.seed"]), ("0.002", "0"))
        self.assertEqual(both["common_steps"], [10, 20, 30, 40, 50, 60])
        self.assertEqual(other["eval_loss"]["mean"][-1], self.cluster.trial("other-1")["progress"]["eval_loss"])
        table = self.cluster.ctl("compare", "other").stdout
        self.assertRegex(table, r"(?m)^train\.lr +0\.00[12] +0\.00[12]$")
        self.assertRegex(table, r"(?m)^loss at step 60 +[\d.]+ +[\d.]+$")
        self.assertNotIn("norm.alpha", table)
        refused = self.cluster.ctl("compare", "other-1", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("nothing to compare other-1 with", refused.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
