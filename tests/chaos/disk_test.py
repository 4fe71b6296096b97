"""Promise 11, in small: single calls of coordinator, worker and shim fail with ENOSPC or EIO, and nothing acknowledged is lost."""
import subprocess
import unittest

from chaos import BIN, SLOTS, OneWorkerTest, environment
from cluster import wait_until


class Disk(OneWorkerTest):
    def restart_coordinator(self, failpoints):
        self.cluster.coordinator.kill()
        with environment(MIXLN_FAILPOINTS=failpoints):
            self.cluster.start_coordinator()

    def restart_worker(self, failpoints):
        self.cluster.workers["worker"].kill()
        with environment(MIXLN_FAILPOINTS=failpoints):
            self.cluster.start_fake_worker("worker", *SLOTS)

    def said(self, daemon, words):
        wait_until(lambda: words in daemon.log.read_text(), f"{daemon.name} to say: {words}")

    def run_sweep(self, sweep):
        self.cluster.submit(sweep)
        self.cluster.follow(sweep)
        self.check(self.cluster, sweep, self.calm, sweep)

    def attempts(self, sweep):
        return [len(trial["attempts"]) for trial in self.cluster.trials(sweep).values()]

    def test_promise_11_a_full_disk_below_the_coordinator_refuses_and_loses_nothing(self):
        self.restart_coordinator("coordinator.commit@sweeps:1=ENOSPC;coordinator.commit@trials:3=ENOSPC;coordinator.curves commit:1=ENOSPC")
        refused = self.cluster.submit("full", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("is full", refused.stderr)
        self.assertIn("free some space", refused.stderr)
        self.run_sweep("full")
        self.said(self.cluster.coordinator, "training goes on")
        self.said(self.cluster.coordinator, "the disk has room again")
        self.said(self.cluster.coordinator, "curves are recorded again")
        self.assertEqual(self.attempts("full"), [1, 1])

    def test_promise_11_a_failing_disk_ends_the_coordinator_and_the_next_goes_on_from_what_is_there(self):
        for number, point in enumerate(("coordinator.commit@trials:2", "coordinator.curves commit:1")):
            sweep = f"failing-{number}"
            self.restart_coordinator(f"{point}=EIO")
            submit = self.cluster.submitting(sweep)
            wait_until(lambda: self.cluster.coordinator.process.poll() is not None, f"the coordinator to end at {point}")
            self.assertEqual(self.cluster.coordinator.process.returncode, 1)
            self.said(self.cluster.coordinator, "the disk fails")
            self.cluster.start_coordinator()
            submit.wait(180)
            self.run_sweep(sweep)
            self.assertEqual(self.attempts(sweep), [1, 1])

    def test_promise_11_a_coordinator_that_cannot_count_its_start_does_not_start(self):
        for error, words in (("EIO", "the disk fails"), ("ENOSPC", "is full")):
            self.cluster.coordinator.kill()
            command = [BIN / "mixln-coordinator", "--state-dir", self.cluster.coordinator_folder, "--listen", "127.0.0.1:0",
                       "--metrics-listen", ""]
            with environment(MIXLN_FAILPOINTS=f"coordinator.start:1={error}"):
                done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(words, done.stderr)
            self.cluster.start_coordinator()
        self.run_sweep("after")

    def test_promise_11_a_worker_that_cannot_start_an_attempt_says_so_and_it_is_tried_again(self):
        # Of one trial's files: a worker that was killed may still write of attempts that are over.
        failures = {"file.write@/{}-0/:1=ENOSPC": "No space left", "file.sync@/{}-1/:2=EIO": "Input/output error",
                    "file.rename@trial.json:1=EIO": "Input/output error", "worker.spawn:1=EIO": "cannot start",
                    "worker.spawn:2=ENOSPC": "cannot start"}
        for number, (failpoint, words) in enumerate(failures.items()):
            sweep = f"unlucky-{number}"
            self.restart_worker(failpoint.format(sweep))
            self.run_sweep(sweep)
            first = [trial["attempts"][0] for trial in self.cluster.trials(sweep).values() if len(trial["attempts"]) > 1]
            self.assertEqual([attempt["cause"] for attempt in first], ["FAILURE_CAUSE_IO"], failpoint.format(sweep))
            self.assertIn(words, first[0]["message"])

    def test_promise_11_a_worker_that_cannot_keep_the_term_ends_and_its_ranks_go_on(self):
        gate, in_the_middle = self.held("orphaned")
        with in_the_middle:
            self.restart_worker("")
        self.cluster.submit("orphaned")
        pids = wait_until(lambda: len(pids := self.cluster.rank_pids()) == 2 and pids, "ranks")
        self.cluster.coordinator.kill()
        self.cluster.start_coordinator()  # of a new term
        worker = self.cluster.workers["worker"]
        worker.kill()
        with environment(MIXLN_FAILPOINTS="file.write@worker.json:2=EIO"):
            with self.assertRaisesRegex(AssertionError, "Input/output error"):
                self.cluster.start_fake_worker("worker", *SLOTS)
        self.assertEqual(self.cluster.rank_pids(), pids)
        self.cluster.start_fake_worker("worker", *SLOTS)
        gate.touch()
        self.cluster.follow("orphaned")
        self.assertEqual(self.attempts("orphaned"), [1, 1])

    def test_promise_11_a_shim_waits_for_room(self):
        self.restart_worker("file.write@shim.json:1=ENOSPC;file.write@exit.json:1=ENOSPC;worker.delete:1=EIO")
        self.run_sweep("patient")
        self.assertEqual(self.attempts("patient"), [1, 1])
        log = self.cluster.ctl("logs", "patient-0").stdout
        for file in ("shim.json", "exit.json"):
            self.assertRegex(log, rf"rank-shim: cannot write {file}.*trying again")
        self.said(self.cluster.workers["worker"], "cannot delete")


if __name__ == "__main__":
    unittest.main(verbosity=2)
