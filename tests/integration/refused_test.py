"""Bad input on the wire, against a real coordinator: the right gRPC code, counted by kind, and nothing is changed."""
import contextlib
import json
import pathlib
import queue
import re
import sqlite3
import sys
import unittest

import grpc

from cluster import ROOT, Cluster, corpus_text, sweep_text, wait_until

sys.path.append(str(pathlib.Path(ROOT) / "tests" / "bench" / "control_plane"))
from api import MESSAGES, message, method  # noqa: E402

CONNECT = "/mixln.v1.WorkerSessionService/Connect"
PATIENT = ("--lease-seconds", "60")  # no lease of a worker that says nothing more runs out in a test
HEARD = ("state", "connect_time", "heartbeat_time")  # what changes in a worker's row as it comes and goes


class Stream:
    """One worker's stream, whose messages are given as bytes or as fields of a WorkerMessage."""

    def __init__(self, channel):
        self.outgoing = queue.Queue()
        self.call = channel.stream_stream(CONNECT)(iter(self.outgoing.get, None), timeout=60)

    def send(self, raw=None, **fields):
        self.outgoing.put(raw if raw is not None else message("WorkerMessage", **fields).SerializeToString())

    def receive(self):
        return MESSAGES["mixln.v1.CoordinatorMessage"].FromString(next(self.call))

    def receive_until(self, kind):
        while True:
            answer = self.receive()
            if answer.HasField(kind):
                return getattr(answer, kind)

    def ended(self):
        """The status that the coordinator ended it with; what it said before is passed over."""
        with contextlib.suppress(grpc.RpcError):
            while True:
                next(self.call)
        return self.call.code(), self.call.details()

    def close(self):
        self.outgoing.put(None)
        self.call.cancel()


