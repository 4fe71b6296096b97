"""The Debian package and the tarball as cpack makes them: what is inside, what they depend on, and that the unpacked programs train.
`mixlnctl setup` gets its LibTorch from a folder instead of an index: a wheel of this test's own with the release that is asked for.
"""
import collections
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tarfile
import tempfile
import unittest
import zipfile

import cluster

BUILD = pathlib.Path(os.environ["MIXLN_BUILD"])
LIBTORCH = pathlib.Path(os.environ["MIXLN_LIBTORCH_FOLDER"])  # below the prefix
PROGRAMS = ["mixln-coordinator", "mixln-prepare", "mixln-trainer", "mixln-worker", "mixlnctl"]
MEGABYTE = 1_000_000


def run(*words, check=True, **more):
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=300, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{words} exited {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def wheel(folder):
    """A wheel that pip takes for LibTorch."""
    version = LIBTORCH.name.removeprefix("torch-")
    files = {"torch/__init__.py": "", "torch/lib/libtorch_cpu.so": "not really",
             f"torch-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n",
             f"torch-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    files[f"torch-{version}.dist-info/RECORD"] = "".join(f"{name},,\n" for name in files)
    with zipfile.ZipFile(folder / f"torch-{version}-py3-none-any.whl", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="mixln-package-")
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.folder = pathlib.Path(cls.temporary.name)
        run("cpack", "--config", BUILD / "CPackConfig.cmake", "-G", "DEB;TGZ", "-B", cls.folder, cwd=BUILD)
        [cls.deb] = cls.folder.glob("*.deb")
        [cls.tarball] = cls.folder.glob("*.tar.gz")
        cls.root = cls.folder / "root"
        run("dpkg-deb", "--extract", cls.deb, cls.root)
        cls.bin = cls.root / "usr" / "bin"

    def unpacked(self, name):
        """A copy of the installed tree of this test's own, without LibTorch."""
        prefix = self.folder / name / "usr"
        shutil.copytree(self.root / "usr" / "bin", prefix / "bin")
        self.addCleanup(shutil.rmtree, prefix.parent)
        return prefix

    def environment(self, prefix, **more):
        return {"PATH": os.environ["PATH"], "HOME": str(prefix.parent), **more}

    def with_libtorch(self, prefix):
        """Puts this build's LibTorch where `mixlnctl setup` would."""
        (prefix / LIBTORCH).mkdir(parents=True)
        (prefix / LIBTORCH / "lib").symlink_to(os.environ["MIXLN_TORCH_LIB"])

    def test_the_deb_says_what_it_needs(self):
        fields = {name: run("dpkg-deb", "--field", self.deb, name).stdout.strip()
                  for name in ("Package", "Version", "Architecture", "Depends", "Recommends", "Description")}
        self.assertEqual(fields["Package"], "mixln")
        self.assertEqual(fields["Version"], run(self.bin / "mixln-worker", "--version").stdout.strip())
        self.assertEqual(fields["Architecture"], run("dpkg", "--print-architecture").stdout.strip())
        self.assertIn("mixlnctl setup", fields["Description"])
        needed = [part.split()[0] for part in fields["Depends"].split(",")]
        for package in ("libc6", "libgrpc++1.51", "libprotobuf32", "libsentencepiece0", "libstdc++6", "adduser"):
            self.assertIn(package, needed)
        self.assertEqual(fields["Recommends"], "python3-venv")
        # Every shared object that a program names itself is of one of those packages, or comes with LibTorch.
        torch = {path.name for path in pathlib.Path(os.environ["MIXLN_TORCH_LIB"]).iterdir()}
        named = {name for program in PROGRAMS
                 for name in re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", self.bin / program).stdout)} - torch
        owners = collections.defaultdict(set)  # the architecture's own, and perhaps cross-compilers'
        for line in run("dpkg-query", "-S", *(f"*/{name}" for name in named)).stdout.splitlines():
            packages, path = line.split(": ")
            owners[path.rsplit("/", 1)[1]] |= {package.split(":")[0] for package in packages.split(", ")}
        self.assertEqual(set(owners), named)
        for name, packages in owners.items():
            provided = run("dpkg-query", "-W", "-f", "${Package} ${Provides} ", *packages).stdout.replace(",", " ").split()
            self.assertTrue(set(provided) & set(needed), f"{name} is of {packages}; the deb needs {needed}")

    def test_the_deb_holds_the_programs_and_no_library(self):
        lines = run("dpkg-deb", "--contents", self.deb).stdout.splitlines()
        self.assertEqual({line.split()[1] for line in lines}, {"root/root"})
        files = {line.split()[5].removeprefix(".") for line in lines if not line.startswith("d")}
        self.assertEqual(sorted(f for f in files if f.startswith("/usr/bin/")), [f"/usr/bin/{name}" for name in PROGRAMS])
        for name in ("/usr/lib/systemd/system/mixln-coordinator.service", "/usr/lib/systemd/system/mixln-worker.service",
                     "/usr/share/mixln/examples/alpha-sweep.yaml", "/usr/share/mixln/examples/corpus/emma.txt.gz",
                     "/usr/share/mixln/grafana/dashboards/sweep.json", "/usr/share/mixln/prometheus/rules.yml",
                     "/usr/share/doc/mixln/operate.md"):
            self.assertIn(name, files)
        self.assertEqual([f for f in files if ".so" in pathlib.Path(f).name], [])
        self.assertLess(self.deb.stat().st_size, 15 * MEGABYTE)
        control = self.folder / "control"
        run("dpkg-deb", "--control", self.deb, control)
        for script in ("postinst", "prerm", "postrm"):
            self.assertEqual(stat.S_IMODE((control / script).stat().st_mode), 0o755)
            run("sh", "-n", control / script)

    def test_the_tarball_holds_the_same(self):
        with tarfile.open(self.tarball) as archive:
            packed = {pathlib.PurePath(m.name) for m in archive if m.isfile()}
        self.assertEqual({path.parts[0] for path in packed}, {self.tarball.name.removesuffix(".tar.gz")})
        installed = {path.relative_to(self.root / "usr") for path in self.root.rglob("*") if path.is_file()}
        self.assertEqual({pathlib.PurePath(*path.parts[1:]) for path in packed}, installed)

    def test_programs_name_nothing_of_the_build(self):
        for program in PROGRAMS:
            paths = re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", run("readelf", "-d", self.bin / program).stdout)
            self.assertEqual(paths, [f"$ORIGIN/../{LIBTORCH}/lib"] if program == "mixln-trainer" else [], program)

    def test_units_start_what_is_installed_with_flags_that_it_has(self):
        for unit in sorted((self.root / "usr/lib/systemd/system").iterdir()):
            [command] = re.findall(r"(?m)^ExecStart=(.*)$", unit.read_text())
            program, *words = command.split()
            known = run(self.root / program.lstrip("/"), "--help").stdout
            for flag in (word for word in words if word.startswith("--")):
                self.assertIn(flag, known, unit.name)

    def test_a_trainer_without_libtorch_says_what_to_do(self):
        prefix = self.unpacked("bare")
        trainer = run(prefix / "bin/mixln-trainer", "--version", check=False, env=self.environment(prefix))
        self.assertNotEqual(trainer.returncode, 0)
        ports = ("--port", "0", "--metrics-port", "0", "--worker-metrics-port", "0")
        up = run(prefix / "bin/mixlnctl", "up", *ports, env=self.environment(prefix))
        run(prefix / "bin/mixlnctl", "down", env=self.environment(prefix))
        self.assertIn("`mixlnctl setup` brings the LibTorch", up.stderr)

    def test_installed_programs_train(self):
        prefix = self.unpacked("ready")
        self.with_libtorch(prefix)
        environment = self.environment(prefix)
        ctl = prefix / "bin/mixlnctl"
        self.assertIn("nothing to do", run(ctl, "setup", env=environment).stderr)
        source = prefix / "corpus.txt"
        source.write_text(cluster.corpus_text(paragraphs=100))
        sweep = prefix / "sweep.yaml"
        sweep.write_text(cluster.sweep_text("installed", source, {"norm.alpha": [0.5]}, steps=5))
        up = run(ctl, "up", "--port", "0", "--metrics-port", "0", "--worker-metrics-port", "0", env=environment)
        try:
            self.assertNotIn("warning", up.stderr)
            run(ctl, "submit", sweep, env=environment)
            run(ctl, "wait", "installed", "--timeout", "2m", env=environment)
            self.assertIn("1 succeeded", run(ctl, "results", "installed", env=environment).stdout)
        finally:
            run(ctl, "down", env=environment)

    def test_setup_brings_libtorch_once_and_whole(self):
        prefix = self.unpacked("setup")
        index = prefix / "wheels"
        index.mkdir()
        trainer = prefix / "bin/mixln-trainer"  # starts where it finds its library, as the loader would
        trainer.write_text(f'#!/bin/sh\nexec cat "$(dirname "$0")/../{LIBTORCH}/lib/libtorch_cpu.so"\n')
        environment = self.environment(prefix, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(index))
        failed = run(prefix / "bin/mixlnctl", "setup", check=False, env=environment)
        self.assertEqual(failed.returncode, 1)
        self.assertIn("pip could not install torch==", failed.stderr)
        self.assertFalse((prefix / LIBTORCH / "lib").is_symlink())
        wheel(index)
        done = run(prefix / "bin/mixlnctl", "setup", env=environment)
        self.assertIn("ready: mixln-trainer finds LibTorch", done.stderr)
        self.assertEqual((prefix / LIBTORCH / "lib" / "libtorch_cpu.so").read_text(), "not really")
        again = run(prefix / "bin/mixlnctl", "setup", env=environment)
        self.assertIn("nothing to do", again.stderr)


if __name__ == "__main__":
    unittest.main()
