"""What `mixln-trainer bench --serve` is compared with: Hugging Face's LlamaForCausalLM under PyTorch, as one process or as a rank
of FSDP2 over Gloo, or the step's weight products alone. Started by contestants.py; speaks the same protocol: prints "built" when
the model is there and "ready" after the first step, then, for each number of steps that it reads, the seconds they took, and at
the end of its input its peak memory as JSON.
"""
import argparse
import json
import os
import resource
import sys
import time

import torch

from shapes import MODELS, ROWS, TIME


def peak_bytes():
    """Of this process; memory that it shares with others of its group, by its share of it."""
    fields = {}
    for path in ("/proc/self/status", "/proc/self/smaps_rollup"):
        with open(path) as f:
            fields.update(line.split(":", 1) for line in f if ":" in line)
    shared, share = (int(fields.get(name, "0").split()[0]) for name in ("RssShmem", "Pss_Shmem"))
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - shared + share) * 1024


def llama(name):
    from transformers import LlamaConfig, LlamaForCausalLM
    hidden, inner, heads, layers, vocab = MODELS[name]
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=vocab, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=heads,
        max_position_embeddings=TIME, rms_norm_eps=1e-6, tie_word_embeddings=False, use_cache=False, attn_implementation="sdpa"))


def shard(model, kind, compiled):
    """FSDP2, a unit a layer. Whole parameters are kept from the forward to the backward pass: faster by a gather."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
    torch.distributed.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (torch.distributed.get_world_size(),))
    # fp32's own policy reduces in fp32 too.
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32) if kind == "autocast" else MixedPrecisionPolicy()
    for layer in model.model.layers:
        if compiled:
            layer.compile()
        fully_shard(layer, mesh=mesh, mp_policy=policy, reshard_after_forward=False)
    fully_shard(model, mesh=mesh, mp_policy=policy, reshard_after_forward=False)


def training(args, rank, world_size):
    """A function that trains a step: forward, backward, clipping to norm 1, fused AdamW."""
    model = llama(args.model)
    if args.kind == "bf16":
        model = model.to(torch.bfloat16)
    if world_size > 1:
        shard(model, args.kind, args.compiled)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0, fused=True)
    tokens = torch.randint(MODELS[args.model][4], (ROWS * (rank + 1) // world_size - ROWS * rank // world_size, TIME + 1))

    def loss_of(inputs, targets):
        logits = model(inputs).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())

    # Compiled with the loss, so that its logits are fused with it. FSDP's hooks are between compiled layers.
    call = torch.compile(loss_of, dynamic=False) if args.compiled and world_size == 1 else loss_of
    autocast = args.kind == "autocast" and world_size == 1

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = call(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return step


def products(args):
    """A function that does a step's weight products: forward, the input's gradient and the weight's."""
    hidden, inner, _, layers, vocab = MODELS[args.model]
    dtype = torch.bfloat16 if args.kind == "bf16" else torch.float32
    shapes = [(3 * hidden, hidden, layers), (hidden, hidden, layers), (2 * inner, hidden, layers), (hidden, inner, layers),
              (vocab, hidden, 1)]
    operands = []
    for o, i, n in shapes:
        x, w, dy = (torch.randn(size).to(dtype) for size in ((ROWS * TIME, i), (o, i), (ROWS * TIME, o)))
        operands.append((x, w, dy, n, torch.empty_like(dy), torch.empty_like(x), torch.empty_like(w)))

    def step():
        for x, w, dy, n, y, dx, dw in operands:
            for _ in range(n):
                torch.mm(x, w.t(), out=y)
                torch.mm(dy, w, out=dx)
                torch.mm(dy.t(), x, out=dw)
    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--kind", choices=["fp32", "bf16", "autocast"], default="fp32", help="bf16: weights and moments too")
    parser.add_argument("--compiled", action="store_true", help="torch.compile")
    parser.add_argument("--products", action="store_true", help="the weight products alone")
    parser.add_argument("--threads", type=int, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rank, world_size = (int(os.environ.get(name, default)) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")))
    step = products(args) if args.products else training(args, rank, world_size)
    print("built", flush=True)
    step()
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            step()
        print(time.perf_counter() - start, flush=True)
    print(json.dumps({"peak_bytes": peak_bytes()}), flush=True)


if __name__ == "__main__":
    main()
