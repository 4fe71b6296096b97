"""A sweep on two workers, scraped by a real Prometheus with the deployed rules: every query of every panel, variable, annotation and
rule has an answer with the labels that it names; docs/metrics.md lists what is exported, and the dashboards are what generate.py builds.
"""
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request

import yaml

import certs
import cluster as clusters

DEPLOY = clusters.ROOT / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
RULES = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())
NAME = re.compile(r"\bmixln[a-z_]*\b(?!:)")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    """The real server with the deployed configuration; only targets, interval and rule path are the test's."""

    def __init__(self, folder, coordinator, workers):
        config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(DEPLOY / "prometheus" / "rules.yml")]
        targets = {"mixln-coordinator": [coordinator], "mixln-worker": workers}
        for scrape in config["scrape_configs"]:
            scrape["static_configs"] = [{"targets": targets[scrape["job_name"]]}]
        path = folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(config))
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log = open(folder / "prometheus.log", "wb")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder / 'tsdb'}",
             f"--web.listen-address={self.url.removeprefix('http://')}"], stdout=self.log, stderr=self.log)

    def get(self, path, **parameters):
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters, True)}", timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {parameters}: {error.read().decode()}") from error
        except (urllib.error.URLError, ConnectionError):
            return None  # not up yet

    def query(self, expression):
        answer = self.get("query", query=expression)
        return answer and answer["result"]

    def end(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


def filled(expression, sweep, trial):
    """The expression as Grafana sends it once a user has chosen."""
    for variable, value in (("sweep", sweep), ("trial", trial), ("alpha", ".*"), ("placement", ".*")):
        expression = expression.replace(f"${variable}", value)
    return expression


def selectors(expression):
    """The parts of an alert's expression that name a series: an alert itself answers only when it fires."""
    return re.findall(r"\b(?:mixln[a-z0-9_:]*|up)\b(?:\{[^}]*\})?", expression)


class Monitoring(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.certs = tempfile.TemporaryDirectory()
        authority = certs.Certs(cls.certs.name)
        cls.cluster = certs.SecureCluster(authority)
        try:
            workers = [cls.cluster.start_worker(name, *authority.flags(authority.issue("worker", name)), "--slots", "1")
                       for name in ("one", "two")]
            cls.prometheus = Prometheus(cls.cluster.folder, cls.cluster.coordinator.address["metrics"],
                                        [w.address["metrics"] for w in workers])
            source = cls.cluster.write("corpus.txt", clusters.corpus_text())
            spec = cls.cluster.write("s.yaml", clusters.sweep_text(
                "watched", source, {"norm.alpha": [0, 0.5], "train.seed": [0]}, steps=60))
            cls.cluster.ctl("submit", spec)
            cls.cluster.ctl("wait", "watched")
            clusters.wait_until(lambda: len(cls.prometheus.query('mixln_perplexity{sweep="watched"}') or []) == 2,
                                "Prometheus to scrape both trials")
            clusters.wait_until(lambda: cls.prometheus.query("mixln:attempt:max"), "the rules to be evaluated")
            cls.trial = cls.prometheus.query('mixln_step{sweep="watched"}')[0]["metric"]["trial"]
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        if hasattr(cls, "prometheus"):
            cls.prometheus.end()
        cls.cluster.__exit__(None)
        cls.certs.cleanup()

    def answers(self, expression):
        """Its result; a rate needs two scrapes, so look again for a while."""
        return clusters.wait_until(lambda: self.prometheus.query(filled(expression, "watched", self.trial)),
                                   f"an answer to {expression}", deadline_seconds=30)

    def test_every_panel_has_data_with_the_labels_that_its_legend_names(self):
        self.assertEqual([path.stem for path in DASHBOARDS], ["fleet", "sweep", "trial"])
        for path in DASHBOARDS:
            for panel in json.loads(path.read_text())["panels"]:
                self.assertTrue(panel["description"], panel["title"])
                self.assertTrue(panel["fieldConfig"]["defaults"]["unit"], panel["title"])
                for target in panel["targets"]:
                    with self.subTest(dashboard=path.stem, panel=panel["title"]):
                        result = self.answers(target["expr"])
                        for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                            for series in result:
                                self.assertTrue(series["metric"].get(label), f"{label} of {series}")

    def test_a_sweep_shows_every_alpha_and_every_layer(self):
        result = self.answers('mixln_layer_gradient_norm{sweep=~"$sweep"}')
        self.assertEqual({(s["metric"]["alpha"], s["metric"]["layer"]) for s in result},
                         {(alpha, str(layer)) for alpha in ("0", "0.5") for layer in range(4)})
        for series in result:
            self.assertGreater(float(series["value"][1]), 0)

    def test_every_variable_has_choices_and_every_annotation_an_expression(self):
        for path in DASHBOARDS:
            board = json.loads(path.read_text())
            for variable in board["templating"]["list"]:
                if variable["type"] != "query":
                    continue
                series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]).groups()
                with self.subTest(dashboard=path.stem, variable=label):
                    found = self.answers(series)
                    self.assertTrue(any(s["metric"].get(label) for s in found))
            for annotation in board["annotations"]["list"] if board.get("annotations") else []:
                if annotation.get("expr"):
                    for selector in selectors(annotation["expr"]):
                        self.answers(selector)
            self.assertEqual([link["tags"] for link in board["links"]], [["mixln"]])

    def test_every_rule_has_data(self):
        for group in RULES["groups"]:
            for rule in group["rules"]:
                with self.subTest(rule=rule.get("record") or rule["alert"]):
                    for expression in [rule["expr"]] if "record" in rule else selectors(rule["expr"]):
                        self.answers(expression)
        loaded = [r for g in self.prometheus.get("rules")["groups"] for r in g["rules"]]
        self.assertEqual({r["health"] for r in loaded}, {"ok"}, loaded)

    def test_the_document_lists_exactly_what_is_exported(self):
        daemons = [self.cluster.coordinator, *self.cluster.workers.values()]
        text = "".join(self.cluster.metrics(daemon) for daemon in daemons)
        exported = set(re.findall(r"(?m)^# TYPE (mixln_\w+) ", text))
        documented = set(NAME.findall((clusters.ROOT / "docs" / "metrics.md").read_text()))
        self.assertEqual(exported, documented)
        self.assertNotRegex(text, r'[{,]job="')


class Files(unittest.TestCase):
    def test_the_dashboards_are_what_the_generator_builds(self):
        done = subprocess.run([sys.executable, DEPLOY / "grafana" / "generate.py", "--check"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_rules_fire_when_they_should_and_only_then(self):
        done = subprocess.run(["promtool", "test", "rules", DEPLOY / "prometheus" / "rules_test.yml"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        tested = (DEPLOY / "prometheus" / "rules_test.yml").read_text()
        for group in RULES["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    self.assertIn(f"alertname: {rule['alert']}", tested)

    def test_prometheus_takes_both_configurations(self):
        # Debian builds Prometheus without the discovery of pods: its part is replaced, the relabelling is checked.
        for name in ("prometheus.yml", "prometheus-kubernetes.yml"):
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                config = yaml.safe_load((DEPLOY / "prometheus" / name).read_text())
                for scrape in config["scrape_configs"]:
                    if scrape.pop("kubernetes_sd_configs", None):
                        scrape["static_configs"] = [{"targets": ["127.0.0.1:1"]}]
                path = pathlib.Path(folder) / name
                path.write_text(yaml.safe_dump(config))
                shutil.copy(DEPLOY / "prometheus" / "rules.yml", folder)
                done = subprocess.run(["promtool", "check", "config", path], capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
