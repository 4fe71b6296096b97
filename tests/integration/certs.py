"""Certificates for tests: an authority made by mixlnctl, and what openssl signs with it that mixlnctl would not."""
import pathlib
import subprocess

import cluster

EXTENSIONS = "extendedKeyUsage=clientAuth\nsubjectAltName=URI:mixln:{identity}\n"


class Certs:
    """An authority in a folder, with a certificate for a coordinator on the loopback."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.run("init")
        self.issue("server", "coordinator")

    def run(self, *arguments):
        return subprocess.run([cluster.BIN / "mixlnctl", "certs", *arguments, "--dir", self.folder], check=True,
                              capture_output=True, text=True).stdout

    def issue(self, role, name, *flags):
        """Has mixlnctl issue a certificate; returns its stem, as in "worker-gpu-1"."""
        self.run("issue", role, name, *flags)
        return f"{role}-{name}"

    def sign(self, stem, identity, days):
        """Has openssl sign a client's certificate for any identity and any number of days, past ones too."""
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=test",
                "-keyout", self.path(stem, "key"), "-out", self.path(stem, "csr"))
        self.path(stem, "ext").write_text(EXTENSIONS.format(identity=identity))
        openssl("x509", "-req", "-in", self.path(stem, "csr"), "-CA", self.path("ca", "crt"), "-CAkey",
                self.path("ca", "key"), "-CAcreateserial", "-days", str(days), "-extfile", self.path(stem, "ext"),
                "-out", self.path(stem, "crt"))
        return stem

    def path(self, stem, kind):
        return self.folder / f"{stem}.{kind}"

    def flags(self, stem, authority=None):
        """What a program needs to be `stem`."""
        return ["--tls-certificate", self.path(stem, "crt"), "--tls-key", self.path(stem, "key"), "--tls-ca",
                (authority or self).path("ca", "crt")]


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class SecureCluster(cluster.Cluster):
    """A cluster that speaks TLS only; mixlnctl is an admin."""

    def __init__(self, certs, *coordinator_flags):
        self.certs = certs
        self.user = certs.issue("admin", "ada")
        super().__init__(*certs.flags("server-coordinator"), *coordinator_flags)

    def ctl(self, *arguments, **options):
        return super().ctl(*arguments, *self.certs.flags(self.user), **options)

    def start_secure_worker(self, name="worker", *flags):
        """A worker with a certificate of its own name and the fake trainer."""
        stem = self.certs.issue("worker", name)
        return self.start_fake_worker(name, *self.certs.flags(stem), *flags)
