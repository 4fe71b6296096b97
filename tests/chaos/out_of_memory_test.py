"""A rank that runs out of memory: named as that, not retried, and what its own words were; the others train on."""
import os
import pathlib
import unittest

from chaos import BIN, PACE, SLOTS, ChaosCluster, ChaosTest, environment

MEMORY_BYTES = 64 << 20  # of the cgroup; the rank wants four times as much
SWELL = f"{PACE},swell:256@20"


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

    def start_worker(self, trainer, prelude):
        """A worker whose ranks first do what the shell lines say."""
        script = self.cluster.write("trainer.sh", f"#!/bin/sh\n{prelude}\nexec {BIN / trainer} \"$@\"\n")
        script.chmod(0o755)
        return self.cluster.start_worker("worker", "--trainer", script, *SLOTS)

    def fails_for_memory(self, words, **options):
        """Runs one trial that must fail so, at once and with these words in `describe`; returns them."""
        self.cluster.submit("hungry", parameters={"train.seed": [0]}, **options)
        done = self.cluster.ctl("wait", "hungry", "--timeout", "60", check=False)
        self.assertEqual(done.returncode, 100, done.stdout + done.stderr)
        (trial,) = self.cluster.trials("hungry").values()
        self.assertEqual([attempt["cause"] for attempt in trial["attempts"]], ["FAILURE_CAUSE_OUT_OF_MEMORY"], "it is not retried")
        self.assertRegex(self.cluster.ctl("describe", "trial", trial["id"]).stdout, words)

    def test_a_rank_that_the_kernel_kills_in_its_cgroup(self):
        cgroup = memory_cgroup(f"mixln-test-{os.getpid()}")
        if cgroup is None:
            self.skipTest("this user may not make a memory cgroup")
        self.addCleanup(cgroup.rmdir)
        with environment(MIXLN_FAKE_TRAINER=SWELL):
            self.start_worker("mixln-fake-trainer", f"echo $$ > {cgroup}/cgroup.procs")
        self.fails_for_memory(r"killed by signal 9 \(SIGKILL\) while the kernel killed for want of memory")

    @unittest.skipUnless((BIN / "mixln-trainer").exists(), "this build has no trainer")
    def test_a_model_that_no_machine_holds(self):
        self.cluster.start_worker("worker", *SLOTS)
        self.fails_for_memory(r"exited with code 71: the trial needs at least [0-9.]+ GB", hidden_size=32768)


if __name__ == "__main__":
    unittest.main(verbosity=2)
