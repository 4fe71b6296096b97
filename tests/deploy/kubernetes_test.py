"""deploy/kubernetes without a cluster: every overlay builds with what Debian's kubectl knows, every object is valid strictly, what the objects
name of each other is there, and the real programs run, train and stop as their manifests say.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import kubernetes_validate
import yaml

import certs
import cluster
import pods

KUBERNETES = cluster.ROOT / "deploy" / "kubernetes"
OVERLAYS = ["cpu-demo", "gpu", "secure"]
RELEASES = ["1.27", "1.33"]          # an old one that has all that is used, and a newer one
KNOWN_TO_2_0_3 = {"apiVersion", "kind", "namespace", "bases", "resources", "patchesStrategicMerge", "patchesJson6902"}


def build(overlay):
    done = subprocess.run(["kubectl", "kustomize", KUBERNETES / "overlays" / overlay], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{overlay}: {done.stderr}")
    return list(yaml.safe_load_all(done.stdout))


BUILT = {overlay: build(overlay) for overlay in OVERLAYS}


def of_kind(objects, kind):
    return {o["metadata"]["name"]: o for o in objects if o["kind"] == kind}


def selects(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())


class Overlay:
    """What holds of every overlay."""

    overlay = None

    def setUp(self):
        self.objects = BUILT[self.overlay]
        self.sets = of_kind(self.objects, "StatefulSet")

    def test_every_object_is_valid_strictly(self):
        for declared in self.objects:
            if declared["kind"] == "PodMonitor":
                continue  # of the Prometheus operator; below
            for release in RELEASES:
                kubernetes_validate.validate(declared, release, strict=True)

    def test_everything_is_in_the_namespace(self):
        for declared in self.objects:
            if declared["kind"] != "Namespace":
                self.assertEqual(declared["metadata"]["namespace"], "mixln", declared["metadata"]["name"])

    def test_containers_may_do_nothing_that_they_need_not(self):
        for declared in self.sets.values():
            pod, container = declared["spec"]["template"]["spec"], pods.container_of(declared)
            self.assertIs(pod["automountServiceAccountToken"], False)
            self.assertIs(pod["securityContext"]["runAsNonRoot"], True)
            self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
            self.assertEqual(container["securityContext"], {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                            "capabilities": {"drop": ["ALL"]}})
            self.assertLessEqual({"cpu", "memory"}, set(container["resources"]["limits"]))
            self.assertLessEqual({"startupProbe", "readinessProbe", "livenessProbe"}, set(container))

    def test_what_objects_name_is_there(self):
        labels = {name: s["spec"]["template"]["metadata"]["labels"] for name, s in self.sets.items()}
        ports = {name: {p["name"]: p["containerPort"] for p in pods.container_of(s)["ports"]} for name, s in self.sets.items()}
        for name, declared in self.sets.items():
            self.assertTrue(selects(declared["spec"]["selector"]["matchLabels"], labels[name]))
            service = of_kind(self.objects, "Service")[declared["spec"]["serviceName"]]
            self.assertTrue(selects(service["spec"]["selector"], labels[name]))
            for port in service["spec"]["ports"]:
                self.assertEqual(ports[name][port["targetPort"]], port["port"])
            container = pods.container_of(declared)
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                self.assertIn(container[kind]["httpGet"]["port"], ports[name])
            volumes = {v["name"]: v for v in declared["spec"]["template"]["spec"].get("volumes", [])}
            volumes |= {c["metadata"]["name"]: c for c in declared["spec"]["volumeClaimTemplates"]}
            self.assertEqual({m["name"] for m in container["volumeMounts"]}, set(volumes))
            for volume in volumes.values():
                if "persistentVolumeClaim" in volume:
                    self.assertIn(volume["persistentVolumeClaim"]["claimName"], of_kind(self.objects, "PersistentVolumeClaim"))
            [budget] = [b for b in of_kind(self.objects, "PodDisruptionBudget").values()
                        if selects(b["spec"]["selector"]["matchLabels"], labels[name])]
            self.assertEqual(budget["spec"]["maxUnavailable"], 1)
        [monitor] = of_kind(self.objects, "PodMonitor").values()
        self.assertEqual(monitor["apiVersion"], "monitoring.coreos.com/v1")
        for name in self.sets:
            self.assertTrue(selects(monitor["spec"]["selector"]["matchLabels"], labels[name]))
            for endpoint in monitor["spec"]["podMetricsEndpoints"]:
                self.assertIn(endpoint["port"], ports[name])

    def test_policies_deny_all_and_open_the_ports_that_are_served(self):
        policies = of_kind(self.objects, "NetworkPolicy")
        self.assertEqual(policies["mixln-deny"]["spec"], {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "mixln"}},
                                                          "policyTypes": ["Ingress", "Egress"]})
        opened = {port["port"] for policy in policies.values() for rule in policy["spec"].get("ingress", []) for port in rule.get("ports", [])}
        served = {p["containerPort"] for s in self.sets.values() for p in pods.container_of(s)["ports"]}
        self.assertEqual(opened, served)

    def test_images_and_flags_are_of_this_release(self):
        for declared in self.sets.values():
            container = pods.container_of(declared)
            self.assertEqual(container["image"], f"mixln/{container['name']}:{os.environ['MIXLN_VERSION']}")
            program = cluster.BIN / pathlib.Path(container["command"][0]).name
            known = re.findall(r"--[a-z-]+", subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout)
            for flag in container["args"]:
                self.assertIn(flag.split("=")[0], known)

    def test_only_the_demo_goes_without_certificates(self):
        for name, declared in self.sets.items():
            container = pods.container_of(declared)
            names = {e["name"] for e in container["env"]}
            certificates = {"MIXLN_TLS_CERTIFICATE", "MIXLN_TLS_KEY", "MIXLN_TLS_CA"} <= names
            self.assertEqual(certificates, self.overlay != "cpu-demo")
            self.assertEqual("--insecure-no-tls" in container["args"], self.overlay == "cpu-demo" and name == "mixln-coordinator")


class CpuDemo(Overlay, unittest.TestCase):
    overlay = "cpu-demo"


class Secure(Overlay, unittest.TestCase):
    overlay = "secure"

    def test_a_misspelt_field_would_be_found(self):
        declared = json.loads(json.dumps(self.sets["mixln-worker"]))
        pods.container_of(declared)["readinesProbe"] = {}
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(declared, RELEASES[0], strict=True)


class Gpu(Overlay, unittest.TestCase):
    overlay = "gpu"

    def test_gpu_workers_have_their_host_alone(self):
        worker = self.sets["mixln-worker"]
        limits = pods.container_of(worker)["resources"]["limits"]
        self.assertEqual(limits["nvidia.com/gpu"], "8")
        affinity = worker["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"]
        self.assertEqual([t["topologyKey"] for t in affinity["requiredDuringSchedulingIgnoredDuringExecution"]], ["kubernetes.io/hostname"])
        self.assertNotIn("preferredDuringSchedulingIgnoredDuringExecution", affinity)
        [shm] = [v for v in worker["spec"]["template"]["spec"]["volumes"] if v["name"] == "shm"]
        self.assertEqual(shm["emptyDir"], {"medium": "Memory", "sizeLimit": "64Gi"})


class Kustomizations(unittest.TestCase):
    def test_only_what_kustomize_2_0_3_knows_is_used(self):
        for path in KUBERNETES.rglob("kustomization.yaml"):
            self.assertLessEqual(set(yaml.safe_load(path.read_text())), KNOWN_TO_2_0_3, path)


class Pods:
    """An overlay's pods, with a coordinator and a worker that is ready."""

    overlay = None

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root for roots and users of the pods' own")
        try:
            pods.enter_namespaces()
        except pods.NotAllowed as error:
            raise unittest.SkipTest(str(error))
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mixln-pods-"))
        cls.addClassCleanup(cls.folder.rmdir)
        pods.mount("-t", "tmpfs", "-o", "mode=755", "none", cls.folder)
        cls.addClassCleanup(pods.unmount, cls.folder)  # what is mounted in it is the system's own: nothing may be deleted below it
        sets = of_kind(BUILT[cls.overlay], "StatefulSet")
        secrets = cls.secrets()
        cls.coordinator = pods.Pod(sets["mixln-coordinator"], cls.folder, secrets)
        cls.worker = pods.Pod(sets["mixln-worker"], cls.folder, secrets)
        for pod in (cls.worker, cls.coordinator):
            cls.addClassCleanup(pod.kill)
        for pod in (cls.coordinator, cls.worker):
            pod.start()
            pod.wait_until_started()
        cluster.wait_until(lambda: "READY" in cls.ctl("nodes").stdout, "the worker to be ready")
        artifacts = cls.folder / "mixln-artifacts"
        # A worker takes an artifacts folder only empty.
        cluster.wait_until((artifacts / ".mixln-cluster").exists, "the worker to have taken the artifacts' volume")
        (artifacts / "corpus.txt").write_text(cluster.corpus_text())

    @classmethod
    def secrets(cls):
        """Folders by the names of the secrets that the pods mount."""
        return {}

    flags = []  # of mixlnctl

    @classmethod
    def ctl(cls, *arguments, check=True):
        done = subprocess.run([cluster.BIN / "mixlnctl", "--coordinator", "localhost:7410", *map(str, (*arguments, *cls.flags))],
                              capture_output=True, text=True, timeout=300, env={"HOME": "/nonexistent"})
        if check and done.returncode != 0:
            raise AssertionError(f"{arguments}: {done.stdout}{done.stderr}\n{cls.coordinator.log.read_text()}{cls.worker.log.read_text()}")
        return done

    def submit(self, name, **more):
        sweep = self.folder / f"{name}.yaml"
        sweep.write_text(cluster.sweep_text(name, "/var/lib/mixln/artifacts/corpus.txt", {"train.seed": [0]}, **more))
        self.ctl("submit", "--skip-data-check", sweep)

    def trial(self, name):
        return json.loads(self.ctl("describe", "trial", f"{name}-0", "-o", "json").stdout)

    def step(self, name):
        return int(self.trial(name).get("progress", {}).get("step", 0))

    def test_they_pass_their_probes_as_nobody_and_train(self):
        for pod in (self.coordinator, self.worker):
            for kind in ("readinessProbe", "livenessProbe"):
                cluster.wait_until(lambda: pod.probe(kind), f"{pod.name}'s {kind} to pass")
            status = pathlib.Path(f"/proc/{pod.process.pid}/status").read_text()
            self.assertRegex(status, r"(?m)^Uid:\t10001\t10001\t10001\t10001$")
        self.submit("short", steps=5)
        self.ctl("wait", "short", "--timeout", "3m")
        self.assertTrue(list((self.folder / "mixln-artifacts").glob("trials/short-*/0/*/checkpoints/step-*/manifest.json")))


