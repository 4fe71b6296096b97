"""Drives mixln-parity (main.cc says what its files are)."""
import json
import os
import socket
import subprocess
import tempfile

import numpy as np
import torch

# Where the engine computes: on this GPU, if it is set (scripts/gpu-check).
GPU = ["--gpu", os.environ["MIXLN_PARITY_GPU"]] if os.environ.get("MIXLN_PARITY_GPU") else []

# Models this small gain nothing from threads, and lose much on a busy machine.
torch.set_num_threads(1)

MODEL = dict(vocab_size=61, hidden_size=48, intermediate_size=88, layers=3, heads=4, kv_heads=4, rope_theta=10000.0,
             norm_eps=1e-6, norm_kind="rmsnorm", tie_embeddings=False, scaled_init=False, seed=7, bf16=False, weight_decay=0.0,
             clip_norm=0.0, context=64)

PLACEMENTS = ["pre", "post", "mix", "sandwich", "deepnorm", "admin", "lns", "group", "dlcl"]


def model(placements="pre", **changes):
    """The model of a request: `placements` is one of all layers, mix (the first layer post), or a list."""
    m = dict(MODEL, **changes)
    if placements == "mix":
        placements = ["post"] + ["pre"] * (m["layers"] - 1)
    elif isinstance(placements, str):
        placements = [placements] * m["layers"]
    return dict(m, placements=placements)


def batch(m, rows, time, seed=0, mask=False, lr=None):
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(m["vocab_size"], (rows, time + 1), generator=generator)
    keep = None
    if mask:  # rows of different lengths, as padding leaves them
        lengths = torch.randint(1, time + 1, (rows, 1), generator=generator)
        keep = (torch.arange(time)[None, :] < lengths).to(torch.uint8)
    return dict(tokens=tokens, mask=keep, lr=lr)


def write(folder, m, batches, weights=None, outputs=(), threads=1, initialize=False, micro=0, measure=False):
    entries = []
    for b in batches:
        entry = dict(batch=b["tokens"].shape[0], time=b["tokens"].shape[1] - 1, mask=b["mask"] is not None)
        if b["lr"] is not None:
            entry["lr"] = b["lr"]
        entries.append(entry)
    tensors = [dict(name=n, shape=list(w.shape)) for n, w in (weights or {}).items()]
    request = dict(model=m, threads=threads, tensors=tensors, batches=entries, outputs=list(outputs),
                   initialize=initialize, micro=micro, measure=measure)
    with open(os.path.join(folder, "request.json"), "w") as f:
        json.dump(request, f)

    def dump(name, arrays, kind):
        with open(os.path.join(folder, name), "wb") as f:
            for a in arrays:
                f.write(a.detach().to(kind).contiguous().numpy().tobytes())

    dump("tokens.i64", [b["tokens"] for b in batches], torch.int64)
    dump("mask.u8", [b["mask"] for b in batches if b["mask"] is not None], torch.uint8)
    dump("weights.f32", (weights or {}).values(), torch.float32)


def read(folder, ranks=None):
    """result.json with "tensors" as a dict of tensors; of several ranks, their parts of them put together, and "peak_bytes" of each."""
    tensors, peaks = {}, []
    for suffix in [""] if ranks is None else [f"-{rank}" for rank in range(ranks)]:
        with open(os.path.join(folder, f"result{suffix}.json")) as f:
            result = json.load(f)
        peaks.append(result["peak_bytes"])
        data = torch.from_numpy(np.fromfile(os.path.join(folder, f"output{suffix}.f32"), dtype=np.float32))
        at = 0
        for t in result["tensors"]:
            whole = tensors.setdefault(t["name"], torch.full(t["shape"], torch.nan))
            whole.view(-1)[t["begin"]:t["begin"] + t["elements"]] = data[at:at + t["elements"]]
            at += t["elements"]
    return dict(result, tensors=tensors, peak_bytes=peaks)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run_ranks(program, world_size, requests, gloo=False):
    """run_all with `world_size` processes, joined as in training or by Gloo."""
    with tempfile.TemporaryDirectory() as parent:
        folders = []
        for i, (args, kwargs) in enumerate(requests):
            folders.append(os.path.join(parent, str(i)))
            os.mkdir(folders[-1])
            write(folders[-1], *args, **kwargs)
        rendezvous = f"127.0.0.1:{free_port()}"
        processes = [subprocess.Popen([program, "--rank", str(rank), "--world-size", str(world_size),
                                       "--rendezvous", rendezvous, *(["--gloo"] if gloo else []), *GPU, *folders]) for rank in range(world_size)]
        codes = [process.wait() for process in processes]
        assert codes == [0] * world_size, codes
        return [read(folder, world_size) for folder in folders]


def run_all(program, requests):
    """The results of many requests, each the arguments of write(), from one process: starting one is what takes long."""
    with tempfile.TemporaryDirectory() as parent:
        folders = []
        for i, (args, kwargs) in enumerate(requests):
            folders.append(os.path.join(parent, str(i)))
            os.mkdir(folders[-1])
            write(folders[-1], *args, **kwargs)
        subprocess.run([program, *GPU, *folders], check=True)
        return [read(folder) for folder in folders]


def run(program, *args, **kwargs):
    return run_all(program, [(args, kwargs)])[0]


def relative(a, b):
    """‖a − b‖₂ / ‖b‖₂."""
    a, b = a.detach().double(), b.detach().double()
    return ((a - b).norm() / b.norm()).item()
