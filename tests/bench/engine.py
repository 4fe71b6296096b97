"""The engine's speed against what its users could pick instead, in turns in one run.

    .venv/bin/python tests/bench/engine.py BUILD/bin/mixln-trainer [--model 71m] [--precision bf16] [--rounds 5] [--json FILE]

Ours is Mix-LN with a quarter of the layers Post-LN; all layers Pre-LN beside it.
Peers: Hugging Face's LlamaForCausalLM with fused AdamW, eager and under torch.compile, in fp32, pure bf16 and bf16 autocast;
with --ranks 2, PyTorch's FSDP2 over Gloo. The limit: the time of the step's weight products alone, as at::mm. A step is
forward, backward, clipping to norm 1 and update of 8 x 256 tokens. Prints each one's median and how many times as fast ours
is, as the median and the range of the rounds' ratios. Leave the machine alone while it runs.
"""
import argparse
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import time

ROWS, TIME, VOCAB = 8, 256, 32000
MODELS = {  # hidden, MLP, heads, layers, vocabulary
    "demo": (96, 256, 4, 8, 1024), "9m": (128, 352, 4, 4, VOCAB), "71m": (512, 1368, 8, 12, VOCAB), "130m": (768, 2048, 12, 12, VOCAB)}


def reference_model(name):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    hidden, inner, heads, layers, vocab = MODELS[name]
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=vocab, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=heads,
        max_position_embeddings=TIME, rms_norm_eps=1e-6, tie_word_embeddings=False, use_cache=False, attn_implementation="sdpa"))


def peer_steps(name, kind, compiled, ranks, rank):
    """A function that trains one step. `kind`: fp32, bf16 (weights too) or autocast."""
    import torch
    model = reference_model(name)
    if kind == "bf16":
        model = model.to(torch.bfloat16)
    if ranks > 1:
        from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32) if kind == "autocast" else MixedPrecisionPolicy()
        for layer in model.model.layers:
            fully_shard(layer, mp_policy=policy)
        fully_shard(model, mp_policy=policy)
        kind = "sharded"
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0, fused=True)
    call = torch.compile(model) if compiled else model
    own = ROWS * (rank + 1) // ranks - ROWS * rank // ranks
    tokens = torch.randint(MODELS[name][4], (own, TIME + 1))

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=kind == "autocast"):
            logits = call(tokens[:, :-1]).logits
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return step


def serve_peer(pipe, name, kind, compiled, threads, ranks, rank, port):
    import torch
    start = time.perf_counter()
    torch.set_num_threads(threads)
    if ranks > 1:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE=str(ranks))
        torch.distributed.init_process_group("gloo")
    step = peer_steps(name, kind, compiled, ranks, rank)
    step()
    pipe.send(time.perf_counter() - start)
    while (count := pipe.recv()) is not None:
        start = time.perf_counter()
        for _ in range(count):
            step()
        pipe.send(time.perf_counter() - start)
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


class Peer:
    """Processes of their own, so that each one's memory and threads are its own."""

    def __init__(self, name, kind, compiled, threads, ranks):
        context = multiprocessing.get_context("spawn")
        port = free_port()
        self.pipes, self.processes = [], []
        for rank in range(ranks):
            ours, theirs = context.Pipe()
            process = context.Process(target=serve_peer, args=(theirs, name, kind, compiled, threads, ranks, rank, port))
            process.start()
            self.pipes.append(ours)
            self.processes.append(process)
        self.start_seconds = max(pipe.recv() for pipe in self.pipes)

    def steps(self, count):
        for pipe in self.pipes:
            pipe.send(count)
        return max(pipe.recv() for pipe in self.pipes)

    def end(self):
        for pipe in self.pipes:
            pipe.send(None)
        peak = sum(pipe.recv() for pipe in self.pipes)
        for process in self.processes:
            process.join()
        return peak


