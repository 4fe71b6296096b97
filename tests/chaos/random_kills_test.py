"""kill -9 of coordinator, workers, shims, ranks and whole hosts at random moments, and daemons that stand still for longer than a lease:
everything ends once, with the numbers of a calm run.

usage: random_kills_test.py [STORMS [SEED]]   (default: 2 storms, and a seed of today's, which a failure prints)
"""
import contextlib
import os
import random
import signal
import sys
import time
import unittest

from chaos import PACE, ChaosCluster, ChaosTest, environment
from cluster import wait_until

STORMS = int(sys.argv[1]) if len(sys.argv) > 1 else 2
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(10**6)
# Of one storm, in an order of its own.
VICTIMS = 2 * ("coordinator", "worker", "host", "rank") + ("coordinator and worker", "shim", "rank", "stalled")
CELLS = {"train.seed": [0, 1, 2, 3, 4, 5]}
STEPS = 120
LONG_STEPS = 600  # longer than a standstill
LEASE_SECONDS = 2
GRACE_SECONDS = 5  # a host may be away for longer than its lease, but not for as long as this
WORKERS = ("east", "west")
# A rank that is killed costs a retry, until its trial makes progress.
PATIENT = "  retry: {max_retries: 50}\n"


class RandomKills(ChaosTest):
    def setUp(self):
        self.cluster = self.enterContext(ChaosCluster(lease_seconds=LEASE_SECONDS, grace_seconds=GRACE_SECONDS))
        self.enterContext(environment(MIXLN_FAKE_TRAINER=PACE))
        for name in WORKERS:
            self.start(name)

    def start(self, name):
        self.cluster.start_fake_worker(name, "--slots", "2")

    def stall(self, daemon, seconds):
        daemon.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)  # how long it stands still
        daemon.process.send_signal(signal.SIGCONT)

    def kill_host(self, name):
        """The daemon and all that it has started, as where the power fails."""
        self.cluster.workers[name].kill()
        while pids := self.cluster.processes(f"{name}/"):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def kill(self, victim, rng):
        """Kills it, and starts it again if that is anybody's work but the worker's; or stops a daemon for a while."""
        pause = rng.choice((0, rng.uniform(0, 1)))
        name = rng.choice(WORKERS)
        if victim == "coordinator":
            self.cluster.coordinator.kill()
            time.sleep(pause)  # how long it is away
            self.cluster.start_coordinator()
        elif victim == "worker":
            self.cluster.workers[name].kill()
            time.sleep(pause)  # how long it is away
            self.start(name)
        elif victim == "coordinator and worker":
            self.cluster.coordinator.kill()
            self.cluster.workers[name].kill()
            time.sleep(pause)  # how long they are away
            self.cluster.start_coordinator()
            self.start(name)
        elif victim == "host":
            self.kill_host(name)
            time.sleep(3 * pause)  # how long it is away: at times for longer than its lease
            self.start(name)
        elif victim == "stalled":
            self.stall(rng.choice([self.cluster.coordinator, *self.cluster.workers.values()]), rng.uniform(0, 1.5 * LEASE_SECONDS))
        else:
            sign = "rank-shim" if victim == "shim" else "mixln-fake-trainer trial.json"
            pids = sorted(pid for pid, words in self.cluster.processes().items() if sign in words)
            if pids:
                os.kill(rng.choice(pids), signal.SIGKILL)

    def test_promise_2_a_coordinator_that_stands_still_loses_nobody(self):
        cells = {"train.seed": [0, 1, 2, 3]}  # all of them train when it happens
        calm = self.cluster.calm_numbers(parameters=cells, steps=LONG_STEPS)
        self.cluster.submit("still", parameters=cells, steps=LONG_STEPS)
        wait_until(lambda: all(trial["checkpoints"] for trial in self.cluster.trials("still").values()), "checkpoints of all")
        self.stall(self.cluster.coordinator, 2 * LEASE_SECONDS)
        self.cluster.follow("still")
        self.check(self.cluster, "still", calm, "a coordinator that stood still")
        self.assertEqual([len(trial["attempts"]) for trial in self.cluster.trials("still").values()], [1, 1, 1, 1])

    def test_promises_1_2_and_7_in_storms(self):
        calm = self.cluster.calm_numbers(parameters=CELLS, steps=STEPS, more=PATIENT)
        for seed in range(SEED, SEED + STORMS):
            rng = random.Random(seed)
            sweep = f"stormy-{seed}"
            self.cluster.submit(sweep, parameters=CELLS, steps=STEPS, more=PATIENT)
            wait_until(self.cluster.rank_pids, "ranks")
            victims = rng.sample(VICTIMS, len(VICTIMS))
            for victim in victims:
                time.sleep(rng.uniform(0, 0.4))  # the moment is the seed's
                with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
                    self.kill(victim, rng)
            again = f"random_kills_test.py 1 {seed}; killed: {', '.join(victims)}"
            self.cluster.follow(sweep)
            self.check(self.cluster, sweep, calm, again)


if __name__ == "__main__":
    print(f"seed {SEED}: again with random_kills_test.py {STORMS} {SEED}")
    unittest.main(argv=sys.argv[:1], verbosity=2)
