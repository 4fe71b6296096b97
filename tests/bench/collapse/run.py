"""Trains models that collapse and models that do not, and says how the trainer judged each.

    .venv/bin/python tests/bench/collapse/run.py BUILD/bin --out FOLDER [--only TEXT] [--list]

Each case of cases.py is one mixln-trainer on the shipped corpus, on one thread. Its loss curve is kept as FOLDER/<case>.json and
not trained again; detection is switched off, so that a curve shows what a collapsed run goes on to do. judge.py replays the curves
through the detector. About half an hour on one core.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

from cases import CASES

ROOT = pathlib.Path(__file__).resolve().parents[3]
CONTEXT = 64


def data_spec():
    return {"source": sorted(map(str, (ROOT / "examples/corpus").glob("*.gz"))), "tokenizer": {"model": "", "train": {"vocab": 1024}},
            "reading": "READING_PACKED", "context": CONTEXT, "validation_fraction": 0.05, "split": "DOCUMENT_SPLIT_PARAGRAPH"}


def prepare(programs, cache):
    request = cache / "request.json"
    request.write_text(json.dumps(data_spec()))
    done = subprocess.run([programs / "mixln-prepare", "--request", request, "--cache", cache, "--threads", "1"],
                          check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])["dataset_dir"]


def trial(case, dataset, folder):
    """trial.json of a case."""
    layers = case["layers"]
    placements = case["placements"]
    return {
        "trial_id": case["name"], "fence": {"term": "1", "epoch": "1"}, "rank": 0, "world_size": 1, "rendezvous": "",
        "spec": {
            "model": {"preset": "", "vocab_size": 0, "hidden_size": case["hidden"], "intermediate_size": case["hidden"] * 8 // 3,
                      "layers": layers, "heads": 4, "kv_heads": 0, "rope_theta": 10000, "norm_eps": 1e-6, "tie_embeddings": False},
            "norm": {"placement": "PLACEMENT_" + case["placement"].upper(), "alpha": placements.count("post") / layers,
                     "post_layers": placements.count("post"), "layer_placements": ["PLACEMENT_" + p.upper() for p in placements],
                     "kind": "NORM_KIND_RMSNORM"},
            "init": {"std": 0.02, "embedding_std": 0.02, "scaled": case["scaled"], "from": ""},
            "data": data_spec(),
            "train": {"steps": str(case["steps"]), "batch": {"sequences": 8, "micro_sequences": 0}, "lr": case["lr"],
                      "warmup_steps": str(case["warmup"]), "schedule": case["schedule"], "min_lr_ratio": 0.1,
                      "decay_share": 0.1, "beta1": 0.9,
                      "beta2": case["beta2"], "adam_eps": 1e-8, "weight_decay": 0, "clip_norm": case["clip"], "precision": "PRECISION_FP32",
                      "seed": str(case["seed"]), "deterministic": True},
            "eval": {"every_steps": "0", "tokens": "5000"},
            "checkpoint": {"every_steps": "0"},
            "resources": {"device": "DEVICE_CPU", "ranks": 1, "priority": 0},
            "retry": {"max_retries": 0}, "limits": {"max_runtime_seconds": "0", "detect_collapse": False},
            "sharding": {"accumulate": "ACCUMULATE_REDUCE_EACH", "reshard_after_forward": True, "activation_checkpointing": False},
        },
        "dataset_dir": dataset, "attempt_dir": str(folder / "attempt"), "resume_from": "", "threads": 1, "gpu": -1,
        "address": "127.0.0.1",
    }


def train(programs, case, dataset):
    """The curve of a case: the losses of all steps, and how the process ended."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "trial.json").write_text(json.dumps(trial(case, dataset, folder)))
        done = subprocess.run([programs / "mixln-trainer", "trial.json"], cwd=folder, capture_output=True, text=True)
        events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    steps = [e["step_done"] for e in events if "step_done" in e]
    if not steps:
        sys.exit(done.stderr)
    return {"case": case, "exit_code": done.returncode, "unigram_perplexity": events[0]["started"]["unigram_perplexity"],
            "losses": [float(s["loss"]) for s in steps], "unigram_losses": [float(s["unigram_loss"]) for s in steps],
            "gradient_norms": [float(s["gradient_norm"]) for s in steps]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--only", default="", help="cases whose name has this text")
    parser.add_argument("--list", action="store_true", help="name the cases only")
    args = parser.parse_args()
    args.programs = args.programs.resolve()
    args.out = args.out.resolve()
    cases = [c for c in CASES if args.only in c["name"]]
    if args.list:
        print("\n".join(c["name"] for c in cases))
        return
    (args.out / "cache").mkdir(parents=True, exist_ok=True)
    dataset = prepare(args.programs, args.out / "cache")
    for case in cases:
        path = args.out / (case["name"] + ".json")
        if not path.exists():
            path.write_text(json.dumps(train(args.programs, case, dataset)))
        curve = json.loads(path.read_text())
        tail = curve["losses"][-20:]
        print(f"{case['name']:44s} exit {curve['exit_code']}, first {curve['losses'][0]:.3f}, lowest {min(curve['losses']):.3f}, "
              f"last {sum(tail) / len(tail):.3f}", flush=True)


if __name__ == "__main__":
    main()
