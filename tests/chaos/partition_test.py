"""Promises 3 and 4 between hosts that are network namespaces: partitions both ways and one way, and a slow network."""
import pathlib
import shutil
import subprocess
import sys
import unittest

from chaos import BIN, PACE, ChaosCluster, ChaosTest, environment
from cluster import Daemon, wait_until
from three_hosts_test import ADDRESSES, SKIPPED, Hosts, ip

HEAD = f"{ADDRESSES['head']}:7410"
SLOW = f"{ADDRESSES['head']}:7420"
DELAY_SECONDS = 0.3
STEPS = 60
FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"


class HostsCluster(ChaosCluster):
    """A coordinator on one host, workers on the others; one trial each."""

    def __init__(self, hosts, lease_seconds):
        self.hosts = hosts
        super().__init__(lease_seconds=lease_seconds)

    def start_coordinator(self):
        self.coordinator = Daemon(
            "coordinator", self.folder, *self.hosts.on("head", BIN / "mixln-coordinator"), "--listen", HEAD, "--insecure-no-tls",
            "--metrics-listen", "127.0.0.1:0", "--state-dir", self.coordinator_folder, *self.coordinator_flags)

    def start_worker_on(self, host, coordinator=HEAD):
        self.workers[host] = Daemon(
            host, self.folder, *self.hosts.on(host, BIN / "mixln-worker"), "--coordinator", coordinator, "--state-dir",
            self.folder / host, "--artifacts", self.folder / "artifacts", "--metrics-listen", "127.0.0.1:0", "--slots", "1",
            "--trainer", BIN / "mixln-fake-trainer")

    def ctl(self, *arguments, check=True, stdin=None):
        return subprocess.run(self.hosts.on("head", BIN / "mixlnctl", "--coordinator", HEAD, *arguments), check=check,
                              capture_output=True, text=True, input=stdin, timeout=300)

    def series(self, host):
        """How many loss series a host's worker shows."""
        address = self.workers[host].address["metrics"]
        text = subprocess.run(self.hosts.on(host, sys.executable, "-c", FETCH, f"http://{address}/metrics"), check=True,
                              capture_output=True, text=True).stdout
        return sum(line.startswith("mixln_loss{") for line in text.splitlines())


class Partition(ChaosTest):
    def setUp(self):
        self.hosts = self.enterContext(Hosts())

    def begin(self, lease_seconds):
        """The cluster; its ranks stop in the middle of a trial until there is a gate."""
        self.cluster = self.enterContext(HostsCluster(self.hosts, lease_seconds))
        self.gate = self.cluster.folder / "gate"
        self.enterContext(environment(MIXLN_FAKE_TRAINER=f"{PACE},wait:{self.gate}@{STEPS // 2}"))
        self.gate.touch()

    def on(self, host, *words):
        subprocess.run(self.hosts.on(host, "ip", *words), check=True, capture_output=True)

    def partitions(self):
        """(name, how it begins, how it ends) of each, all between gpu-1 and the coordinator."""
        head, worker = ADDRESSES["head"], ADDRESSES["gpu-1"]
        link = ("-n", self.hosts.names["head"], "link", "set", "gpu-1")
        return [("nothing passes", lambda: ip(*link, "down"), lambda: ip(*link, "up")),
                ("the worker is not heard", lambda: self.on("gpu-1", "route", "add", "blackhole", f"{head}/32"),
                 lambda: self.on("gpu-1", "route", "del", "blackhole", f"{head}/32")),
                ("the worker does not hear", lambda: self.on("head", "route", "add", "blackhole", f"{worker}/32"),
                 lambda: self.on("head", "route", "del", "blackhole", f"{worker}/32"))]

    def lost(self):
        states = {w["id"]: w["state"] for w in self.cluster.json("nodes")["workers"]}
        return states[self.cluster.workers["gpu-1"].address["worker_id"]] == "WORKER_STATE_LOST"

    def test_promises_3_and_4_a_partition_costs_no_number(self):
        self.begin(lease_seconds=2)
        for host in ("gpu-1", "gpu-2"):
            self.cluster.start_worker_on(host)
        calm = self.cluster.calm_numbers(steps=STEPS)
        for number, (name, begin, end) in enumerate(self.partitions()):
            sweep = f"stormy-{number}"
            self.gate.unlink()
            self.cluster.submit(sweep, steps=STEPS)
            wait_until(lambda: all(trial["checkpoints"] for trial in self.cluster.trials(sweep).values()), "checkpoints of both")
            fenced = [pid for pid, folder in self.cluster.rank_pids().items() if "/gpu-1/" in folder]
            self.assertTrue(fenced and self.cluster.series("gpu-1"), name)
            begin()
            wait_until(self.lost, f"gpu-1 to be lost when {name}", 20)  # promise 3
            self.gate.touch()
            wait_until(lambda: self.cluster.series("gpu-1") == 0, "its series to vanish", 20)  # promise 4
            end()
            wait_until(lambda: not self.lost(), f"gpu-1 to be back after {name}")
            self.cluster.follow(sweep)
            self.check(self.cluster, sweep, calm, name)
            causes = sorted(t["attempts"][0].get("cause") for t in self.cluster.trials(sweep).values() if len(t["attempts"]) > 1)
            self.assertEqual(causes, ["FAILURE_CAUSE_WORKER_LOST"], name)
            resumed = [int(t["attempts"][1]["resume_step"]) for t in self.cluster.trials(sweep).values() if len(t["attempts"]) > 1]
            self.assertGreater(resumed[0], 0, "it went on from a checkpoint")

    def test_a_slow_network_costs_nothing(self):
        self.begin(lease_seconds=8)
        relay = subprocess.Popen(self.hosts.on("head", sys.executable, pathlib.Path(__file__).with_name("relay.py"), SLOW, HEAD,
                                               str(DELAY_SECONDS)), stdout=subprocess.PIPE, text=True)
        self.addCleanup(relay.wait)
        self.addCleanup(relay.terminate)
        self.assertEqual(relay.stdout.readline(), "ready\n")
        self.addCleanup(relay.stdout.close)
        self.cluster.start_worker_on("gpu-1")
        calm = self.cluster.calm_numbers()
        self.cluster.workers.pop("gpu-1").terminate()
        for host in ("gpu-1", "gpu-2"):
            self.cluster.start_worker_on(host, SLOW)
        self.cluster.submit("slow")
        self.cluster.follow("slow")
        self.check(self.cluster, "slow", calm, "a slow network")
        self.assertEqual([len(t["attempts"]) for t in self.cluster.trials("slow").values()], [1, 1])


if __name__ == "__main__":
    if shutil.which("ip") is None or subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode != 0:
        print("skipped: this machine does not let us make network namespaces")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
