"""Tokens per second of the demo's model: ours against Hugging Face's LlamaForCausalLM with fused AdamW, in turns in one run.

    .venv/bin/python tests/bench/demo_model.py BUILD/tests/mixln-parity [--threads 1] [--rounds 7] [--compile] [--json FILE]

A step is forward, backward, clipping and update of 8 x 128 tokens in fp32. Prints the median of the rounds and the ratio of
each round. Leave the machine alone while it runs.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "parity"))
import mixln  # noqa: E402
import reference  # noqa: E402

ROWS, TIME = 8, 128


def peer(m, batches, compiled):
    model = reference.hugging_face(m)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, fused=True)
    call = torch.compile(model) if compiled else model

    def steps(count):
        start = time.perf_counter()
        for i in range(count):
            tokens = batches[i % len(batches)]["tokens"]
            logits = call(tokens[:, :-1]).logits
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), m["clip_norm"])
            optimizer.step()
            optimizer.zero_grad()
        return time.perf_counter() - start
    return steps


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=10, help="of a round")
    parser.add_argument("--hidden", type=int, default=96)
    parser.add_argument("--intermediate", type=int, default=256)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--vocab", type=int, default=2048)
    parser.add_argument("--compile", action="store_true", help="torch.compile as a further peer")
    parser.add_argument("--json", help="write all numbers to this file")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    m = mixln.model("mix", vocab_size=args.vocab, hidden_size=args.hidden, intermediate_size=args.intermediate,
                    layers=args.layers, heads=args.heads, kv_heads=args.heads, context=TIME, clip_norm=1.0)
    batches = [mixln.batch(m, ROWS, TIME, seed=i, lr=1e-4) for i in range(4)]

    with tempfile.TemporaryDirectory() as folder:
        mixln.write(folder, m, batches, threads=args.threads, serve=True)
        ours = subprocess.Popen([args.program, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert ours.stdout.readline().strip() == "ready"

        def our_steps(count):
            ours.stdin.write(f"{count}\n")
            ours.stdin.flush()
            return float(ours.stdout.readline())

        contestants = {"mixln": our_steps, "hugging face, eager": peer(m, batches, False)}
        if args.compile:
            contestants["hugging face, torch.compile"] = peer(m, batches, True)
        seconds = {name: [] for name in contestants}
        for steps in contestants.values():
            steps(3)
        for _ in range(args.rounds):
            for name, steps in contestants.items():
                seconds[name].append(steps(args.steps) / args.steps)
        ours.stdin.close()
        ours.wait()

    print(f"{args.layers} layers of {args.hidden}, vocabulary {args.vocab}, {ROWS} x {TIME} tokens, fp32, "
          f"{args.threads} thread(s), {args.rounds} rounds of {args.steps} steps")
    print(f"{'':30s}{'ms a step':>12s}{'tokens/s':>12s}{'ours is':>10s}   (each round)")
    for name, values in seconds.items():
        median = statistics.median(values)
        ratios = [theirs / mine for theirs, mine in zip(values, seconds["mixln"])]
        print(f"{name:30s}{1e3 * median:12.1f}{ROWS * TIME / median:12.0f}{statistics.median(ratios):9.2f}x"
              f"   ({min(ratios):.2f} to {max(ratios):.2f})")
    if args.json:
        with open(args.json, "w") as f:
            json.dump(dict(arguments=vars(args), seconds_a_step=seconds), f, indent=1)


if __name__ == "__main__":
    main()
