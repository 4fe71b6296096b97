"""Promise 8: a rank that hangs is named with its host and phase, its stacks are kept, and the trial goes on elsewhere."""
import os
import signal
import socket
import unittest

from chaos import ChaosCluster, ChaosTest, environment
from cluster import wait_until

# The fake trainer's steps are faster than the agent looks, so a hang may be judged by either limit.
LIMITS = ("--hang-start-seconds", "15", "--hang-step-seconds", "5")
ONE = {"steps": 12, "parameters": {"train.seed": [0]}}


class Hang(ChaosTest):
    def setUp(self):
        self.cluster = self.enterContext(ChaosCluster())

    def first_attempt(self):
        (trial,) = self.cluster.trials("hung").values()
        return trial["attempts"][0] if trial["attempts"] else None

    def expect_hang(self, words):
        attempt = wait_until(lambda: (a := self.first_attempt()) and a.get("cause") == "FAILURE_CAUSE_HANG" and a, "the hang to be named")
        self.assertRegex(attempt["message"], words)
        self.assertIn(socket.gethostname(), attempt["message"])
        (trial,) = self.cluster.trials("hung")
        self.assertIn("hangs: no sign of life", self.cluster.ctl("describe", "trial", trial).stdout)

    def logs(self):
        return [path.read_text() for path in sorted(self.cluster.folder.glob("worker/attempts/hung-*/*/rank-*/log"))]

    def test_promise_8_a_rank_that_goes_on_no_more_is_named_and_leaves_its_stack(self):
        with environment(MIXLN_FAKE_TRAINER="hang@8"):
            self.cluster.start_fake_worker("worker", "--slots", "1", *LIMITS)
        self.cluster.submit("hung", **ONE)
        self.expect_hang(r"rank 0 on .* hangs: no sign of life for \d+ s while training step 7, limit \d+ s")
        self.assertRegex(self.logs()[0], r"(?s)stack of thread \d+ \(mixln-fake-trai\):\n.*pause")

    def test_promise_8_a_rank_that_is_stopped_is_named_and_leaves_its_stack(self):
        self.cluster.start_fake_worker("worker", "--slots", "1")
        calm = self.cluster.calm_numbers(**ONE)
        self.cluster.workers["worker"].kill()
        go = self.cluster.folder / "go"
        with environment(MIXLN_FAKE_TRAINER=f"wait:{go}@8"):
            self.cluster.start_fake_worker("worker", "--slots", "1", *LIMITS)
        self.cluster.submit("hung", **ONE)
        (pid,) = wait_until(self.cluster.rank_pids, "a rank")
        events = wait_until(lambda: list(self.cluster.folder.glob("worker/attempts/hung-*/*/rank-0/events.jsonl")), "events")[0]
        wait_until(lambda: '"step":"7"' in events.read_text(), "seven steps")
        os.kill(pid, signal.SIGSTOP)
        go.touch()
        self.expect_hang(r"rank 0 on .* hangs: no sign of life for \d+ s while training step 7, limit \d+ s")
        self.assertIn("stack of thread", self.logs()[0])
        self.cluster.follow("hung")
        self.check(self.cluster, "hung", calm)


if __name__ == "__main__":
    unittest.main(verbosity=2)
