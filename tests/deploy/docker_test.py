"""deploy/docker without a container engine: the Dockerfile passes its linter and builds from what is there, images and services run as
nobody in particular with flags that the programs have, and the health check's own command tells a daemon that serves from one that does not.
"""
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import unittest

import yaml

import cluster

DOCKER = cluster.ROOT / "deploy" / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
VERSION = os.environ["MIXLN_VERSION"]


def instructions():
    """(stage, instruction, rest) of the Dockerfile, lines joined."""
    stage = None
    for line in re.sub(r"\\\n\s*", " ", DOCKERFILE).splitlines():
        if not line or line.startswith("#"):
            continue
        word, rest = line.split(" ", 1)
        if word == "FROM":
            stage = rest.split(" AS ")[1]
        yield stage, word, rest


def flags_of(program):
    done = subprocess.run([cluster.BIN / program, "--help"], capture_output=True, text=True, check=True)
    return set(re.findall(r"--[a-z-]+", done.stdout))


class Dockerfile(unittest.TestCase):
    def test_the_linter_has_nothing_to_say(self):
        linter = pathlib.Path(sys.executable).parent / "hadolint"
        done = subprocess.run([linter, "--no-color", DOCKER / "Dockerfile"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_it_has_the_three_images_and_each_runs_as_nobody_in_particular(self):
        final = {"coordinator": "mixln-coordinator", "worker": "mixln-worker", "cli": "mixlnctl"}
        for stage, program in final.items():
            has = {word: rest for s, word, rest in instructions() if s == stage}
            self.assertRegex(has["USER"], r"^[1-9]\d+:[1-9]\d+$", stage)
            self.assertEqual(json.loads(has["ENTRYPOINT"]), [f"/usr/bin/{program}"])
            self.assertEqual("HEALTHCHECK" in has, stage != "cli")
            for flag in json.loads(has.get("CMD", "[]")):
                self.assertIn(flag.split("=")[0], flags_of(program))

    def test_what_it_copies_is_there_and_its_base_is_pinned(self):
        stages = {stage for stage, _, _ in instructions()}
        for stage, word, rest in instructions():
            if word == "COPY" and "--from=" in rest:
                self.assertIn(re.search(r"--from=(\S+)", rest)[1], stages)
            elif word == "COPY":
                for source in shlex.split(rest)[:-1]:
                    self.assertTrue((cluster.ROOT / source).exists(), source)
            elif word == "FROM":
                self.assertIn(rest.split(" AS ")[0], stages | {"${DEBIAN}"})
        self.assertRegex(DOCKERFILE, r"(?m)^ARG DEBIAN=debian:12\.\d+-slim$")

    def test_the_health_check_tells_a_daemon_that_serves(self):
        checks = [rest.split(" CMD ")[1] for _, word, rest in instructions() if word == "HEALTHCHECK"]
        self.assertEqual(len(checks), 2)
        with cluster.Cluster() as running:
            port = running.coordinator.address["metrics"].rsplit(":", 1)[1]
            for check in checks:
                command = json.loads(check)
                there = [re.sub(r"/127\.0\.0\.1/\d+", f"/127.0.0.1/{port}", word) for word in command]
                self.assertNotEqual(command, there)
                self.assertEqual(subprocess.run(there, capture_output=True).returncode, 0, there)
        for check in checks:  # the same port, with nobody behind it
            gone = [re.sub(r"/127\.0\.0\.1/\d+", f"/127.0.0.1/{port}", word) for word in json.loads(check)]
            self.assertNotEqual(subprocess.run(gone, capture_output=True).returncode, 0)


class Compose(unittest.TestCase):
    def test_services_are_built_and_started_as_the_dockerfile_and_the_programs_allow(self):
        targets = {stage for stage, _, _ in instructions()}
        for name, service in COMPOSE["services"].items():
            with self.subTest(name):
                self.assertRegex(service["image"], r":v?\d+\.\d+\.\d+$")
                if "build" not in service:
                    continue
                self.assertIn(service["build"]["target"], targets)
                self.assertTrue((DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).is_file())
                self.assertEqual(service["image"], f"mixln/{name}:{VERSION}")
                self.assertTrue(service["read_only"])
                self.assertEqual(service["cap_drop"], ["ALL"])
                for flag in service["command"]:
                    self.assertIn(flag.split("=")[0], flags_of(f"mixln-{name}"))

    def test_only_the_loopback_is_published(self):
        for service in COMPOSE["services"].values():
            for port in service.get("ports", []):
                self.assertTrue(port.startswith("127.0.0.1:"), port)

    def test_what_is_mounted_is_there(self):
        for service in COMPOSE["services"].values():
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                there = (DOCKER / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
                self.assertTrue(there, volume)

    def test_prometheus_scrapes_the_services_ports(self):
        config = yaml.safe_load((DOCKER / "prometheus.yml").read_text())
        single = yaml.safe_load((cluster.ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
        self.assertEqual([s["job_name"] for s in config["scrape_configs"]], [s["job_name"] for s in single["scrape_configs"]])
        for scrape in config["scrape_configs"]:
            [target] = scrape["static_configs"][0]["targets"]
            name, port = target.split(":")
            self.assertIn(f"--metrics-listen=0.0.0.0:{port}", COMPOSE["services"][name]["command"])


if __name__ == "__main__":
    unittest.main()
