"""Several ranks of one attempt, each a mixln-trainer of its own, as their agents run them."""
import copy
import itertools
import pathlib
import signal
import socket
import struct
import time
import unittest

from rank import STEPS, Rank, folder_with_data, trial, wait_until

# One rank that cannot share its memory is enough: then Gloo joins all.
APART = {1: "fsdp.share memory:1=EIO"}
PEER_LOST_SECONDS = 10  # a promise of the rank contract
FIRST = 10  # steps over which fp32 losses stay within 1e-5 whatever the order of sums


def start_each(folder, configs, failpoints=None):
    """A rank of each config. Where they meet is handed down to rank 0 as agents do it."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        rendezvous = f"127.0.0.1:{listening.getsockname()[1]}"
        return [Rank(folder / f"rank-{rank}", dict(config, rank=rank, world_size=len(configs), rendezvous=rendezvous),
                     (failpoints or {}).get(rank), listening if rank == 0 else None) for rank, config in enumerate(configs)]


def start(folder, config, world_size, failpoints=None):
    return start_each(folder, [config] * world_size, failpoints)


def pulse(rank):
    """The words of worker/pulse: phase, step, collectives begun, beats."""
    return struct.unpack("=QqQQ", (rank.folder / "pulse").read_bytes()[:32])


class RanksTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = folder_with_data(cls, "ranks")
        cls.one = Rank(cls.shared / "one", trial(cls.shared, "one-attempt"))
        assert cls.one.wait() == 0, cls.one.log()
        cls.two = start(cls.shared / "two", trial(cls.shared, "two-attempt"), 2)
        assert [rank.wait() for rank in cls.two] == [0, 0], "\n".join(rank.log() for rank in cls.two)

    def setUp(self):
        self.folder = self.shared / self.id().rsplit(".", 1)[1]
        self.folder.mkdir()
        self.config = trial(self.folder)
        self.config["dataset_dir"] = str(self.shared / "data")

    def wait(self, ranks, *codes):
        self.assertEqual([rank.wait() for rank in ranks], list(codes), "\n".join(rank.log() for rank in ranks))

    def assert_close(self, found, expected, first_step=1):
        for step in range(first_step, first_step + FIRST):
            self.assertAlmostEqual(found[step] / expected[step], 1, delta=1e-5, msg=f"step {step}")

    def files(self, attempt, step=STEPS):
        folder = pathlib.Path(attempt) / "checkpoints" / f"step-{step:09}"
        self.assertTrue((folder / "manifest.json").exists())
        return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}

    def test_two_train_what_one_does(self):
        first, second = self.two
        self.assert_close(first.losses(), self.one.losses())
        self.assertEqual([step for step, _ in first.of("checkpoint_done")], list(range(20, STEPS + 1, 20)))
        self.assertEqual(first.of("step_done")[-1][1]["tokens"], self.one.of("step_done")[-1][1]["tokens"])
        self.assertEqual(first.of("eval_done")[-1][1]["tokens"], self.one.of("eval_done")[-1][1]["tokens"])
        self.assertAlmostEqual(first.of("eval_done")[-1][1]["loss"], self.one.of("eval_done")[-1][1]["loss"], delta=0.05)
        self.assertEqual(second.events(), [])  # a trial's numbers are those of rank 0
        sizes = [len(data) for data in self.files(self.shared / "two-attempt").values()]
        self.assertEqual(len(sizes), 2)
        self.assertLess(abs(sizes[0] - sizes[1]), 0.05 * sum(sizes))  # vectors are rank 0's

    def test_ranks_that_cannot_share_memory_train_the_same_bits_over_gloo(self):
        ranks = start(self.folder / "ranks", self.config, 2, APART)
        self.wait(ranks, 0, 0)
        self.assertIn("2 ranks over Gloo", ranks[0].log())
        self.assertIn("2 ranks over shared memory", self.two[0].log())
        self.assertEqual(ranks[0].losses(), self.two[0].losses())
        self.assertEqual(self.files(self.config["attempt_dir"]), self.files(self.shared / "two-attempt"))

    def test_uneven_rows_padding_and_accumulation_on_three(self):
        for change in ({"accumulate": "ACCUMULATE_REDUCE_EACH"}, {"accumulate": "ACCUMULATE_NO_SYNC"},
                       {"reshard_after_forward": False, "activation_checkpointing": True}):
            with self.subTest(change):
                config = copy.deepcopy(self.config)
                config["spec"]["train"].update(steps="10", batch={"sequences": 16, "micro_sequences": 2})
                config["spec"]["data"]["reading"] = "READING_PADDED"
                config["spec"]["sharding"].update(change)
                name = "-".join(change)
                alone = Rank(self.folder / f"{name}-alone", dict(config, attempt_dir=str(self.folder / f"{name}-a")))
                ranks = start(self.folder / name, dict(config, attempt_dir=str(self.folder / f"{name}-b")), 3)
                self.wait([alone, *ranks], 0, 0, 0, 0)
                self.assert_close(ranks[0].losses(), alone.losses())

    def test_a_checkpoint_loads_into_another_world_size(self):
        at = 60
        for name, source, world_size, expected in (("of-two", "two-attempt", 1, self.two[0]), ("of-one", "one-attempt", 3, self.one)):
            with self.subTest(name):
                config = dict(self.config, resume_from=str(self.shared / source / f"checkpoints/step-{at:09}"),
                              attempt_dir=str(self.folder / f"{name}-attempt"))
                if world_size == 1:
                    ranks = [Rank(self.folder / name, config)]
                else:
                    ranks = start(self.folder / name, config, world_size)
                self.wait(ranks, *[0] * world_size)
                self.assert_close(ranks[0].losses(), expected.losses(), at + 1)
                self.assertIn("not bit for bit", ranks[0].log())

    def test_a_stop_of_one_stops_all_at_the_same_step(self):
        ranks = start(self.folder / "ranks", self.config, 2)
        wait_until(lambda: len(ranks[0].of("step_done")) > 3, "some steps")
        ranks[1].process.send_signal(signal.SIGTERM)
        self.wait(ranks, 75, 75)
        step = max(ranks[0].losses())
        self.assertEqual(ranks[0].of("checkpoint_done")[-1][0], step)
        self.assertEqual(len(self.files(self.config["attempt_dir"], step)), 2)
        self.assertIn("another rank was asked to", ranks[0].log())
        again = start(self.folder / "again", dict(self.config), 2)
        self.wait(again, 0, 0)
        for later, loss in again[0].losses().items():
            self.assertEqual(loss, self.two[0].losses()[later])

    def test_a_rank_that_dies_ends_the_others_as_peer_lost(self):
        for victim, failpoints in ((0, {}), (1, {}), (2, {}), (0, APART), (2, APART)):
            with self.subTest(victim=victim, failpoints=failpoints):
                name = f"{victim}-{len(failpoints)}"
                config = dict(self.config, attempt_dir=str(self.folder / f"attempt-{name}"))
                ranks = start(self.folder / f"victim-{name}", config, 3, failpoints)
                wait_until(lambda: len(ranks[0].of("step_done")) > 3, "some steps")
                ranks[victim].process.kill()
                killed = time.monotonic()
                codes = [rank.wait() for rank in ranks]
                took = time.monotonic() - killed
                print(f"rank {victim} killed, {'over Gloo' if failpoints else 'shared memory'}: the others ended after {took:.2f} s")
                self.assertLess(took, PEER_LOST_SECONDS)
                self.assertEqual(codes, [-9 if rank == victim else 72 for rank in range(3)],
                                 "\n".join(rank.log() for rank in ranks))
                survivor = ranks[1 if victim == 0 else 0]
                self.assertIn("another rank was lost", survivor.log())
                self.assertEqual(survivor.of("failed")[-1][1]["cause"], "FAILURE_CAUSE_PEER_LOST")

    def test_a_rank_that_dies_in_an_evaluation_or_a_save_ends_the_others_as_peer_lost(self):
        moments = {"evaluation": "trainer.evaluation_batch:2=kill", "save": "file.write@step-000000020:3=kill"}
        for (moment, point), victim, others in itertools.product(moments.items(), (0, 2), ({}, APART)):
            with self.subTest(moment, victim=victim, others=others):
                name = f"{moment}-{victim}-{len(others)}"
                config = copy.deepcopy(dict(self.config, attempt_dir=str(self.folder / f"attempt-{name}")))
                config["spec"]["eval"].update(every_steps="5")
                ranks = start(self.folder / name, config, 3, {victim: point, **others})
                codes = [ranks[victim].wait()]
                died = time.monotonic()
                survivors = [rank for rank in ranks if rank is not ranks[victim]]
                codes += [rank.wait() for rank in survivors]
                self.assertLess(time.monotonic() - died, PEER_LOST_SECONDS)
                self.assertEqual(codes, [-9, 72, 72], "\n".join(rank.log() for rank in ranks))
                for rank in survivors:
                    self.assertIn("another rank was lost", rank.log())

    def test_a_stopped_rank_is_silent_and_the_one_that_waits_for_it_beats(self):
        for name, failpoints in (("memory", {}), ("gloo", APART)):
            with self.subTest(name):
                config = dict(self.config, attempt_dir=str(self.folder / f"{name}-attempt"))
                ranks = start(self.folder / name, config, 2, failpoints)
                wait_until(lambda: len(ranks[0].of("step_done")) > 3, "some steps")
                ranks[1].process.send_signal(signal.SIGSTOP)
                # A whole beat of the waiting one at an unchanged place is behind the signal.
                place = wait_until(lambda: self.waits_at(ranks[0]), "rank 0 to wait")
                silent = pulse(ranks[1])
                self.assertLessEqual(silent[1:3], place[1:])
                self.assertIn(silent[0], (1, 2, 3))  # training, evaluating, saving
                wait_until(lambda: self.waits_at(ranks[0]) == place, "another beat")
                self.assertEqual(pulse(ranks[1]), silent)
                ranks[0].process.send_signal(signal.SIGUSR2)
                wait_until(lambda: "stack of thread" in ranks[0].log(), "a stack")
                ranks[1].process.send_signal(signal.SIGCONT)
                self.wait(ranks, 0, 0)

    def waits_at(self, rank):
        """Where a rank is that beats and gets no further, as (phase, step, collective); else nothing."""
        before = pulse(rank)
        time.sleep(1.5)  # a rank that waits beats once a second at least
        after = pulse(rank)
        return before[:3] if before[:3] == after[:3] and after[3] > before[3] else None

    def test_a_rank_that_cannot_load_ends_the_others_too(self):
        config = copy.deepcopy(self.config)
        broken = copy.deepcopy(config)
        broken["dataset_dir"] = str(self.folder / "nowhere")
        self.wait(start_each(self.folder, [config, broken]), 72, 65)


if __name__ == "__main__":
    unittest.main()