class Ours:
    def __init__(self, program, name, precision, threads, ranks, more=()):
        hidden, inner, heads, layers, vocab = MODELS[name]
        command = [program, "bench", "--serve", "--hidden", str(hidden), "--intermediate", str(inner), "--heads", str(heads),
                   "--layers", str(layers), "--vocab", str(vocab), "--rows", str(ROWS), "--time", str(TIME), "--precision", precision,
                   "--threads", str(threads), *more]
        rendezvous = f"127.0.0.1:{free_port()}"
        self.processes = [subprocess.Popen(
            command + (["--rank", str(rank), "--world-size", str(ranks), "--rendezvous", rendezvous] if ranks > 1 else []),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for rank in range(ranks)]
        start = time.perf_counter()
        for process in self.processes:
            assert process.stdout.readline().strip() == "ready"
        self.start_seconds = time.perf_counter() - start

    def steps(self, count):
        for process in self.processes:
            process.stdin.write(f"{count}\n")
            process.stdin.flush()
        return max(float(process.stdout.readline()) for process in self.processes)

    def end(self):
        peak = 0
        for process in self.processes:
            process.stdin.close()
            peak += json.loads(process.stdout.readline())["peak_bytes"]
            process.wait()
        return peak


def serve_limit(pipe, name, precision, threads):
    import torch
    torch.set_num_threads(threads)
    hidden, inner, _, layers, vocab = MODELS[name]
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    products = [(3 * hidden, hidden, layers), (hidden, hidden, layers), (2 * inner, hidden, layers), (hidden, inner, layers), (vocab, hidden, 1)]
    operands = [(torch.randn(ROWS * TIME, i).to(dtype), torch.randn(o, i).to(dtype), torch.randn(ROWS * TIME, o).to(dtype), n)
                for o, i, n in products]
    pipe.send(0.0)
    while (count := pipe.recv()) is not None:
        start = time.perf_counter()
        for _ in range(count):
            for x, w, dy, n in operands:
                for _ in range(n):
                    torch.mm(x, w.t())
                    torch.mm(dy, w)
                    torch.mm(dy.t(), x)
        pipe.send(time.perf_counter() - start)
    pipe.send(0)


class Limit(Peer):
    def __init__(self, name, precision, threads):
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve_limit, args=(theirs, name, precision, threads))
        process.start()
        self.pipes, self.processes = [ours], [process]
        self.start_seconds = ours.recv()


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--model", choices=MODELS, default="71m")
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16", help="ours")
    parser.add_argument("--peers", default="all", help="a comma-separated part of the peers' names")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of all ranks together")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="of a round")
    parser.add_argument("--json", help="write all numbers to this file")
    args = parser.parse_args()
    threads = max(1, args.threads // args.ranks)

    makers = {f"MixLN {args.precision}": lambda: Ours(args.program, args.model, args.precision, threads, args.ranks)}
    if args.ranks > 1:
        makers["MixLN, one process"] = lambda: Ours(args.program, args.model, args.precision, args.threads, 1)
        for kind in ("fp32", "autocast"):
            makers[f"FSDP2 {kind}"] = lambda kind=kind: Peer(args.model, kind, False, threads, args.ranks)
    else:
        makers["MixLN, all layers Pre-LN"] = lambda: Ours(args.program, args.model, args.precision, threads, 1, ("--placement", "pre"))
        makers["products alone, at::mm"] = lambda: Limit(args.model, args.precision, threads)
        for kind in ("fp32", "bf16", "autocast"):
            for compiled in (False, True):
                makers[f"{'compiled' if compiled else 'eager'} {kind}"] = (
                    lambda kind=kind, compiled=compiled: Peer(args.model, kind, compiled, threads, 1))
    wanted = args.peers.split(",")
    contestants = {}
    for name, make in makers.items():
        if args.peers == "all" or name.startswith("MixLN") or name.startswith("products") or name in wanted:
            print(f"starting {name}", file=sys.stderr)
            contestants[name] = make()
    seconds = {name: [] for name in contestants}
    for round_number in range(-1, args.rounds):  # the first one warms up
        for name, contestant in contestants.items():
            print(f"round {round_number + 1} of {args.rounds}: {name}", file=sys.stderr)
            taken = contestant.steps(args.steps) / args.steps
            if round_number >= 0:
                seconds[name].append(taken)
    peaks = {name: contestant.end() for name, contestant in contestants.items()}

    ours = seconds[next(iter(seconds))]
    print(f"{args.model}, {ROWS} x {TIME} tokens, {args.ranks} rank(s) of {threads} thread(s), {args.rounds} rounds of {args.steps} steps")
    print(f"| {'':24s} | ms a step | tokens/s | ours is | range of the rounds | peak MB | to the end of the first step |")
    print("|---|---|---|---|---|---|---|")
    for name, values in seconds.items():
        median = statistics.median(values)
        ratios = [theirs / mine for theirs, mine in zip(values, ours)]
        print(f"| {name:24s} | {1e3 * median:.1f} | {ROWS * TIME / median:.0f} | {statistics.median(ratios):.2f} x | "
              f"{min(ratios):.2f} to {max(ratios):.2f} | {peaks[name] / 1e6:.0f} | {contestants[name].start_seconds:.1f} s |")
    if args.json:
        with open(args.json, "w") as f:
            json.dump(dict(arguments=vars(args), seconds_a_step=seconds, peak_bytes=peaks,
                           start_seconds={n: c.start_seconds for n, c in contestants.items()}), f, indent=1)


if __name__ == "__main__":
    main()
