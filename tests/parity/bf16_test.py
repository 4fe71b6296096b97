"""bf16 compute with fp32 masters: for logits, losses and gradients, the error against fp64 is at most 1.25 times that of Hugging Face
(of the plain reference, for placements it has not) under bf16 autocast. Single tensors' errors are noise, so they are taken together
over several batches: the logits, the losses of all targets, all gradients, and the gradients of each kind of weight."""
import collections
import re
import sys
import unittest

import torch

import mixln
import reference

PROGRAM = sys.argv.pop(1)
BATCHES = 4

# (what is odd about it, changes to the model, rows, time, masked, rows at once)
SHAPES = [
    ("grouped-query attention", dict(kv_heads=2), 4, 33, False, 0),
    ("one key head", dict(kv_heads=1), 4, 33, True, 0),
    ("tied head", dict(tie_embeddings=True), 4, 33, False, 0),
    ("padded rows", {}, 8, 33, True, 0),
    ("length 1", {}, 128, 1, False, 0),
    ("sizes off any tile", dict(hidden_size=30, heads=3, kv_heads=3, intermediate_size=41, vocab_size=53), 4, 33, False, 0),
    ("micro-batches", {}, 7, 19, True, 2),
    ("activations computed again", dict(activation_checkpointing=True), 4, 33, False, 0),
    ("more rows than a chunk of the loss", dict(vocab_size=17, hidden_size=24, intermediate_size=40, layers=1), 33, 32, True, 0),
]


def squared(a, b):
    return (a.detach().double() - b.detach().double()).pow(2).sum().item()


def target_losses(logits, batch):
    """The loss of each target that counts, row by row."""
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["tokens"][:, 1:].flatten(), reduction="none")
    return losses if batch["mask"] is None else losses[batch["mask"].flatten() == 1]


def single_targets(batch):
    """A batch for each target that counts, whose loss is the target's alone."""
    rows, time = batch["tokens"].shape[0], batch["tokens"].shape[1] - 1
    for row in range(rows):
        for position in range(time):
            if batch["mask"] is None or batch["mask"][row, position]:
                mask = torch.zeros(1, position + 1, dtype=torch.uint8)
                mask[0, position] = 1
                yield dict(tokens=batch["tokens"][row:row + 1, :position + 2], mask=mask, lr=None)


class Bf16(unittest.TestCase):
    def errors(self, m, autocast_logits_of, rows=4, time=33, masked=False, micro=0):
        """Sums of squared errors by kind of tensor: ours, and autocast's."""
        ours, theirs = collections.Counter(), collections.Counter()
        cases = [(reference.weights_of(m, seed=seed, spread=0.05), mixln.batch(m, rows, time, seed=seed, mask=masked))
                 for seed in range(BATCHES)]
        results = mixln.run_all(PROGRAM, [((dict(m, bf16=True), [batch, *single_targets(batch)], weights, ["logits", "gradients"]),
                                           dict(micro=micro)) for weights, batch in cases])
        for (weights, batch), result in zip(cases, results, strict=True):
            exact_weights = reference.plain_weights(weights, torch.float64)
            exact = reference.Plain(m, exact_weights).logits(batch["tokens"][:, :-1])
            exact_loss = reference.mean_loss(exact, batch)
            exact_loss.backward()

            parameters, logits = autocast_logits_of(weights, batch["tokens"][:, :-1])
            loss = reference.mean_loss(logits.float(), batch)
            loss.backward()
            ours["logits"] += squared(result["tensors"]["logits"], exact)
            theirs["logits"] += squared(logits, exact)
            exact_losses = target_losses(exact, batch)
            ours["losses"] += squared(torch.tensor(result["losses"][1:], dtype=torch.float64), exact_losses)
            theirs["losses"] += squared(target_losses(logits.float(), batch), exact_losses)
            self.assertLess(abs(result["losses"][0] - exact_loss.item()), 2e-3)
            whole = torch.stack([tensor.grad.norm() for tensor in exact_weights.values()]).norm()
            for name, tensor in exact_weights.items():
                if tensor.grad.norm() < 1e-6 * whole:
                    continue  # 0 but for rounding: of the queries, where there is one key
                kind = re.sub(r"model\.layers\.\d+\.", "", name)
                scale = tensor.grad.norm().item() ** -2
                mine = scale * squared(result["tensors"]["gradient:" + name], tensor.grad)
                other = scale * squared(parameters[name].grad, tensor.grad)
                for key in (kind, "all gradients"):
                    ours[key] += mine
                    theirs[key] += other
        return ours, theirs

    def compare(self, ours, theirs):
        for kind, error in ours.items():
            ratio = (error / theirs[kind]) ** 0.5
            print(f"{kind:40s} error {error ** 0.5:.3e}, {ratio:.2f} of autocast's", file=sys.stderr)
            self.assertLessEqual(ratio, 1.25, kind)

    def compare_with_hugging_face(self, m, **batches):
        def run(weights, tokens):
            hf = reference.load(reference.hugging_face(m), weights)
            with torch.autocast("cpu", torch.bfloat16):
                return dict(hf.named_parameters()), hf(tokens).logits

        self.compare(*self.errors(m, run, **batches))

    def test_pre_is_as_exact_as_hugging_face_under_autocast(self):
        self.compare_with_hugging_face(mixln.model("pre"))

    def test_odd_shapes_are_as_exact_too(self):
        for what, changes, rows, time, masked, micro in SHAPES:
            with self.subTest(what):
                print(what, file=sys.stderr)
                self.compare_with_hugging_face(mixln.model("pre", **changes), rows=rows, time=time, masked=masked, micro=micro)

    def test_every_placement_is_as_exact_as_the_reference_under_autocast(self):
        for placements, norm_kind in [*((p, "rmsnorm") for p in mixln.PLACEMENTS), ("pre", "layernorm"), ("post", "layernorm")]:
            with self.subTest(f"{placements}, {norm_kind}"):
                print(f"{placements}, {norm_kind}", file=sys.stderr)
                m = mixln.model(placements, norm_kind=norm_kind)

                def run(weights, tokens):
                    w = reference.plain_weights(weights, torch.float32)
                    with torch.autocast("cpu", torch.bfloat16):
                        return w, reference.Plain(m, w).logits(tokens)

                self.compare(*self.errors(m, run))


if __name__ == "__main__":
    unittest.main()
