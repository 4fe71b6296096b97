"""Promise 11: with the coordinator's disk full training goes on, writes are refused with a reason, and nothing
acknowledged is lost. The disk is a small tmpfs in a mount namespace of the coordinator's own."""
import contextlib
import datetime
import os
import pathlib
import shutil
import subprocess
import unittest
from unittest import mock

from cluster import BIN, Cluster, Daemon, corpus_text, sweep_text, wait_until
from sweep_test import curve_steps

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
STEPS = 2000
LEASE_SECONDS = 5


def may_mount():
    return subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0


class SmallDiskCluster(Cluster):
    """A cluster whose coordinator keeps its state on a disk of 24 MiB."""

    def start_coordinator(self):
        state = self.folder / "coordinator"
        state.mkdir()
        self.coordinator = Daemon(
            "coordinator", self.folder, *NAMESPACE, "sh", "-c", f'mount -t tmpfs -o size=24m none {state} && exec "$@"',
            "sh", BIN / "mixln-coordinator", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0",
            "--state-dir", state, *self.coordinator_flags)
        self.port = int(self.coordinator.address["grpc"].rsplit(":", 1)[1])
        self.disk = pathlib.Path(f"/proc/{self.coordinator.address['pid']}/root{state}")

    def copy_state(self):
        """Puts the databases where SQLite, which resolves links, finds them; nothing may be writing."""
        shutil.copytree(self.disk, self.coordinator_folder, dirs_exist_ok=True)

    def fill_disk(self):
        with contextlib.suppress(OSError), open(self.disk / "filler", "wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))

    def free_disk(self):
        (self.disk / "filler").unlink()


@unittest.skipUnless(may_mount(), "this user may not mount a file system, not even in a namespace of its own")
class FullDisk(unittest.TestCase):
    def test_promise_11_training_goes_on_writes_are_refused_and_nothing_is_lost(self):
        cluster = self.enterContext(SmallDiskCluster("--lease-seconds", str(LEASE_SECONDS), "--heartbeat-seconds", "0.5"))
        corpus = cluster.write("corpus.txt", corpus_text())
        log = cluster.coordinator.log

        def submit(name, check=True):
            text = sweep_text(name, corpus, {"train.seed": [0, 1]}, steps=STEPS).replace("{every_steps: 5}", "{every_steps: 400}")
            return cluster.ctl("submit", cluster.write(f"{name}.yaml", text), check=check)

        def trained(steps):
            """Whether both ranks have recorded this step, as far as their own files say."""
            files = list(cluster.folder.glob("worker/attempts/first-*/*/rank-0/events.jsonl"))
            return len(files) == 2 and all(f'"step":"{steps}"' in path.read_text() for path in files)

        def heard():
            (worker,) = cluster.json("nodes")["workers"]
            self.assertEqual(worker["state"], "WORKER_STATE_READY")
            return datetime.datetime.fromisoformat(worker["heartbeat_time"])

        # The ranks wait for two files: before step 500, and before the last.
        wait = f"wait:{cluster.folder}/full@500,wait:{cluster.folder}/free@{STEPS}"
        with mock.patch.dict(os.environ, {"MIXLN_FAKE_TRAINER": wait}):
            cluster.start_fake_worker("worker", "--slots", "2")
        submit("first")
        wait_until(lambda: trained(499), "both ranks to reach the first gate")
        pids = set(cluster.rank_pids())

        cluster.fill_disk()
        refused = submit("second", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn(str(cluster.folder / "coordinator"), refused.stderr)
        self.assertIn("free some space", refused.stderr)
        cluster.write("full", "")
        wait_until(lambda: trained(STEPS - 1), "both ranks to train on")
        wait_until(lambda: "training goes on" in log.read_text(), "the coordinator to say it")
        begin = heard()
        wait_until(lambda: heard() > begin + datetime.timedelta(seconds=LEASE_SECONDS + 1), "leases to be renewed all the while")
        self.assertEqual(set(cluster.rank_pids()), pids)

        cluster.free_disk()
        submit("second")
        cluster.write("free", "")
        for sweep in ("first", "second"):
            done = cluster.ctl("wait", sweep, "--timeout", "300", check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        cluster.copy_state()
        for trial_id, trial in cluster.trials("first").items():
            self.assertEqual(len(trial["attempts"]), 1, trial["attempts"])
            self.assertEqual(curve_steps(cluster, trial_id), list(range(1, STEPS + 1)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
