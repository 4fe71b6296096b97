"""A worker, and a coordinator, whose clock is wrong or jumps: no decision rests on it.

The wall clock is bent by a preloaded library (wrong_clock.cc), the clock since boot by a time namespace.
"""
import datetime
import os
import pathlib
import subprocess
import time
import unittest

from chaos import BIN, PACE, SLOTS, ChaosCluster, ChaosTest, environment
from cluster import Daemon, wait_until

LIBRARY = pathlib.Path(os.environ["MIXLN_WRONG_CLOCK_LIBRARY"])
MINUTE, DAY = 60, 86400
# As on a host that was booted a month before the others.
BOOTED_EARLIER = ["unshare", "--time", "--boottime", str(30 * DAY), "--monotonic", str(30 * DAY)]
STEPS = 100
LEASES = 2  # for how many leases a clock is watched to do no harm
LEASE_SECONDS = 5


def may_shift_time():
    return subprocess.run([*BOOTED_EARLIER, "true"], capture_output=True).returncode == 0


class WrongClock(ChaosTest):
    def setUp(self):
        self.cluster = self.enterContext(ChaosCluster(lease_seconds=LEASE_SECONDS))
        self.enterContext(environment(MIXLN_FAKE_TRAINER=PACE))
        self.clock = self.cluster.folder / "clock"
        self.set_clock(0)

    def set_clock(self, seconds):
        new = self.clock.with_suffix(".new")
        new.write_text(f"{seconds}\n")
        new.rename(self.clock)

    def wrong(self):
        return environment(LD_PRELOAD=str(LIBRARY), MIXLN_WRONG_CLOCK=str(self.clock))

    def assert_off(self, timestamp, offset):
        self.assertAlmostEqual(timestamp - time.time(), offset, delta=MINUTE, msg="how far the clock is off")

    def expect_nobody_notices(self, calm, offsets, coordinators=False):
        """Runs a sweep while the clock, the coordinator's or a worker's, takes each of the offsets, and watches for some leases that no
        worker is lost."""
        for number, offset in enumerate(offsets):
            sweep = f"stormy-{number}"
            self.cluster.submit(sweep, steps=STEPS)
            wait_until(self.cluster.rank_pids, "ranks")
            self.set_clock(offset)
            self.cluster.follow(sweep)
            self.check(self.cluster, sweep, calm, f"clock off by {offset} s")
            for trial in self.cluster.trials(sweep).values():
                self.assertEqual(len(trial["attempts"]), 1, f"clock off by {offset} s")
                ended = datetime.datetime.fromisoformat(trial["end_time"]).timestamp()
                self.assert_off(ended, offset if coordinators else 0)
        end = time.monotonic() + LEASES * LEASE_SECONDS
        while time.monotonic() < end:
            (worker,) = self.cluster.json("nodes")["workers"]
            self.assertEqual(worker["state"], "WORKER_STATE_READY")

    def test_a_workers_wall_clock_is_wrong_and_jumps(self):
        with self.wrong():
            self.cluster.start_fake_worker("worker", *SLOTS)
        calm = self.cluster.calm_numbers(steps=STEPS)
        self.expect_nobody_notices(calm, (365 * DAY, -365 * DAY, 3600))
        worker = self.cluster.workers["worker"]
        worker.terminate()
        last_words = datetime.datetime.strptime(worker.log.read_text().splitlines()[-1][:20], "[%Y-%m-%d %H:%M:%S")
        self.assert_off(last_words.timestamp(), 3600)

    def test_the_coordinators_wall_clock_jumps(self):
        self.cluster.start_fake_worker("worker", *SLOTS)
        calm = self.cluster.calm_numbers(steps=STEPS)
        self.cluster.coordinator.kill()
        with self.wrong():
            self.cluster.start_coordinator()
        self.expect_nobody_notices(calm, (3600, -3600), coordinators=True)

    @unittest.skipUnless(may_shift_time(), "this user may not make time namespaces")
    def test_a_worker_counts_its_time_from_another_boot(self):
        self.cluster.start_fake_worker("worker", *SLOTS)
        calm = self.cluster.calm_numbers(steps=STEPS)
        self.cluster.workers.pop("worker").terminate()
        self.cluster.workers["worker"] = Daemon(
            "worker", self.cluster.folder, *BOOTED_EARLIER, BIN / "mixln-worker", "--coordinator",
            f"127.0.0.1:{self.cluster.port}", "--state-dir", self.cluster.folder / "worker", "--artifacts",
            self.cluster.folder / "artifacts", "--metrics-listen", "127.0.0.1:0", "--trainer", BIN / "mixln-fake-trainer", *SLOTS)
        offsets = pathlib.Path(f"/proc/{self.cluster.workers['worker'].address['pid']}/timens_offsets").read_text()
        self.assertEqual(offsets.split(), ["monotonic", str(30 * DAY), "0", "boottime", str(30 * DAY), "0"])
        self.expect_nobody_notices(calm, (0,))


if __name__ == "__main__":
    unittest.main(verbosity=2)
