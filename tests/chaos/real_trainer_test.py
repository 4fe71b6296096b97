"""What the other tests do with the fake trainer, with the real one: killed coordinators, workers and ranks, a rank's full disk, one of
two ranks that dies or is stopped, and the losses of an undisturbed run, bit for bit."""
import datetime
import os
import pathlib
import re
import signal
import socket
import time
import unittest

from chaos import KILLED, SLOTS, ChaosCluster, ChaosTest, environment
from cluster import wait_until

STEPS = 60
PEER_LOST_SECONDS = 10  # a promise of the rank contract
LOADING_SECONDS = 30  # of LibTorch, at most, before a rank can be lost
GANG = {"steps": STEPS, "parameters": {"train.seed": [0]}, "more": "  resources: {ranks: 2}\n"}
IN_RANK_1 = "trainer.micro_batch@rank 1:37"  # no later attempt comes to that hit


def stopped(pid):
    """Whether a signal has stopped the process."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
    except OSError:
        return False


class RealTrainer(ChaosTest):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(ChaosCluster())
        cls.cluster.start_worker("worker", *SLOTS)
        cls.calm = cls.cluster.calm_numbers(steps=STEPS)
        cls.cluster.submit("calm-gang", **GANG)
        cls.cluster.follow("calm-gang")
        cls.calm_gang = cls.cluster.numbers("calm-gang")

    def restart_worker(self, failpoints, *flags):
        self.cluster.workers["worker"].kill()
        with environment(MIXLN_FAILPOINTS=failpoints):
            self.cluster.start_worker("worker", *SLOTS, *flags)

    def attempts(self, sweep):
        return [trial["attempts"] for trial in self.cluster.trials(sweep).values()]

    def test_promise_2_a_coordinator_killed_as_it_accepts_a_checkpoint(self):
        self.restart_worker("")
        self.cluster.coordinator.kill()
        self.cluster.start_coordinator_to_die("coordinator.rank events accepted@checkpoint_done:3=kill")
        self.cluster.submit("accepted", steps=STEPS)
        self.assertEqual(self.cluster.coordinator.process.wait(180), KILLED)
        self.cluster.start_coordinator()
        self.cluster.follow("accepted")
        self.check(self.cluster, "accepted", self.calm)
        self.assertEqual([len(attempts) for attempts in self.attempts("accepted")], [1, 1])

    def test_promise_7_a_worker_killed_as_it_tells_of_a_checkpoint(self):
        self.restart_worker("worker.send@checkpoint_done:2=kill")
        self.cluster.submit("told", steps=STEPS)
        self.assertEqual(self.cluster.workers["worker"].process.wait(180), KILLED)
        self.cluster.start_worker("worker", *SLOTS)
        self.cluster.follow("told")
        self.check(self.cluster, "told", self.calm)
        self.assertEqual([len(attempts) for attempts in self.attempts("told")], [1, 1])

    def test_promise_5_ranks_killed_between_micro_batches_and_before_a_manifest_is_in_place(self):
        # No later attempt comes to that hit.
        for sweep, moment in (("between", "trainer.micro_batch:37"), ("before", "file.rename@manifest.json:8")):
            self.restart_worker(f"{moment}=kill")
            self.cluster.submit(sweep, steps=STEPS)
            self.cluster.follow(sweep)
            self.check(self.cluster, sweep, self.calm, moment)
            for first, second in self.attempts(sweep):
                self.assertIn("killed by signal 9", first["message"])
                self.assertIn(int(second["resume_step"]), (30, 35), moment)  # the last one may not have been complete yet

    def test_promise_11_ranks_wait_while_their_disk_is_full_and_say_so(self):
        points = ("file.write@events.jsonl:20", "file.write@.safetensors:5", "file.sync@manifest:2", "file.rename@manifest.json:3")
        self.restart_worker(";".join(f"{point}=ENOSPC" for point in points))
        self.cluster.submit("full", steps=STEPS)
        self.cluster.follow("full")
        self.check(self.cluster, "full", self.calm)
        for trial in self.cluster.trials("full"):
            log = self.cluster.ctl("logs", trial).stdout
            self.assertEqual(log.count("waiting until there is room"), len(points), log)
            self.assertEqual(log.count("there is room again"), len(points), log)
        self.assertEqual([len(attempts) for attempts in self.attempts("full")], [1, 1])

    def test_promise_6_a_rank_whose_disk_fails_ends_and_is_tried_again(self):
        self.restart_worker("file.sync@manifest:4=EIO")
        self.cluster.submit("failing", steps=STEPS)
        wait_until(lambda: any(len(attempts) > 1 for attempts in self.attempts("failing")), "a second attempt")
        self.restart_worker("")
        self.cluster.follow("failing")
        self.check(self.cluster, "failing", self.calm)
        for first, *_ in self.attempts("failing"):
            self.assertEqual(first["cause"], "FAILURE_CAUSE_IO")
            self.assertIn("manifest", first["message"])

    def test_a_gang_whose_rank_dies_before_they_have_met_is_ended_at_once(self):
        self.restart_worker("fsdp.share memory@rank 1:1=kill")
        self.cluster.submit("unmet", steps=10, parameters={"train.seed": [0]}, more="  resources: {ranks: 2}\n  retry: {max_retries: 50}\n")
        wait_until(lambda: any(len(attempts) > 1 for attempts in self.attempts("unmet")), "a second attempt")
        self.restart_worker("")
        self.cluster.follow("unmet")
        ((first, *_),) = self.attempts("unmet")
        self.assertRegex(first["message"], "rank 1.*killed by signal 9")
        began, ended = (datetime.datetime.fromisoformat(first[time]) for time in ("start_time", "end_time"))
        self.assertLess((ended - began).total_seconds(), PEER_LOST_SECONDS + LOADING_SECONDS)

    def test_promise_8_a_rank_that_is_stopped_is_named_with_host_and_phase(self):
        self.restart_worker("", "--hang-start-seconds", "20", "--hang-step-seconds", "2")
        self.cluster.submit("hung", steps=3000, parameters={"train.seed": [0]})
        (trial,) = self.cluster.trials("hung")
        wait_until(lambda: self.cluster.curve(trial), "some steps")
        (pid,) = self.cluster.rank_pids()
        os.kill(pid, signal.SIGSTOP)
        hung = wait_until(lambda: [a for a in self.cluster.trials("hung")[trial]["attempts"] if a.get("cause") == "FAILURE_CAUSE_HANG"],
                          "the hang to be named")
        self.assertRegex(hung[0]["message"], rf"rank 0 on {socket.gethostname()} hangs: no sign of life for \d+ s while \w+")
        self.assertIn("stack of thread", self.cluster.ctl("logs", trial, "--attempt", "1").stdout)
        wait_until(lambda: len(self.cluster.trials("hung")[trial]["attempts"]) > 1, "the trial to go on")
        self.cluster.ctl("cancel", "hung")

    def test_promise_8_a_rank_of_two_that_is_stopped_is_named_in_time_and_both_leave_their_stacks(self):
        self.restart_worker(f"{IN_RANK_1}=stop", "--hang-start-seconds", "20", "--hang-step-seconds", "5")
        self.cluster.submit("hung-gang", **GANG)
        (trial,) = self.cluster.trials("hung-gang")
        wait_until(lambda: any(stopped(pid) for pid in self.cluster.rank_pids()), "rank 1 to stop")
        stopped_at = time.monotonic()
        message = wait_until(lambda: [a["message"] for a in self.cluster.trials("hung-gang")[trial]["attempts"]
                                      if a.get("cause") == "FAILURE_CAUSE_HANG"], "the hang to be named")[0]
        took = time.monotonic() - stopped_at
        self.assertRegex(message, rf"^rank 1 on {socket.gethostname()} hangs: no sign of life for \d+ s while training step 37")
        self.assertLess(took, int(re.search(r"limit (\d+) s", message)[1]) + 10)
        for rank in (0, 1):
            self.assertIn("stack of thread", self.cluster.ctl("logs", trial, "--attempt", "1", "--rank", rank).stdout, f"rank {rank}")
        self.cluster.follow("hung-gang")
        self.check(self.cluster, "hung-gang", self.calm_gang)

    def test_a_rank_of_two_that_dies_is_why_its_attempt_failed(self):
        died = f"rank 1 on {socket.gethostname()} was killed by signal 9"
        # The second time the worker dies as it sees the first rank end, and the next one finds that both have.
        for sweep, also in (("seen", ""), ("unseen", ";worker.rank ended@unseen:1=kill")):
            self.restart_worker(f"{IN_RANK_1}=kill{also}")
            self.cluster.submit(sweep, **GANG)
            if also:
                self.assertEqual(self.cluster.workers["worker"].process.wait(180), KILLED)
                wait_until(lambda: not self.cluster.processes(), "both ranks to end")
                self.restart_worker("")
            self.cluster.follow(sweep)
            self.check(self.cluster, sweep, self.calm_gang, sweep)
            ((first, _),) = self.attempts(sweep)
            self.assertTrue(first["message"].startswith(died), first)
            self.assertEqual(first["cause"], "FAILURE_CAUSE_TRAINER_CRASH")
            (trial,) = self.cluster.trials(sweep)
            self.assertIn(died, self.cluster.ctl("describe", "trial", trial).stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
