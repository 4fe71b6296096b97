"""Logits, loss and every gradient in fp32: pre against Hugging Face, every placement against the plain reference in fp64.
‖Δ‖₂/‖ref‖₂ ≤ 1e-5 for each tensor, on odd shapes too; where rounding alone takes the plain reference in fp32 farther than that
from itself in fp64 (a LayerNorm of three channels), no farther than it. And no token changes the logits before it."""
import sys
import unittest

import torch

import mixln
import reference

PROGRAM = sys.argv.pop(1)
LIMIT = 1e-5

# (what is odd about it, changes to the model, rows, time, masked)
SHAPES = [
    ("plain", {}, 2, 16, False),
    ("batch 1, length 1", {}, 1, 1, False),
    ("odd length", {}, 3, 37, False),
    ("the whole context", {}, 2, 64, False),
    ("padded rows", {}, 4, 19, True),
    ("one layer", dict(layers=1), 2, 13, False),
    ("one layer, one head", dict(layers=1, heads=1, kv_heads=1), 1, 33, False),
    ("grouped-query attention", dict(kv_heads=2), 2, 35, False),
    ("one key head", dict(kv_heads=1), 2, 7, True),
    ("tied head", dict(tie_embeddings=True), 2, 21, False),
    ("sizes off any tile", dict(hidden_size=30, heads=3, kv_heads=3, intermediate_size=41, vocab_size=53), 3, 29, False),
    ("head size 2", dict(hidden_size=6, heads=3, kv_heads=1, intermediate_size=5, vocab_size=11), 2, 9, False),
    ("more rows than a chunk of the loss", dict(vocab_size=17), 40, 31, True),
    ("activations computed again", dict(activation_checkpointing=True), 2, 37, True),
    ("another base of the rotation", dict(rope_theta=500.0, norm_eps=1e-5), 2, 50, False),
]


class Fp32(unittest.TestCase):
    def compare(self, ours, logits, loss, gradients, rounded=None):
        found = {"loss": abs(ours["losses"][0] / loss - 1), "evaluated": abs(ours["evaluated"] / loss - 1),
                 "logits": mixln.relative(ours["tensors"]["logits"], logits)}
        names = {n[len("gradient:"):] for n in ours["tensors"] if n.startswith("gradient:")}
        self.assertEqual(names, set(gradients))
        whole = torch.stack([g.double().norm() for g in gradients.values()]).norm().item()
        for name, gradient in gradients.items():
            gradient, mine = gradient.double(), ours["tensors"]["gradient:" + name].double()
            # A gradient that is 0 but for rounding (of the queries, where there is one key) has no relative error.
            if gradient.norm().item() < 1e-6 * whole:
                self.assertLessEqual((mine - gradient).norm().item(), 1e-6 * whole, name)
                continue
            found[name] = mixln.relative(mine, gradient)
            # Rows of the table that no input has looked up, and nothing else, have none at all.
            self.assertFalse(mine[gradient == 0].any(), name)
        for name, error in found.items():
            limit = LIMIT
            if error > LIMIT and rounded is not None and name in gradients:
                limit = mixln.relative(rounded()[name], gradients[name])
            self.assertLessEqual(error, limit, name)

    def check(self, cases, threads, expected):
        """cases: (what, model, weights, batch). expected(case) gives logits, loss and the gradients by name."""
        requests = [((m, [batch], weights, ["logits", "gradients"], threads), {}) for _, m, weights, batch in cases]
        for case, ours in zip(cases, mixln.run_all(PROGRAM, requests)):
            with self.subTest(case[0]):
                self.compare(ours, *expected(*case[1:]))

    def test_pre_equals_hugging_face(self):
        cases = []
        for what, changes, rows, time, masked in SHAPES:
            m = mixln.model("pre", **changes)
            cases.append((what, m, reference.weights_of(m), mixln.batch(m, rows, time, mask=masked)))

        def expected(m, weights, batch):
            hf = reference.load(reference.hugging_face(m), weights)
            logits = hf(batch["tokens"][:, :-1]).logits
            loss = reference.mean_loss(logits, batch)
            loss.backward()
            return logits, loss.item(), {n: p.grad for n, p in hf.named_parameters()}

        self.check(cases, 2, expected)

    def check_formulas(self, norm_kind, placements_list):
        cases = []
        for placements in placements_list:
            for what, changes, rows, time, masked in SHAPES:
                if changes.get("layers") == 1 and isinstance(placements, list):
                    continue
                if "group" in placements and changes.get("hidden_size", 8) % 8 != 0:
                    changes = dict(changes, hidden_size=changes["heads"] * 8)
                m = mixln.model(placements, norm_kind=norm_kind, **changes)
                weights = reference.weights_of(m, seed=1)
                cases.append((f"{placements}, {norm_kind}: {what}", m, weights,
                              mixln.batch(m, rows, time, seed=2, mask=masked)))

        def plain(m, weights, batch, dtype):
            w = reference.plain_weights(weights, dtype)
            logits = reference.Plain(m, w).logits(batch["tokens"][:, :-1])
            loss = reference.mean_loss(logits, batch)
            loss.backward()
            return logits, loss.item(), {n: t.grad for n, t in w.items()}

        def expected(*case):
            return *plain(*case, torch.float64), lambda: plain(*case, torch.float32)[2]

        self.check(cases, 1, expected)

    def test_every_placement_equals_the_formulas(self):
        self.check_formulas("rmsnorm", mixln.PLACEMENTS)

    def test_every_placement_with_layer_norms_equals_the_formulas(self):
        self.check_formulas("layernorm", mixln.PLACEMENTS)

    def test_layers_of_different_placements_equal_the_formulas(self):
        self.check_formulas("rmsnorm", [["pre", "post", "pre"], ["sandwich", "deepnorm", "admin"], ["lns", "group", "lns"]])
        self.check_formulas("layernorm", [["group", "admin", "sandwich"]])

    def test_no_token_sees_a_later_one(self):
        for placements in mixln.PLACEMENTS:
            m = mixln.model(placements)
            weights = reference.weights_of(m)
            batch = mixln.batch(m, 2, 24)
            changed = dict(batch, tokens=batch["tokens"].clone())
            changed["tokens"][:, 13] = (batch["tokens"][:, 13] + 1) % m["vocab_size"]
            one, other = mixln.run_all(PROGRAM, [((m, [b], weights, ["logits"]), {}) for b in (batch, changed)])
            one, other = one["tensors"]["logits"], other["tensors"]["logits"]
            with self.subTest(placements):
                self.assertTrue(torch.equal(one[:, :13], other[:, :13]))
                self.assertTrue(torch.all((one[:, 13:] != other[:, 13:]).any(-1)))


if __name__ == "__main__":
    unittest.main()
