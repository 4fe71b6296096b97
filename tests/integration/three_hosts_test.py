"""Three hosts as network namespaces: TLS on, a coordinator on one, a worker on each of the others, a trial of two ranks across
both, scraped by a real Prometheus; a worker whose certificate is revoked in the middle is out within a minute."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

from certs import Certs
from cluster import BIN, Daemon, corpus_text, sweep_text, wait_until

ADDRESSES = {"head": "10.77.0.1", "gpu-1": "10.77.0.2", "gpu-2": "10.77.0.3"}
SKIPPED = 77


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Hosts(contextlib.AbstractContextManager):
    """Namespaces that reach each other through a bridge in the first one, and nothing else."""

    def __init__(self):
        self.names = {host: f"mixln-{os.getpid()}-{host}" for host in ADDRESSES}
        head = self.names["head"]
        for host in ADDRESSES:
            ip("netns", "add", self.names[host])
            ip("-n", self.names[host], "link", "set", "lo", "up")
        ip("-n", head, "link", "add", "bridge", "type", "bridge")
        ip("-n", head, "addr", "add", f"{ADDRESSES['head']}/24", "dev", "bridge")
        ip("-n", head, "link", "set", "bridge", "up")
        for host in ("gpu-1", "gpu-2"):
            ip("-n", head, "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", self.names[host])
            ip("-n", head, "link", "set", host, "master", "bridge", "up")
            ip("-n", self.names[host], "addr", "add", f"{ADDRESSES[host]}/24", "dev", "eth0")
            ip("-n", self.names[host], "link", "set", "eth0", "up")

    def __exit__(self, *_):
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], check=False)

    def on(self, host, *command):
        """The command as it is run on that host."""
        return ["ip", "netns", "exec", self.names[host], *map(str, command)]


class ThreeHosts(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.hosts = self.enterContext(Hosts())
        self.certs = Certs(self.folder / "certs")
        self.certs.issue("server", "head", "--host", ADDRESSES["head"])
        self.user = self.certs.issue("admin", "ada")
        self.revoked = self.folder / "revoked"
        self.revoked.touch()
        self.coordinator = self.start("head", "mixln-coordinator", "server-head", "--listen", f"{ADDRESSES['head']}:7410",
                                      "--metrics-listen", f"{ADDRESSES['head']}:7411", "--revoked", self.revoked)
        self.workers = {}
        for host in ("gpu-1", "gpu-2"):
            self.workers[host] = self.start(
                host, "mixln-worker", self.certs.issue("worker", host), "--coordinator", f"{ADDRESSES['head']}:7410",
                "--metrics-listen", f"{ADDRESSES[host]}:7412", "--ranks-address", ADDRESSES[host], "--slots", "1",
                "--artifacts", self.folder / "artifacts", "--stop-ranks-on-exit")

    def start(self, host, program, stem, *flags):
        daemon = Daemon(host, self.folder, *self.hosts.on(
            host, BIN / program, *self.certs.flags(stem), "--state-dir", self.folder / host, "--insecure-metrics", *flags))
        self.addCleanup(daemon.terminate)
        return daemon

    def ctl(self, *arguments, check=True):
        return subprocess.run(self.hosts.on("head", BIN / "mixlnctl", *arguments, "--coordinator", f"{ADDRESSES['head']}:7410",
                                            *self.certs.flags(self.user)), check=check, capture_output=True, text=True)

    def submit(self, name, steps):
        corpus = self.folder / "corpus.txt"
        corpus.write_text(corpus_text())
        sweep = self.folder / f"{name}.yaml"
        sweep.write_text(sweep_text(name, corpus, {"train.seed": [0]}, steps=steps, more="  resources: {ranks: 2}\n"))
        self.ctl("submit", sweep)

    def trial(self, sweep):
        answer = json.loads(self.ctl("get", "trials", sweep, "-o", "json").stdout)
        return (answer["trials"] if isinstance(answer, dict) else answer)[0]

    def test_a_trial_runs_across_two_hosts_and_prometheus_sees_it(self):
        prometheus = self.start_prometheus()
        self.submit("wide", 30)
        done = self.ctl("wait", "wide", "--timeout", "300", check=False)
        self.assertEqual(done.returncode, 0, self.ctl("describe", "trial", "wide-0").stdout)
        ranks = self.trial("wide")["attempts"][-1]["ranks"]
        self.assertEqual({r["worker_id"] for r in ranks}, {"gpu-1", "gpu-2"})
        for query, expected in (('mixln_perplexity{sweep="wide"}', 1), ('up{job=~"mixln-.*"} == 1', 3), ("mixln_certificate_end_seconds", 6)):
            wait_until(lambda: len(prometheus(query)) == expected, query)

    def start_prometheus(self):
        """A function that asks a Prometheus on the first host, which scrapes all three."""
        config = self.folder / "prometheus.json"  # JSON is YAML
        jobs = {"mixln-coordinator": [f"{ADDRESSES['head']}:7411"], "mixln-worker": [f"{ADDRESSES[h]}:7412" for h in self.workers]}
        config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": targets}]} for job, targets in jobs.items()]}))
        with open(self.folder / "prometheus.log", "wb") as log:
            process = subprocess.Popen(self.hosts.on("head", "prometheus", f"--config.file={config}",
                                                     f"--storage.tsdb.path={self.folder / 'tsdb'}",
                                                     "--web.listen-address=127.0.0.1:9090"), stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        fetch = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"

        def query(expression):
            url = f"http://127.0.0.1:9090/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
            done = subprocess.run(self.hosts.on("head", sys.executable, "-c", fetch, url), capture_output=True, text=True)
            return json.loads(done.stdout)["data"]["result"] if done.returncode == 0 else []
        return query

    def test_a_revoked_worker_is_out_within_a_minute(self):
        self.submit("long", 100_000)
        wait_until(lambda: int(self.trial("long").get("progress", {}).get("step", 0)) > 0, "a step across both hosts")
        begin = time.monotonic()
        self.certs.run("revoke", "worker/gpu-2", "--file", self.revoked)
        states = lambda: {w["id"]: w["state"] for w in json.loads(self.ctl("nodes", "-o", "json").stdout)["workers"]}
        wait_until(lambda: states() == {"gpu-1": "WORKER_STATE_READY", "gpu-2": "WORKER_STATE_LOST"}, "gpu-2 to be out", 60)
        wait_until(lambda: self.trial("long")["state"] == "TRIAL_STATE_PENDING", "its trial to wait for another worker", 60)
        self.assertLess(time.monotonic() - begin, 60)
        self.assertIn("is revoked", wait_until(lambda: self.workers["gpu-2"].log.read_text(), "its log"))
        self.ctl("cancel", "long")


if __name__ == "__main__":
    if shutil.which("ip") is None or subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode != 0:
        print("skipped: this machine does not let us make network namespaces")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
