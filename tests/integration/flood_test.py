"""Nothing falls over: oversized requests, floods, streams that never end, and connections that say nothing."""
import json
import pathlib
import socket
import sys
import tempfile
import unittest

import grpc

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "bench" / "control_plane"))
import api
from certs import Certs, SecureCluster
from cluster import FAST, Cluster, corpus_text, sweep_text, wait_until

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


def outcome(call):
    """How a call that was begun ends."""
    try:
        call.result(timeout=60)
        return grpc.StatusCode.OK
    except grpc.RpcError as error:
        return error.code()


class Flood(unittest.TestCase):
    def setUp(self):
        self.certs = Certs(self.enterContext(tempfile.TemporaryDirectory()))
        self.cluster = self.enterContext(SecureCluster(self.certs, *FAST))
        self.flooder = self.channel("operator", "flooder")

    def channel(self, role, name):
        stem = self.certs.issue(role, name)
        credentials = grpc.ssl_channel_credentials(*(self.certs.path(s, k).read_bytes() for s, k in (
            ("ca", "crt"), (stem, "key"), (stem, "crt"))))
        return self.enterContext(grpc.secure_channel(f"localhost:{self.cluster.port}", credentials, api.OPTIONS))

    def test_who_asks_too_often_or_for_too_much_is_told_so_and_nobody_else_suffers(self):
        self.cluster.start_secure_worker("gpu-1", "--slots", "1")
        corpus = self.cluster.write("corpus.txt", corpus_text())
        self.cluster.ctl("submit", self.cluster.write("calm.yaml", sweep_text("calm", corpus, {"train.seed": [0]}, steps=200)))
        create = api.method(self.flooder, "SweepService", "CreateSweep")
        for size in (17 << 20, 200 << 20):
            huge = api.message("CreateSweepRequest", sweep_id="huge", source_text="x" * size)
            self.assertEqual(outcome(create.future(huge, timeout=60)), EXHAUSTED)
        listing = api.method(self.flooder, "SweepService", "ListSweeps")
        outcomes = [outcome(call) for call in [listing.future(api.message("ListSweepsRequest"), timeout=60) for _ in range(2000)]]
        self.assertEqual(set(outcomes), {grpc.StatusCode.OK, EXHAUSTED})
        self.assertEqual(self.cluster.ctl("get", "sweeps").returncode, 0)  # another caller, meanwhile
        self.assertEqual(self.cluster.ctl("wait", "calm", "--timeout", "120", check=False).returncode, 0)
        (trial,) = self.cluster.trials("calm").values()
        self.assertEqual(len(trial["attempts"]), 1)  # no lease was lost

    def test_open_streams_and_silent_connections_take_nobody_elses_place(self):
        watch = api.method(self.flooder, "SweepService", "WatchSweep")
        corpus = self.cluster.write("corpus.txt", corpus_text())
        self.cluster.ctl("submit", self.cluster.write("w.yaml", sweep_text("w", corpus, {"train.seed": [0]})))  # waits: no worker
        streams = [watch(api.message("WatchSweepRequest", sweep_id="w"), timeout=60) for _ in range(64)]
        for stream in streams:
            next(stream)
        with self.assertRaises(grpc.RpcError) as refused:
            next(watch(api.message("WatchSweepRequest", sweep_id="w"), timeout=60))
        self.assertEqual(refused.exception.code(), EXHAUSTED)
        silent = [self.enterContext(socket.create_connection(("127.0.0.1", self.cluster.port))) for _ in range(200)]
        self.assertEqual(self.cluster.ctl("nodes").returncode, 0)
        for stream in streams:
            stream.cancel()
        wait_until(lambda: outcome(api.method(self.flooder, "SweepService", "ListSweeps").future(
            api.message("ListSweepsRequest"))) == grpc.StatusCode.OK, "the places to be free again")
        silent[0].settimeout(60)
        self.assertEqual(silent[0].recv(1), b"")  # who says nothing is cut off

    def test_every_change_is_recorded_and_no_secret(self):
        corpus = self.cluster.write("corpus.txt", corpus_text())
        self.cluster.ctl("submit", self.cluster.write("audited.yaml", sweep_text("audited", corpus, {"train.seed": [0]})))
        self.cluster.ctl("get", "sweeps")  # no change
        self.cluster.ctl("cancel", "audited")
        viewer = self.channel("viewer", "eve")
        code = outcome(api.method(viewer, "SweepService", "CancelSweep").future(api.message("CancelSweepRequest", sweep_id="audited")))
        self.assertEqual(code, grpc.StatusCode.PERMISSION_DENIED)
        file = self.cluster.coordinator_folder / "audit.jsonl"
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        said = [(e["who"], e["method"].rsplit("/", 1)[1], e.get("about"), e["outcome"]) for e in lines]
        self.assertEqual(said, [("admin/ada", "CreateSweep", "audited", "OK"), ("admin/ada", "CancelSweep", "audited", "OK"),
                                ("viewer/eve", "CancelSweep", None, "PERMISSION_DENIED")])
        self.assertTrue(lines[0]["request_id"])
        serials = self.certs.run("show", self.certs.path("admin-ada", "crt"))
        for entry in lines[:2]:
            self.assertIn(entry["certificate"], serials)
            self.assertIn("127.0.0.1", entry["from"])
            self.assertRegex(entry["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertNotIn("PRIVATE", file.read_text())


class FloodWithoutTls(unittest.TestCase):
    """On the loopback nobody has a name; sizes hold all the same, and each connection has its own limits."""

    def setUp(self):
        self.cluster = self.enterContext(Cluster(*FAST))
        self.flooder, self.other = self.channel(), self.channel()

    def channel(self):
        options = [*api.OPTIONS, ("grpc.use_local_subchannel_pool", 1)]  # else both would share a connection
        return self.enterContext(grpc.insecure_channel(f"127.0.0.1:{self.cluster.port}", options))

    def list_sweeps(self, channel):
        return api.method(channel, "SweepService", "ListSweeps").future(api.message("ListSweepsRequest"), timeout=60)

    def test_a_wild_script_is_told_so_and_nobody_else_suffers(self):
        self.cluster.start_fake_worker("worker", "--slots", "1")
        corpus = self.cluster.write("corpus.txt", corpus_text())
        self.cluster.ctl("submit", self.cluster.write("calm.yaml", sweep_text("calm", corpus, {"train.seed": [0]}, steps=200)))
        huge = api.message("CreateSweepRequest", sweep_id="huge", source_text="x" * (17 << 20))
        self.assertEqual(outcome(api.method(self.flooder, "SweepService", "CreateSweep").future(huge, timeout=60)), EXHAUSTED)
        outcomes = set()

        def flood():
            outcomes.update(outcome(call) for call in [self.list_sweeps(self.flooder) for _ in range(3000)])
            return EXHAUSTED in outcomes
        wait_until(flood, "the flooder to be told so")
        self.assertEqual(outcomes, {grpc.StatusCode.OK, EXHAUSTED})
        self.assertEqual(outcome(self.list_sweeps(self.other)), grpc.StatusCode.OK)
        self.assertEqual(self.cluster.ctl("wait", "calm", "--timeout", "120", check=False).returncode, 0)
        (trial,) = self.cluster.trials("calm").values()
        self.assertEqual(len(trial["attempts"]), 1)  # no lease was lost

    def test_open_streams_take_nobody_elses_place(self):
        corpus = self.cluster.write("corpus.txt", corpus_text())
        self.cluster.ctl("submit", self.cluster.write("w.yaml", sweep_text("w", corpus, {"train.seed": [0]})))  # waits: no worker
        watch = api.method(self.flooder, "SweepService", "WatchSweep")
        streams = [watch(api.message("WatchSweepRequest", sweep_id="w"), timeout=60) for _ in range(64)]
        for stream in streams:
            next(stream)
        self.assertEqual(outcome(self.list_sweeps(self.flooder)), EXHAUSTED)
        self.assertEqual(outcome(self.list_sweeps(self.other)), grpc.StatusCode.OK)
        for stream in streams:
            stream.cancel()
        wait_until(lambda: outcome(self.list_sweeps(self.flooder)) == grpc.StatusCode.OK, "the places to be free again")


if __name__ == "__main__":
    unittest.main(verbosity=2)
