"""Promise 12, its second half: every call has an identity, and only what that identity's role may do is done."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from unittest import mock

import grpc

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "bench" / "control_plane"))
import api
from certs import Certs, SecureCluster
from cluster import BIN, FAST, corpus_text, sweep_text, wait_until

ROLES = ("viewer", "operator", "admin", "worker")
UNKNOWN = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE)
DEADLINE_SECONDS = 20


def may(role, method):
    """The roles in words, written down a second time: who reads, who runs sweeps, who runs the fleet, who trains."""
    if method == "Connect":
        return role == "worker"
    if method == "DrainWorker":
        return role == "admin"
    if method.startswith(("Get", "List", "Read", "Watch")):
        return role in ("viewer", "operator", "admin")
    return role in ("operator", "admin")


def methods():
    """(service, method) of everything in proto/mixln/v1."""
    for file in sorted((api.ROOT / "proto" / "mixln" / "v1").glob("*.proto")):
        for service in api.POOL.FindFileByName(f"mixln/v1/{file.name}").services_by_name.values():
            yield from ((service.name, method.name) for method in service.methods)


class Access(unittest.TestCase):
    def setUp(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.certs = Certs(folder / "certs")
        self.tokens = folder / "tokens"
        self.revoked = folder / "revoked"
        self.revoked.touch()
        self.token = {role: self.new_token(role, "script") for role in ("viewer", "operator", "admin")}
        self.cluster = self.enterContext(
            SecureCluster(self.certs, *FAST, "--tokens", self.tokens, "--revoked", self.revoked))

    def new_token(self, role, name, *flags):
        done = subprocess.run([BIN / "mixlnctl", "tokens", "issue", role, name, "--file", self.tokens, *flags], check=True,
                              capture_output=True, text=True)
        return done.stdout.strip()

    def channel(self, stem=None, token=None):
        """A channel with a certificate, with a token, or with neither."""
        authority = self.certs.path("ca", "crt").read_bytes()
        credentials = grpc.ssl_channel_credentials(authority)
        if stem is not None:
            credentials = grpc.ssl_channel_credentials(authority, self.certs.path(stem, "key").read_bytes(),
                                                       self.certs.path(stem, "crt").read_bytes())
        if token is not None:
            credentials = grpc.composite_channel_credentials(credentials, grpc.access_token_call_credentials(token))
        return self.enterContext(grpc.secure_channel(f"localhost:{self.cluster.port}", credentials, api.OPTIONS))

    def call(self, channel, service, name, **fields):
        """How a call with this request ends: its code and its words. A stream is read up to its first message."""
        method = api.method(channel, service, name)
        found = api.POOL.FindServiceByName(f"mixln.v1.{service}").methods_by_name[name]
        request = api.MESSAGES[found.input_type.full_name](**fields)
        try:
            answer = method(iter([request]) if found.client_streaming else request, timeout=DEADLINE_SECONDS)
            if found.server_streaming:
                next(answer, None)
                answer.cancel()
            return grpc.StatusCode.OK, ""
        except grpc.RpcError as error:
            return error.code(), error.details()

    def test_promise_12_every_method_asks_for_its_role(self):
        seen = 0
        for role in ROLES:
            channels = {"certificate": self.channel(self.certs.issue(role, "someone"))}
            if role in self.token:
                channels["token"] = self.channel(token=self.token[role])
            for kind, channel in channels.items():
                for service, name in methods():
                    with self.subTest(role=role, by=kind, method=name):
                        code, words = self.call(channel, service, name)
                        if may(role, name):
                            self.assertNotIn(code, UNKNOWN, words)
                        else:
                            self.assertEqual(code, grpc.StatusCode.PERMISSION_DENIED)
                            self.assertIn(f"{role}/", words)
                        seen += 1
        self.assertGreater(seen, 7 * 20)

    def test_a_worker_is_called_as_its_certificate_says(self):
        hello = api.message("Hello", worker_id="gpu-2", instance=1)
        code, words = self.call(self.channel(self.certs.issue("worker", "gpu-1")), "WorkerSessionService", "Connect", hello=hello)
        self.assertEqual(code, grpc.StatusCode.PERMISSION_DENIED)
        self.assertIn("worker gpu-2 shows the certificate of worker gpu-1", words)
        self.assertIn('mixln_refused_total{reason="identity"} 1\n', self.cluster.metrics(self.cluster.coordinator))
        self.assertFalse(self.cluster.json("nodes").get("workers"))

    def test_promise_12_without_an_identity_nothing_is_answered(self):
        self.certs.sign("nobody", "root/nobody", 1)  # of the right authority, but for no role there is
        ended = self.new_token("admin", "ended", "--days=-2")
        for channel in (self.channel(), self.channel("nobody"), self.channel(token="mixln_guess"), self.channel(token=ended)):
            for service, name in methods():
                with self.subTest(method=name):
                    self.assertEqual(self.call(channel, service, name)[0], grpc.StatusCode.UNAUTHENTICATED)
        self.assertEqual(self.certs_call("/grpc.health.v1.Health/Check"), grpc.StatusCode.OK)  # says nothing about anything
        self.assertEqual(self.certs_call("/mixln.v1.SweepService/DropAll"), grpc.StatusCode.UNIMPLEMENTED)

    def certs_call(self, path):
        try:
            self.channel().unary_unary(path)(b"", timeout=DEADLINE_SECONDS)
            return grpc.StatusCode.OK
        except grpc.RpcError as error:
            return error.code()

    def test_metrics_say_names_of_sweeps_and_numbers_only(self):
        worker = self.cluster.start_secure_worker("gpu-1", "--slots", "1")
        corpus = self.cluster.write("private-corpus.txt", corpus_text())
        self.cluster.ctl("submit", self.cluster.write("seen.yaml", sweep_text("seen", corpus, {"train.seed": [0]})))
        self.cluster.ctl("wait", "seen", "--timeout", "120")
        for daemon in (self.cluster.coordinator, worker):
            text = self.cluster.metrics(daemon)
            self.assertIn("mixln_build_info", text)
            for private in ("private-corpus", str(self.cluster.folder), "ada", "script", *self.token.values(), "BEGIN"):
                self.assertNotIn(private, text)
            for path in ("/", "/audit.jsonl", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd"):
                with self.subTest(daemon=daemon.name, path=path), self.assertRaises(urllib.error.HTTPError) as answer:
                    urllib.request.urlopen(f"http://{daemon.address['metrics']}{path}", timeout=10)
                self.assertEqual(answer.exception.code, 404)

    def test_mixlnctl_takes_a_token_from_a_file(self):
        token = self.cluster.write("token", self.token["viewer"] + "\n")
        as_viewer = ["--coordinator", f"localhost:{self.cluster.port}", "--tls-ca", self.certs.path("ca", "crt"), "--token-file", token]
        done = subprocess.run([BIN / "mixlnctl", "nodes", *as_viewer], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = subprocess.run([BIN / "mixlnctl", "cancel", "nothing", *as_viewer], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertNotIn(self.token["viewer"], self.tokens.read_text())

    def test_a_worker_is_who_its_certificate_says_and_reports_for_itself_only(self):
        self.cluster.start_secure_worker("gpu-1", "--slots", "1")
        corpus = self.cluster.write("corpus.txt", corpus_text())
        self.cluster.ctl("submit", self.cluster.write("own.yaml", sweep_text("own", corpus, {"train.seed": [0]})))
        (trial,) = wait_until(lambda: [t for t in self.cluster.trials("own").values() if t["attempts"]], "an attempt")
        thief = self.channel(self.certs.issue("worker", "gpu-2"))
        code, words = self.call(thief, "WorkerSessionService", "Connect",
                                hello=api.message("Hello", worker_id="gpu-1", instance=99, version="0.1.0"))
        self.assertEqual(code, grpc.StatusCode.PERMISSION_DENIED)
        self.assertIn("gpu-2", words)
        # As itself it may connect; what it then says of the other's attempt changes nothing.
        fence = trial["attempts"][0]["fence"]
        forged = api.message("AttemptReport", trial_id=trial["id"], phase="ATTEMPT_PHASE_ENDED", outcome="ATTEMPT_OUTCOME_FAILED",
                             cause="FAILURE_CAUSE_BAD_CONFIG", message="forged")
        forged.fence.term, forged.fence.epoch = int(fence["term"]), int(fence["epoch"])
        connect = api.method(thief, "WorkerSessionService", "Connect")
        stream = connect(iter([api.message("WorkerMessage", hello=api.message("Hello", worker_id="gpu-2", instance=1, version="0.1.0")),
                               api.message("WorkerMessage", report=forged)]), timeout=DEADLINE_SECONDS)
        self.assertEqual(next(stream).WhichOneof("message"), "welcome")
        list(stream)
        self.assertEqual(self.cluster.ctl("wait", "own", "--timeout", "120", check=False).returncode, 0)
        self.assertNotIn("forged", json.dumps(self.cluster.trial(trial["id"])))

    def test_a_revoked_worker_is_out_within_a_minute_and_its_trial_goes_on_elsewhere(self):
        go = self.cluster.folder / "go"
        with mock.patch.dict(os.environ, {"MIXLN_FAKE_TRAINER": f"wait:{go}@8"}):
            self.cluster.start_secure_worker("gpu-1", "--slots", "1")
        corpus = self.cluster.write("corpus.txt", corpus_text())
        self.cluster.ctl("submit", self.cluster.write("moved.yaml", sweep_text("moved", corpus, {"train.seed": [0]}, steps=12)))
        wait_until(self.cluster.rank_pids, "a rank of gpu-1")
        eve = self.channel(self.certs.issue("viewer", "eve"))
        watch = api.method(eve, "SweepService", "WatchSweep")(api.message("WatchSweepRequest", sweep_id="moved"))
        next(watch)
        self.certs.run("revoke", "worker/gpu-1", "--file", self.revoked)
        self.certs.run("revoke", self.serial("viewer-eve"), "--file", self.revoked)
        begin = time.monotonic()
        wait_until(lambda: self.worker_state("gpu-1") == "WORKER_STATE_LOST", "gpu-1 to be out", 60)
        with self.assertRaises(grpc.RpcError):
            list(watch)
        self.assertLess(time.monotonic() - begin, 60)
        self.assertEqual(self.call(eve, "SweepService", "ListSweeps")[0], grpc.StatusCode.PERMISSION_DENIED)
        wait_until(lambda: "worker/gpu-1 is revoked" in self.cluster.workers["gpu-1"].log.read_text(), "gpu-1 to say why")
        self.cluster.start_secure_worker("gpu-2", "--slots", "1")
        self.assertEqual(self.cluster.ctl("wait", "moved", "--timeout", "120", check=False).returncode, 0)

    def serial(self, stem):
        return re.search(r"serial +(\w+)", self.certs.run("show", self.certs.path(stem, "crt"))).group(1)

    def worker_state(self, worker_id):
        return {w["id"]: w["state"] for w in self.cluster.json("nodes")["workers"]}.get(worker_id)


if __name__ == "__main__":
    unittest.main(verbosity=2)
