"""Promise 12, its first half: nobody comes in without TLS and a certificate of the right authority."""
import pathlib
import socket
import ssl
import subprocess
import tempfile
import unittest
from unittest import mock

import grpc

from certs import Certs, SecureCluster
from cluster import BIN, FAST, Cluster, corpus_text, sweep_text, wait_until

REACHED = "/mixln.v1.WorkerAdminService/GetVersion"


def call(port, credentials, method=REACHED):
    """The gRPC code with which an independent client's call of the coordinator ends."""
    target = f"localhost:{port}"
    channel = grpc.insecure_channel(target) if credentials is None else grpc.secure_channel(target, credentials)
    with channel:
        try:
            channel.unary_unary(method)(b"", timeout=20)
            return grpc.StatusCode.OK
        except grpc.RpcError as error:
            return error.code()


def credentials(certs, stem=None, authority=None):
    if stem is None:
        return grpc.ssl_channel_credentials((authority or certs).path("ca", "crt").read_bytes())
    return grpc.ssl_channel_credentials((authority or certs).path("ca", "crt").read_bytes(),
                                        certs.path(stem, "key").read_bytes(), certs.path(stem, "crt").read_bytes())


def handshake(port, certs, stem):
    """Version of TLS and the coordinator's certificate, as Python's own TLS sees them."""
    context = ssl.create_default_context(cafile=certs.path("ca", "crt"))
    context.load_cert_chain(certs.path(stem, "crt"), certs.path(stem, "key"))
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain, server_hostname="localhost") as tls:
        return tls.version(), tls.getpeercert()


class Tls(unittest.TestCase):
    def setUp(self):
        self.certs = Certs(self.enterContext(tempfile.TemporaryDirectory()))
        self.cluster = self.enterContext(SecureCluster(self.certs, *FAST))
        self.port = self.cluster.port

    def test_a_sweep_runs_over_tls(self):
        self.cluster.start_secure_worker("gpu-1", "--slots", "2")
        corpus = self.cluster.write("corpus.txt", corpus_text())
        self.cluster.ctl("submit", self.cluster.write("safe.yaml", sweep_text("safe", corpus, {"train.seed": [0, 1]})))
        done = self.cluster.ctl("wait", "safe", "--timeout", "120", check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(handshake(self.port, self.certs, "admin-ada")[0], "TLSv1.3")

    def test_promise_12_nobody_else_gets_in(self):
        others = Certs(self.enterContext(tempfile.TemporaryDirectory()))
        others.issue("admin", "mallory")
        self.certs.sign("late", "admin/late", -1)
        good = credentials(self.certs, "admin-ada")
        self.assertEqual(call(self.port, good), grpc.StatusCode.OK)
        refused = {
            "without TLS": None,
            "without a certificate": credentials(self.certs),
            "of another authority": credentials(others, "admin-mallory", self.certs),
            "expired": credentials(self.certs, "late"),
            "a server's": credentials(self.certs, "server-coordinator"),
        }
        for what, by in refused.items():
            with self.subTest(what):
                self.assertEqual(call(self.port, by), grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(call(self.port, good), grpc.StatusCode.OK)

    def test_a_coordinator_of_another_authority_or_name_is_not_believed(self):
        others = Certs(self.enterContext(tempfile.TemporaryDirectory()))
        self.assertEqual(call(self.port, credentials(self.certs, "admin-ada", others)), grpc.StatusCode.UNAVAILABLE)
        elsewhere = self.certs.issue("server", "elsewhere", "--host", "elsewhere.example.org")
        with Cluster(*self.certs.flags(elsewhere)) as impostor:
            done = impostor.ctl("nodes", *self.certs.flags("admin-ada"), check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("no coordinator answers", done.stderr)

    def test_programs_say_what_is_wrong_with_their_certificates(self):
        self.certs.sign("late", "worker/late", -1)
        self.certs.issue("worker", "gpu-1")
        wrong = {
            "expired": self.certs.flags("late"),
            "--tls-key is missing": self.certs.flags("worker-gpu-1")[:2],
            "cannot read": [*self.certs.flags("worker-gpu-1")[:5], "/nonexistent"],
            "not that of the certificate": [*self.certs.flags("worker-gpu-1")[:3], self.certs.path("late", "key"),
                                            *self.certs.flags("late")[4:]],
            "purpose": self.certs.flags("server-coordinator"),
        }
        for words, flags in wrong.items():
            with self.subTest(words):
                for program in ([BIN / "mixlnctl", "nodes"], [BIN / "mixln-worker", "--metrics-listen", "127.0.0.1:0"]):
                    done = subprocess.run([*program, *flags, "--coordinator", f"127.0.0.1:{self.port}"],
                                          capture_output=True, text=True, timeout=60)
                    self.assertEqual(done.returncode, 1)
                    self.assertIn(words, done.stderr)

    def test_a_new_certificate_is_used_without_a_restart(self):
        worker = self.cluster.start_secure_worker("gpu-1")
        before = handshake(self.port, self.certs, "admin-ada")[1]["serialNumber"]
        self.certs.issue("server", "coordinator")
        wait_until(lambda: handshake(self.port, self.certs, "admin-ada")[1]["serialNumber"] != before, "the new certificate")
        self.assertIn("READY", self.cluster.ctl("nodes").stdout)
        self.assertIsNone(worker.process.poll())
        self.assertIsNone(self.cluster.coordinator.process.poll())


class OffTheLoopback(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def refusal(self, program, *flags):
        done = subprocess.run([BIN / program, "--state-dir", self.folder / "state", *flags], capture_output=True, text=True,
                              timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(list(self.folder.iterdir()), [])  # nothing was touched
        return done.stderr

    def test_promise_12_nothing_listens_without_tls_unless_it_is_said(self):
        grpc_refusal = self.refusal("mixln-coordinator", "--listen", "0.0.0.0:0")
        self.assertIn("without TLS", grpc_refusal)
        self.assertIn("--insecure-no-tls", grpc_refusal)
        self.assertIn("--insecure-metrics", self.refusal("mixln-coordinator", "--listen", "127.0.0.1:0",
                                                         "--metrics-listen", "0.0.0.0:0", "--insecure-no-tls"))
        with mock.patch.object(Cluster, "host", "0.0.0.0"), Cluster("--insecure-no-tls", "--insecure-metrics") as cluster:
            self.assertIn("served without TLS", cluster.coordinator.log.read_text())
            self.assertEqual(call(cluster.port, None), grpc.StatusCode.OK)

    def test_with_tls_it_does(self):
        certs = Certs(self.enterContext(tempfile.TemporaryDirectory()))
        with mock.patch.object(Cluster, "host", "0.0.0.0"), SecureCluster(certs, "--insecure-metrics") as cluster:
            self.assertEqual(cluster.ctl("nodes").returncode, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
