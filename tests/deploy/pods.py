"""Pods without a cluster: the real programs, started with exactly a manifest's command, arguments, environment, user and file layout.

Each container gets a root of its own, read-only but for the volumes that the manifest mounts, in mount and network namespaces of this
process: so the manifests' ports and names are free to be used. Needs root and a kernel that lets it have namespaces.
"""
import ctypes
import fcntl
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import urllib.error
import urllib.request

import cluster

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1


class NotAllowed(Exception):
    """This process may not have namespaces."""


def enter_namespaces():
    """From here on this process and its children have mounts and a loopback interface of their own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        raise NotAllowed(f"no namespaces of one's own here: {os.strerror(ctypes.get_errno())}")
    mount("--make-rprivate", "/")
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def mount(*arguments):
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"mount {arguments}: {done.stderr}")


def unmount(folder):
    """Takes away all that is mounted at the folder and below."""
    subprocess.run(["umount", "--lazy", "--recursive", str(folder)], check=True)


def container_of(stateful_set):
    [container] = stateful_set["spec"]["template"]["spec"]["containers"]
    return container


class Pod:
    """The first pod of a StatefulSet."""

    def __init__(self, stateful_set, folder, secrets=None, names=("mixln-coordinator",)):
        """`secrets`: folders by the names of the secrets that the pod mounts; `names`: services, all at this host."""
        self.name = stateful_set["metadata"]["name"]
        self.spec = stateful_set["spec"]["template"]["spec"]
        self.container = container_of(stateful_set)
        self.claims = [claim["metadata"]["name"] for claim in stateful_set["spec"].get("volumeClaimTemplates", [])]
        self.folder = folder
        self.secrets = secrets or {}
        self.root = folder / self.name / "root"
        self.log = folder / f"{self.name}.log"
        self.process = None
        self._lay_out(names)

    def volume(self, name):
        """The folder behind one of the pod's volumes: claims are shared by name, the rest is the pod's own."""
        declared = next((v for v in self.spec.get("volumes", []) if v["name"] == name), None)
        if declared and "secret" in declared:
            return self.secrets[declared["secret"]["secretName"]]
        if declared and "persistentVolumeClaim" in declared:
            return self.folder / declared["persistentVolumeClaim"]["claimName"]
        assert declared or name in self.claims, f"{self.name} mounts {name}, which is no volume of it"
        return self.folder / self.name / name

    def _lay_out(self, names):
        """The image: the system's libraries and MixLN's programs where its package puts them. Then the volumes; the rest is read-only."""
        self.root.mkdir(parents=True)
        mount("--bind", self.root, self.root)
        for shown in ("/usr/lib", "/usr/lib64", "/proc", "/sys"):
            self._show(shown)
        for link in ("lib", "lib64"):
            (self.root / link).symlink_to(f"usr/{link}")
        (self.root / "usr/bin").mkdir()
        for program in cluster.BIN.iterdir():
            (self.root / "usr/bin" / program.name).symlink_to(program)
        (self.root / "etc").mkdir()
        (self.root / "etc/hosts").write_text("".join(f"127.0.0.1 {name}\n" for name in ("localhost", *names)))
        (self.root / "dev").mkdir()
        for device in ("null", "zero", "urandom"):
            (self.root / "dev" / device).touch()
            mount("--bind", f"/dev/{device}", self.root / "dev" / device)
        group = self.spec["securityContext"]["fsGroup"]
        for mounted in sorted(self.container["volumeMounts"], key=lambda m: m["mountPath"]):
            source = self.volume(mounted["name"])
            source.mkdir(parents=True, exist_ok=True)
            os.chown(source, 0, group)
            source.chmod(0o2775)
            inside = self.root / mounted["mountPath"].lstrip("/")
            inside.mkdir(parents=True, exist_ok=True)
            mount("--bind", source, inside)
            if mounted.get("readOnly"):
                mount("-o", "remount,ro,bind", inside)
        # What the links in /usr/bin lead to; after the volumes, as one of them may be where this checkout lies, such as /tmp.
        for shown in (cluster.ROOT, (cluster.ROOT / ".venv").resolve()):
            self._show(shown)
        if self.container["securityContext"]["readOnlyRootFilesystem"]:
            mount("-o", "remount,ro,bind", self.root)

    def _show(self, folder):
        """The system's folder at its own place in the pod's root, to be read only."""
        inside = self.root / str(folder).lstrip("/")
        inside.mkdir(parents=True, exist_ok=True)
        mount("--bind", folder, inside)
        if folder != "/proc":
            mount("-o", "remount,ro,bind", inside)

    def environment(self):
        fields = {"status.podIP": "127.0.0.1", "metadata.name": f"{self.name}-0", "metadata.namespace": "mixln"}
        given = {e["name"]: e["value"] if "value" in e else fields[e["valueFrom"]["fieldRef"]["fieldPath"]]
                 for e in self.container.get("env", [])}
        return {"PATH": "/usr/bin", **given}

    def start(self):
        environment = self.environment()
        words = [re.sub(r"\$\((\w+)\)", lambda m: environment[m[1]], word)
                 for word in (*self.container["command"], *self.container["args"])]
        security = self.spec["securityContext"]

        def become():
            os.chroot(self.root)
            os.chdir("/")
            os.setgroups([security["fsGroup"]])
            os.setgid(security["runAsGroup"])
            os.setuid(security["runAsUser"])

        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(words, env=environment, preexec_fn=become, stdout=log, stderr=log, start_new_session=True)
        return self

    def probe(self, kind):
        """Whether the probe of this kind would pass now."""
        probe = self.container[kind]["httpGet"]
        [port] = [p["containerPort"] for p in self.container["ports"] if p["name"] == probe["port"]]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{probe['path']}", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError):
            return False

    def wait_until_started(self):
        probe = self.container["startupProbe"]
        cluster.wait_until(lambda: self.process.poll() is not None or self.probe("startupProbe"), f"{self.name} to start:\n{self.log.read_text()}",
                           probe["periodSeconds"] * probe["failureThreshold"])
        assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}:\n{self.log.read_text()}"

    def terminate(self):
        """As the kubelet does: SIGTERM, and the exit code, which must come within the grace period."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(self.spec["terminationGracePeriodSeconds"])

    def kill(self):
        """The pod is gone, with all its processes."""
        for proc in pathlib.Path("/proc").iterdir():
            if proc.name.isdigit():
                try:
                    if os.readlink(proc / "root") == str(self.root):
                        os.kill(int(proc.name), signal.SIGKILL)
                except OSError:
                    pass
        if self.process is not None:
            self.process.wait(30)
