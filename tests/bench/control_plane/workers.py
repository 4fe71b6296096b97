"""Simulated workers, which speak WorkerSession and train nothing: a trial of N steps takes N milliseconds.

    .venv/bin/python tests/bench/control_plane/workers.py HOST:PORT VERSION --count 500 [--prefix w]

They reconnect when the coordinator goes away and keep what they run, as real ones do. Ends when its standard input does.
"""
import argparse
import asyncio
import random
import sys

import grpc

from api import OPTIONS, message, method

RESERVED, RUNNING, ENDED = 2, 3, 4  # AttemptPhase
FINISHED, STOPPED = 1, 2            # AttemptOutcome


class Worker:
    def __init__(self, name, connect, version):
        self.name, self.connect, self.version = name, connect, version
        self.held = {}     # (trial, term, epoch) -> AttemptStatus
        self.steps = {}    # of each held attempt
        self.outcomes = {}  # of those that ended and were not yet seen to be known
        self.timers = {}
        self.term = 0
        self.call = None

    def report(self, key, phase, outcome=0):
        """What became of an attempt, sent now if there is a session; else Hello says it."""
        trial, term, epoch = key
        if self.call is not None:
            self.out.put_nowait(message("WorkerMessage", report=message(
                "AttemptReport", trial_id=trial, fence=message("Fence", term=term, epoch=epoch), phase=phase, outcome=outcome)))

    def end(self, key, outcome):
        if key in self.held:
            self.timers.pop(key, None)
            self.held[key].phase = ENDED
            self.outcomes[key] = outcome
        self.report(key, ENDED, outcome)
        if self.call is not None:
            self.forget(key)

    def forget(self, key):
        for kept in (self.held, self.steps, self.outcomes):
            kept.pop(key, None)

    def take(self, said):
        kind = said.WhichOneof("message")
        body = getattr(said, kind)
        if kind == "reserve":
            key = (body.trial_id, body.fence.term, body.fence.epoch)
            self.held[key] = message("AttemptStatus", trial_id=body.trial_id, fence=body.fence, phase=RESERVED,
                                     ranks=[r.rank for r in body.ranks])
            self.steps[key] = body.spec.train.steps
            self.report(key, RESERVED)
        elif kind == "start":
            key = (body.trial_id, body.fence.term, body.fence.epoch)
            if key in self.held and self.held[key].phase == RESERVED:
                self.held[key].phase = RUNNING
                self.report(key, RUNNING)
                self.timers[key] = asyncio.get_running_loop().call_later(self.steps[key] / 1000, self.end, key, FINISHED)
        elif kind == "stop":
            key = (body.trial_id, body.fence.term, body.fence.epoch)
            if key in self.timers:
                self.timers[key].cancel()
            self.end(key, STOPPED)
        elif kind == "welcome":
            self.term = body.term
            kept = {(k.trial_id, k.fence.term, k.fence.epoch) for k in body.keep}
            for key in list(self.held):
                if key in self.outcomes:
                    self.end(key, self.outcomes[key])
                elif key not in kept:
                    if key in self.timers:
                        self.timers.pop(key).cancel()
                    self.forget(key)

    async def beat(self):
        await asyncio.sleep(2 * random.random())  # the beats of 500 workers spread over the interval
        sequence = 0
        while True:
            sequence += 1
            self.out.put_nowait(message("WorkerMessage", heartbeat=message("Heartbeat", sequence=sequence, attempts=self.held.values())))
            await asyncio.sleep(2)

    async def send(self, call):
        while True:
            await call.write(await self.out.get())

    async def session(self):
        self.out = asyncio.Queue()
        slot = message("Slot", index=0, device=2, model="simulated", cpus=[0], gpu=-1, memory_bytes=1 << 30)
        self.out.put_nowait(message("WorkerMessage", hello=message(
            "Hello", worker_id=self.name, instance=1, hostname=self.name, version=self.version, slots=[slot],
            attempts=self.held.values(), highest_term=self.term)))

        self.call = self.connect(metadata=[("mixln-version", self.version)])
        tasks = [asyncio.ensure_future(self.send(self.call)), asyncio.ensure_future(self.beat())]
        try:
            async for said in self.call:
                self.take(said)
        finally:
            self.call = None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def run(self):
        await asyncio.sleep(random.random())
        while True:
            try:
                await self.session()
            except grpc.aio.AioRpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    print(self.name, error.code(), error.details(), file=sys.stderr)
            await asyncio.sleep(0.2 + 0.8 * random.random())


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("coordinator")
    parser.add_argument("version")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--prefix", default="w")
    args = parser.parse_args()
    options = OPTIONS + [("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 500),
                         ("grpc.initial_reconnect_backoff_ms", 200), ("grpc.min_reconnect_backoff_ms", 200)]
    workers = []
    for i in range(args.count):  # a connection each, as separate hosts have
        channel = grpc.aio.insecure_channel(args.coordinator, options)
        workers.append(Worker(f"{args.prefix}{i:04d}", method(channel, "WorkerSessionService", "Connect"), args.version).run())
    running = asyncio.gather(*workers)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    running.cancel()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        pass