class Refused(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster(*PATIENT))
        self.channel = self.enterContext(grpc.insecure_channel(f"127.0.0.1:{self.cluster.port}"))
        self.version = json.loads(self.cluster.ctl("version", "-o", "json").stdout)["client"]
        self.streams = []

    def tearDown(self):
        for stream in self.streams:
            stream.close()

    def stream(self):
        self.streams.append(Stream(self.channel))
        return self.streams[-1]

    def hello(self, worker_id="w", instance=1, slots=1, **fields):
        return message("Hello", **{"worker_id": worker_id, "instance": instance, "hostname": "host", "version": self.version,
                                   "slots": [message("Slot", index=i, device="DEVICE_CPU") for i in range(slots)], **fields})

    def connect(self, **fields):
        stream = self.stream()
        stream.send(hello=self.hello(**fields))
        return stream, stream.receive().welcome

    def counts(self):
        text = self.cluster.metrics(self.cluster.coordinator)
        return {reason: float(value) for reason, value in re.findall(r'(?m)^mixln_refused_total\{reason="(\w+)"\} (\S+)$', text)}

    def rows(self, database, *queries):
        with contextlib.closing(sqlite3.connect(f"file:{self.cluster.coordinator_folder}/{database}?mode=ro", uri=True)) as db:
            return [db.execute(query).fetchall() for query in queries]

    def state(self):
        """All that is on disk: sweeps, trials, curves, and the workers but for when they were heard."""
        *trials, workers = self.rows("state.db", "select * from sweeps", "select * from trials", "select object from workers")
        curves = self.rows("metrics.db", "select * from points", "select * from cursors")
        parsed = [MESSAGES["mixln.v1.Worker"].FromString(worker) for (worker,) in workers]
        for worker in parsed:
            for field in HEARD:
                worker.ClearField(field)
        return trials, curves, parsed

    @contextlib.contextmanager
    def expect(self, reason):
        """The block's input is counted once, as this and nothing else, and changes nothing."""
        counts, state = self.counts(), self.state()
        yield
        expected = {**counts, reason: counts[reason] + 1}
        wait_until(lambda: self.counts() == expected, f"{expected} instead of {counts}")
        self.assertEqual(self.state(), state)

    def assert_ended(self, stream, code, words):
        said = stream.ended()
        self.assertEqual(said[0], code, said)
        self.assertIn(words, said[1])

    def test_a_first_message_that_is_none_or_not_the_first(self):
        for reason, code, words, first in (
                ("malformed", "INVALID_ARGUMENT", "no message of a worker", {"raw": b"\xff\xff\xff"}),
                ("malformed", "INVALID_ARGUMENT", "without the worker's id", {"hello": self.hello(worker_id="")}),
                ("out_of_order", "INVALID_ARGUMENT", "first message must be a Hello", {"heartbeat": message("Heartbeat", sequence=1)}),
                ("oversized", "RESOURCE_EXHAUSTED", "a worker's may have", {"hello": self.hello(hostname="x" * (9 << 20))})):
            with self.subTest(words), self.expect(reason):
                stream = self.stream()
                stream.send(**first)
                self.assert_ended(stream, grpc.StatusCode[code], words)

    def test_a_hello_of_somebody_else(self):
        cluster_id = self.connect(worker_id="friend")[1].cluster_id
        for reason, words, fields in (
                ("version", "they do not work together", {"version": "9.0.0"}),
                ("other_cluster", "belongs to cluster elsewhere", {"cluster_id": "elsewhere"}),
                ("newer_term", "runs on an old copy of its state", {"cluster_id": cluster_id, "highest_term": 77})):
            with self.subTest(reason), self.expect(reason):
                stream = self.stream()
                stream.send(hello=self.hello(worker_id="stranger", **fields))
                self.assert_ended(stream, grpc.StatusCode.FAILED_PRECONDITION, words)

    def test_a_second_worker_with_the_same_identity(self):
        first, _ = self.connect(instance=2)
        with self.expect("same_worker"):
            second = self.stream()
            second.send(hello=self.hello(instance=2))
            self.assert_ended(second, grpc.StatusCode.ALREADY_EXISTS, "is connected already from host")
        with self.expect("older_worker"):
            older = self.stream()
            older.send(hello=self.hello(instance=1))
            self.assert_ended(older, grpc.StatusCode.FAILED_PRECONDITION, "two daemons share a state folder")
        first.send(heartbeat=message("Heartbeat", sequence=5))
        self.assertEqual(first.receive_until("heartbeat_ack").sequence, 5, "the first one is served on")
        with self.expect("out_of_order"):
            first.send(hello=self.hello(instance=2))
            self.assert_ended(first, grpc.StatusCode.INVALID_ARGUMENT, "a second Hello")

    def test_promise_4_words_of_an_attempt_that_is_not_the_live_one(self):
        self.submit("fenced")
        stream, _ = self.connect()
        reserve = stream.receive_until("reserve")
        for fence in (message("Fence", term=reserve.fence.term, epoch=reserve.fence.epoch + 1),
                      message("Fence", term=reserve.fence.term - 1, epoch=reserve.fence.epoch)):
            with self.expect("stale_fence"):
                stream.send(report=message("AttemptReport", trial_id=reserve.trial_id, fence=fence, phase="ATTEMPT_PHASE_RUNNING"))
                stop = stream.receive_until("stop")
                self.assertEqual((stop.trial_id, stop.fence), (reserve.trial_id, fence))
            done = message("RankEvent", sequence=1, step=1, step_done=message("StepDone", loss=1.0))
            with self.expect("stale_fence"):
                stream.send(events=message("EventBatch", trial_id=reserve.trial_id, fence=fence, events=[done]))
                self.assertEqual(stream.receive_until("stop").fence, fence)
        with self.expect("wrong_rank"):
            stream.send(events=message("EventBatch", trial_id=reserve.trial_id, fence=reserve.fence, rank=3, events=[done]))
        with self.expect("stale_fence"):  # of a trial that nobody knows
            stream.send(report=message("AttemptReport", trial_id="nobody-0", fence=reserve.fence, phase="ATTEMPT_PHASE_RUNNING"))
            self.assertEqual(stream.receive_until("stop").trial_id, "nobody-0")

    def test_events_after_a_gap(self):
        self.submit("gap")
        stream, _ = self.connect()
        reserve = stream.receive_until("reserve")
        attempt = {"trial_id": reserve.trial_id, "fence": reserve.fence}

        def say(*numbers, loss=1.0):
            done = [message("RankEvent", sequence=n, step=n, step_done=message("StepDone", loss=loss)) for n in numbers]
            stream.send(events=message("EventBatch", **attempt, events=done))

        say(1)
        self.assertEqual(stream.receive_until("event_ack").sequence, 1)
        counts, state = self.counts(), self.state()
        say(1, loss=7.0)  # again: no mistake, and nothing new
        self.assertEqual(stream.receive_until("event_ack").sequence, 1)
        self.assertEqual((self.counts(), self.state()), (counts, state))
        for instance, numbers in enumerate(((3,), (2, 4)), start=2):
            with self.expect("out_of_order"):
                say(*numbers)
                self.assert_ended(stream, grpc.StatusCode.INVALID_ARGUMENT, "came after event")
            running = message("AttemptStatus", **attempt, phase="ATTEMPT_PHASE_RUNNING", ranks=[0])
            stream, welcome = self.connect(instance=instance, attempts=[running])
            self.assertEqual([cursor.sequence for cursor in welcome.cursors], [1])
        say(2, 3)
        self.assertEqual(stream.receive_until("event_ack").sequence, 3)
        curve = method(self.channel, "TrialService", "GetCurve")(message("GetCurveRequest", trial_id=reserve.trial_id, metric="loss"))
        self.assertEqual((list(curve.steps), list(curve.values)), ([1, 2, 3], [1.0, 1.0, 1.0]))

    def test_a_message_that_says_nothing(self):
        stream, _ = self.connect()
        with self.expect("malformed"):
            stream.send(raw=b"")
            self.assert_ended(stream, grpc.StatusCode.INVALID_ARGUMENT, "says nothing")

    def test_words_of_a_stream_that_a_newer_one_has_replaced(self):
        """They count when the loop has them in its hands as the newer stream is accepted: tried until it has."""
        stream, _ = self.connect()
        counts, before = self.counts(), self.state()
        for instance in range(2, 200):
            for sequence in range(1, 20):
                stream.send(heartbeat=message("Heartbeat", sequence=sequence))
            newer, _ = self.connect(instance=instance)
            self.assertEqual(stream.ended()[0], grpc.StatusCode.ABORTED)
            stream = newer
            if self.counts() != counts:
                break
        self.assertEqual(self.counts(), {**counts, "stale_session": 1})
        (worker,) = self.state()[2]
        self.assertEqual(worker.instance, instance)
        before[2][0].instance = instance
        self.assertEqual(self.state(), before)

    def submit(self, name):
        """Before any stream is open: gRPC's Python does not like forks beside one."""
        corpus = self.cluster.write("corpus.txt", corpus_text(50))
        self.cluster.ctl("submit", self.cluster.write(f"{name}.yaml", sweep_text(name, corpus, {"train.seed": [0]})))

    def test_a_replayed_request_makes_one_sweep_and_a_reused_id_none(self):
        self.submit("first")
        spec = MESSAGES["mixln.v1.SweepSpec"]()
        spec.CopyFrom(method(self.channel, "SweepService", "GetSweep")(message("GetSweepRequest", sweep_id="first")).spec)
        create = method(self.channel, "SweepService", "CreateSweep")
        request = message("CreateSweepRequest", sweep_id="twice", spec=spec, request_id="r1")
        self.assertTrue(create(request).created)
        before = self.state()
        self.assertFalse(create(request).created)
        self.assertEqual(self.state(), before)
        request.sweep_id = "other"
        with self.expect("invalid_request"), self.assertRaises(grpc.RpcError) as error:
            create(request)
        self.assertEqual(error.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertIn("created sweep twice before", error.exception.details())

    def test_a_call_that_cannot_be(self):
        with self.expect("invalid_request"), self.assertRaises(grpc.RpcError) as error:
            method(self.channel, "SweepService", "CreateSweep")(message("CreateSweepRequest", sweep_id="No Name"))
        self.assertEqual(error.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        before = self.state()
        for name in ("GetSweep", "DeleteSweep", "CreateSweep"):  # bytes that are no message: gRPC's own answer
            with self.assertRaises(grpc.RpcError) as error:
                self.channel.unary_unary(f"/mixln.v1.SweepService/{name}")(b"\xff\xff\xff")
            self.assertEqual(error.exception.code(), grpc.StatusCode.INTERNAL)
        self.assertEqual(self.state(), before)


if __name__ == "__main__":
    unittest.main(verbosity=2)
