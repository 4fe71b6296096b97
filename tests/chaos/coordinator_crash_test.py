"""Promises 1 and 2: the coordinator is killed at each of its fail-points and started again; nobody notices."""
import subprocess
import unittest

from chaos import BIN, KILLED, PACE, ChaosCluster, ChaosTest, environment, moments, points
from cluster import wait_until

COPIES = ("coordinator.copy", "coordinator.rename copy")
MOMENTS = {
    "coordinator.events": (":1", ":6"),
    "coordinator.commit": ("@workers:1", "@sweeps:1", "@trials:1", "@trials:3", "@trials:6"),
    "coordinator.committed": ("@workers:1", "@sweeps:1", "@trials:1", "@trials:3", "@trials:6"),
    "coordinator.send": ("@welcome:1", "@reserve:1", "@start:1", "@heartbeat_ack:3"),
    "coordinator.rank events": ("@started:1", "@checkpoint_done:1", "@finished:1"),
    "coordinator.rank events accepted": ("@started:1", "@checkpoint_done:2", "@finished:1"),
    "coordinator.curves commit": (":1", ":2"),
    "coordinator.curves committed": (":1", ":2"),
}


class CoordinatorCrash(ChaosTest):
    def test_promises_1_and_2_killed_at_each_fail_point(self):
        cluster = self.enterContext(ChaosCluster())
        with environment(MIXLN_FAKE_TRAINER=PACE):
            cluster.start_fake_worker("worker", "--slots", "2")
        calm = cluster.calm_numbers()
        names = [name for name in points("coordinator.") if name not in COPIES]
        for number, moment in enumerate(moments(names, MOMENTS)):
            sweep = f"stormy-{number}"
            cluster.coordinator.kill()
            submit = None
            if cluster.start_coordinator_to_die(f"{moment}=kill"):
                submit = cluster.submitting(sweep)
                wait_until(lambda: cluster.coordinator.process.poll() is not None, f"the coordinator to die at {moment}")
            self.assertEqual(cluster.coordinator.process.wait(), KILLED, moment)
            cluster.start_coordinator()
            if submit is not None:
                submit.wait(180)
            cluster.submit(sweep)  # a sweep that is there already is there once
            cluster.follow(sweep)
            self.check(cluster, sweep, calm, moment)
            trained_on = [trial["attempts"] for trial in cluster.trials(sweep).values()]
            self.assertEqual([len(attempts) for attempts in trained_on], [1, 1], f"{moment}: no rank was disturbed")

    def test_a_backup_that_is_killed_is_made_again(self):
        cluster = self.enterContext(ChaosCluster())
        copy = cluster.folder / "copy"
        command = [BIN / "mixln-coordinator", "backup", "--state-dir", cluster.coordinator_folder, copy]
        cluster.submit("waits")
        for moment in ("coordinator.copy:1", "coordinator.copy:2", "coordinator.rename copy:1"):
            with environment(MIXLN_FAILPOINTS=f"{moment}=kill"):
                self.assertEqual(subprocess.run(command, capture_output=True).returncode, KILLED, moment)
            self.assertFalse(copy.exists(), "a backup is there whole or not at all")
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        self.assertIn("1 sweep, 2 trials", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
