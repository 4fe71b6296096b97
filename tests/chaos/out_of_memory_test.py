"""A rank that runs out of memory: named as that, not retried, and what its own words were; the others train on."""
import os
import pathlib
import unittest

from chaos import BIN, PACE, SLOTS, ChaosCluster, ChaosTest, environment

MEMORY_BYTES = 64 << 20  # of the cgroup; the rank wants four times as much
SWELL = f"{PACE},swell:256@20"
ONE = {"train.seed": [0]}


def memory_cgroup(name):
    """A new cgroup of MEMORY_BYTES, of either version; None where that is not allowed."""
    own = dict(line.split(":", 2)[1:] for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines())
    first = pathlib.Path("/sys/fs/cgroup/memory" + own.get("memory", "/"))
    for parent, limits in ((first, {"memory.limit_in_bytes": MEMORY_BYTES}),
                           (pathlib.Path("/sys/fs/cgroup"), {"memory.max": MEMORY_BYTES, "memory.swap.max": 0})):
        folder = parent / name
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            for limit, value in limits.items():
                (folder / limit).write_text(str(value))
            return folder
        except OSError:
            folder.rmdir()
    return None


class OutOfMemory(ChaosTest):
    def setUp(self):
        self.cluster = self.enterContext(ChaosCluster())
        self.gate = self.cluster.folder / "gate"

    def start_worker(self, prelude):
        """A worker whose fake ranks first do what the shell line says."""
        script = self.cluster.write("trainer.sh", f"#!/bin/sh\n{prelude}\nexec {BIN / 'mixln-fake-trainer'} \"$@\"\n")
        script.chmod(0o755)
        return self.cluster.start_worker("worker", "--trainer", script, *SLOTS)

    def fails_for_memory(self, words, **options):
        """Runs a trial that must fail so, at once and with these words in `describe`, beside one that must train as the calm one did."""
        self.cluster.submit("beside", parameters=ONE)
        self.cluster.submit("hungry", parameters=ONE, **options)
        done = self.cluster.ctl("wait", "hungry", "--timeout", "180", check=False)
        self.assertEqual(done.returncode, 100, done.stdout + done.stderr)
        (trial,) = self.cluster.trials("hungry").values()
        self.assertEqual([attempt["cause"] for attempt in trial["attempts"]], ["FAILURE_CAUSE_OUT_OF_MEMORY"], "it is not retried")
        self.assertRegex(self.cluster.ctl("describe", "trial", trial["id"]).stdout, words)
        self.gate.touch()
        self.cluster.follow("beside")
        self.check(self.cluster, "beside", self.calm)

    def test_a_rank_that_the_kernel_kills_in_its_cgroup(self):
        cgroup = memory_cgroup(f"mixln-test-{os.getpid()}")
        if cgroup is None:
            self.skipTest("this user may not make a memory cgroup")
        self.addCleanup(cgroup.rmdir)
        self.cluster.start_fake_worker("worker", *SLOTS)
        self.calm = self.cluster.calm_numbers(parameters=ONE)
        self.cluster.workers["worker"].kill()
        # The other one is in the middle of its steps until the hungry one has failed.
        with environment(MIXLN_FAKE_TRAINER=SWELL):
            self.start_worker(f"if grep -q hungry trial.json; then echo $$ > {cgroup}/cgroup.procs; "
                              f"else export MIXLN_FAKE_TRAINER={PACE},wait:{self.gate}@15; fi")
        self.fails_for_memory(r"killed by signal 9 \(SIGKILL\) while the kernel killed for want of memory")

    @unittest.skipUnless((BIN / "mixln-trainer").exists(), "this build has no trainer")
    def test_a_model_that_no_machine_holds(self):
        self.cluster.start_worker("worker", *SLOTS)
        self.calm = self.cluster.calm_numbers(parameters=ONE)
        self.fails_for_memory(r"exited with code 71: the trial needs at least [0-9.]+ GB", hidden_size=32768)


if __name__ == "__main__":
    unittest.main(verbosity=2)