class CpuDemoPods(Pods, unittest.TestCase):
    overlay = "cpu-demo"

    def test_promise_7_they_hand_their_trials_back_when_they_are_ended(self):
        self.submit("long", steps=100_000)
        cluster.wait_until(lambda: self.step("long") > 5, "a step of the long trial")
        self.assertEqual(self.worker.terminate(), 0, self.worker.log.read_text())
        trial = cluster.wait_until(lambda: (t := self.trial("long"))["state"] == "TRIAL_STATE_PENDING" and t, "the trial to be handed back")
        self.assertEqual(trial["attempts"][-1]["cause"], "FAILURE_CAUSE_PREEMPTED")
        saved = int(trial["checkpoints"][-1]["step"])
        self.assertGreater(saved, 5)

        # The next pod of the same name has its volumes: it is the same worker, and the trial goes on.
        self.worker.start()
        self.worker.wait_until_started()
        cluster.wait_until(lambda: self.step("long") > saved, "the trial to go on")
        trial = self.trial("long")
        self.assertEqual(len({r["worker_id"] for a in trial["attempts"] for r in a["ranks"]}), 1)
        self.assertEqual(int(trial["attempts"][-1]["resume_step"]), saved)
        self.ctl("cancel", "long")


class SecurePods(Pods, unittest.TestCase):
    overlay = "secure"

    @classmethod
    def secrets(cls):
        authority = certs.Certs(cls.folder / "authority")
        stems = {"mixln-coordinator-tls": authority.issue("server", "coordinator", "--host", "mixln-coordinator", "--host", "localhost"),
                 "mixln-worker-tls": authority.issue("worker", "worker-0")}
        cls.flags = authority.flags(authority.issue("operator", "ada"))
        folders = {}
        for secret, stem in stems.items():
            folders[secret] = cls.folder / secret
            folders[secret].mkdir()
            for key, path in (("tls.crt", authority.path(stem, "crt")), ("tls.key", authority.path(stem, "key")),
                              ("ca.crt", authority.path("ca", "crt"))):
                shutil.copy(path, folders[secret] / key)
                os.chown(folders[secret] / key, 0, 10001)
                (folders[secret] / key).chmod(0o440)
        return folders

    def test_nobody_is_answered_without_a_certificate(self):
        done = subprocess.run([cluster.BIN / "mixlnctl", "--coordinator", "localhost:7410", "nodes"], capture_output=True, text=True,
                              env={"HOME": "/nonexistent"})
        self.assertEqual(done.returncode, 1, done.stdout)


if __name__ == "__main__":
    unittest.main()
