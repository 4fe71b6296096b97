"""What a GPU has to show, in one run: the tests with the label gpu, the engine's parity tests on the GPU, and the engine's speed
beside Hugging Face's under torch.compile. scripts/gpu-check calls it.

    python tests/bench/gpu.py BUILD [--gpu 0] [--only tests,parity,bench,peers] [--json FILE]

It needs a build with nvcc (scripts/bootstrap --cuda) and nothing else of the machine that made it: BUILD/bin/mixln-trainer,
BUILD/lib/libmixln_cuda.so, BUILD/tests/mixln-parity and BUILD/tests/gpu_*. Prints a table; --json writes all numbers. Exits 0 if
everything passed, 1 if something failed, 77 where there is no GPU.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARITY = ["fp32", "training", "bf16", "determinism", "initialization"]
WORK = {  # rows, tokens of a row; hidden, MLP, heads, layers
    "llama-71m": (128, 256, (512, 1368, 8, 12)), "llama-1b": (64, 256, (2048, 5461, 32, 24))}
VOCAB, WARM_UP, STEPS = 32000, 5, 20
PEERS = ("autocast", "bf16")  # fp32 masters as ours; bf16 weights and moments


def gpu_name(gpu):
    """None where there is no GPU."""
    try:
        found = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader", f"--id={gpu}"], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return found.stdout.strip() if found.returncode == 0 else None


def run(command, results, name, **environment):
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=dict(os.environ, **environment))
    text = done.stdout + done.stderr
    skipped = text.count("[  SKIPPED ]") > 0
    state = "failed" if done.returncode else "skipped" if skipped else "passed"
    results.append(dict(name=name, state=state, seconds=round(time.monotonic() - start, 1), output=text[-4000:] if state != "passed" else ""))
    print(f"  {name:<44}{state:>8}  {results[-1]['seconds']:7.1f} s", flush=True)
    if state != "passed":
        print("\n".join("    " + line for line in text.splitlines()[-12:]), flush=True)
    return done.stdout


def bench_ours(build, gpu, preset, placement):
    rows, width, _ = WORK[preset]
    done = subprocess.run([build / "bin/mixln-trainer", "bench", "--device", "cuda", "--gpu", str(gpu), "--preset", preset, "--rows", str(rows),
                           "--time", str(width), "--vocab", str(VOCAB), "--steps", str(STEPS), "--placement", placement, "--json"],
                          capture_output=True, text=True)
    if done.returncode:
        return dict(error=done.stderr.strip())
    return json.loads(done.stdout)


def bench_peer(gpu, preset, kind):
    """Runs in a process of its own: `python gpu.py --peer ...`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    rows, width, (hidden, inner, heads, layers) = WORK[preset]
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    device = f"cuda:{gpu}"
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=VOCAB, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=heads,
        max_position_embeddings=width, rms_norm_eps=1e-6, tie_word_embeddings=False, use_cache=False, attn_implementation="sdpa")).to(device)
    if kind == "bf16":
        model = model.to(torch.bfloat16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0, fused=True)
    call = torch.compile(model)
    tokens = torch.randint(VOCAB, (rows, width + 1), device=device)

    def step():
        with torch.autocast("cuda", torch.bfloat16, enabled=kind == "autocast"):
            logits = call(tokens[:, :-1]).logits
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        torch.cuda.synchronize(device)

    for _ in range(WARM_UP):
        step()
    seconds = []
    for _ in range(STEPS):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    print(json.dumps(dict(tokens_per_second=rows * width / statistics.median(seconds), step_seconds=statistics.median(seconds),
                          fastest_seconds=min(seconds), slowest_seconds=max(seconds), peak_bytes=torch.cuda.max_memory_reserved(device))))


def table(lines):
    print(f"\n  {'':<38}{'tokens/s':>12}{'ms a step':>11}{'MFU':>7}{'peak GB':>9}")
    for name, report in lines:
        if "error" in report:
            print(f"  {name:<38}{report['error']}")
            continue
        mfu = f"{report['model_flops_utilization']:.2f}" if "model_flops_utilization" in report else ""
        print(f"  {name:<38}{report['tokens_per_second']:>12,.0f}{1e3 * report['step_seconds']:>11.1f}{mfu:>7}{report['peak_bytes'] * 1e-9:>9.1f}")


def main():
    if sys.argv[1:2] == ["--peer"]:
        return bench_peer(*sys.argv[2:5])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--gpu", default="0", help="number of the GPU, as nvidia-smi counts")
    parser.add_argument("--only", default="tests,parity,bench,peers", help="a comma-separated part of these")
    parser.add_argument("--json", type=pathlib.Path, help="write all numbers to this file")
    args = parser.parse_args()
    build, parts = args.build.resolve(), args.only.split(",")
    name = gpu_name(args.gpu)
    if name is None:
        print(f"gpu-check: skipped: this machine has no GPU number {args.gpu} (nvidia-smi finds none); nothing was run or measured")
        return 77
    if not (build / "lib/libmixln_cuda.so").exists():
        print(f"gpu-check: {build}/lib/libmixln_cuda.so is missing; run scripts/bootstrap --cuda and scripts/build")
        return 1
    print(f"{name}\n")
    checks, speeds = [], []
    if "tests" in parts:
        for program in sorted((build / "tests").glob("gpu_mixln_*")):
            run([program], checks, program.name, CUDA_VISIBLE_DEVICES=args.gpu)
    if "parity" in parts:
        for subject in PARITY:
            run([sys.executable, ROOT / f"tests/parity/{subject}_test.py", build / "tests/mixln-parity"], checks, f"parity/{subject}",
                MIXLN_PARITY_GPU=args.gpu, MIXLN_GPU_PLUGIN=str(build / "lib/libmixln_cuda.so"))
    for preset in WORK:
        rows, width, _ = WORK[preset]
        if "bench" in parts:
            for placement in ("mix", "pre"):
                speeds.append((f"{preset} MixLN {placement}, {rows} x {width}", bench_ours(build, args.gpu, preset, placement)))
        if "peers" in parts:
            for kind in PEERS:
                done = subprocess.run([sys.executable, __file__, "--peer", args.gpu, preset, kind], capture_output=True, text=True)
                speeds.append((f"{preset} Hugging Face {kind}, compiled",
                               json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else dict(error=done.stderr.strip().splitlines()[-1])))
    if speeds:
        table(speeds)
    if args.json:
        args.json.write_text(json.dumps(dict(gpu=name, checks=checks, speeds=dict(speeds)), indent=1))
    failed = any(check["state"] != "passed" for check in checks) or any("error" in report for _, report in speeds)
    print("\n" + ("some of it failed" if failed else "all of it passed"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
