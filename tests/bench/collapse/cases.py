"""The runs that the collapse detector is measured on."""


def case(placement, layers, lr, seed=0, *, kind="healthy", hidden=48, steps=300, warmup=30, clip=1.0, beta2=0.999, schedule="cosine",
         scaled=False):
    post = {"mix": layers // 4}.get(placement, 0)
    rest = "pre" if placement == "mix" else placement
    name = f"{kind}-{placement}{'-scaled' if scaled else ''}-{layers}-lr{lr:g}-s{seed}"
    if (steps, warmup, clip, beta2, schedule) != (300, 30, 1.0, 0.999, "cosine"):
        name += f"-{steps}-{warmup}-{clip:g}-{beta2:g}-{schedule}"
    return dict(name=name, kind=kind, placement=placement, layers=layers, placements=["post"] * post + [rest] * (layers - post), lr=lr, seed=seed,
                scaled=scaled, hidden=hidden, steps=steps, warmup=warmup, clip=clip, beta2=beta2, schedule="SCHEDULE_" + schedule.upper())


# Deep Post-LN at high learning rates never learns more than how frequent tokens are.
NEVER_LEARNS = [case("post", layers, lr, seed, kind="collapse", hidden=32)
                for layers, lr, seed in [(24, 3e-3, 0), (24, 1e-2, 0), (24, 3e-2, 1), (32, 3e-3, 1), (32, 1e-2, 2)]]
NEVER_LEARNS += [case("post", 8, 3e-3, 1, kind="collapse")]  # seed 0 learns
NEVER_LEARNS += [case("admin", 8, 3e-3, kind="collapse")]

# Learns, then a learning rate that it cannot stand throws it back onto the plateau.
SPIKES = [case(placement, layers, lr, 0, kind="spike", hidden=32, steps=600, warmup=warmup, clip=0, schedule="constant")
          for placement, layers, lr, warmup in [("post", 8, 3e-2, 500), ("mix", 16, 1e-1, 500)]]

HEALTHY = [case(placement, 8, lr, seed) for placement in ("pre", "mix", "post") for lr in (3e-4, 1e-3, 3e-3) for seed in (0, 1)
           if (placement, lr, seed) != ("post", 3e-3, 1)]
HEALTHY += [case(placement, 16, lr, 0, hidden=32) for placement in ("pre", "mix") for lr in (3e-4, 1e-3, 5e-3)]
HEALTHY += [case(placement, 6, 1e-4, 0) for placement in ("pre", "mix", "post")]
HEALTHY += [case(placement, 6, 1e-2, 0) for placement in ("pre", "mix")]
HEALTHY += [case("post", 12, 1e-2, 0, hidden=32, steps=600, warmup=300, clip=0, schedule="constant")]
# Slow ones, which need long to fall through the unigram model's loss.
HEALTHY += [case(placement, 8, 3e-4, 0, steps=900, warmup=90) for placement in ("pre", "post")]
HEALTHY += [case("pre", 16, 5e-4, 0, hidden=32, steps=600, warmup=30), case("post", 16, 1e-3, 0, hidden=32, steps=300, warmup=100),
            case("pre", 8, 5e-4, 1, steps=300, warmup=10, schedule="constant")]
HEALTHY += [case("pre", 8, 1e-1, 0, hidden=32, steps=600, warmup=500, clip=0, schedule="constant")]
HEALTHY += [case("pre", 6, 2e-3, 0, steps=300, warmup=0), case("pre", 6, 3e-5, 0), case("mix", 6, 1e-3, 0, clip=0, warmup=150)]
# The placements that Mix-LN is compared with, and scaled initialization.
HEALTHY += [case(placement, 8, lr) for placement in ("sandwich", "deepnorm", "admin", "lns", "group", "dlcl") for lr in (3e-4, 1e-3, 3e-3)
            if placement != "admin" or lr == 3e-4]
HEALTHY += [case("pre", 8, lr, scaled=True) for lr in (3e-4, 1e-3, 3e-3)]
HEALTHY += [case(placement, 8, 1e-3, steps=900, warmup=90) for placement in ("sandwich", "admin")]
# Rests on the plateau to its end, and learns when it has 900 steps: neither kind.
UNCLEAR = [case("admin", 8, 1e-3, kind="unclear")]

CASES = NEVER_LEARNS + SPIKES + HEALTHY + UNCLEAR
