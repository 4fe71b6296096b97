"""20 AdamW updates, 10 of them warm-up, in fp32: every loss within 1e-5 relative, every parameter within 1e-3, the gradient
norm before clipping too, and the ratio of each layer's update to its weights. pre against Hugging Face with torch's AdamW, every placement against the plain reference."""
import sys
import unittest

import torch

import mixln
import reference

PROGRAM = sys.argv.pop(1)
STEPS, WARMUP, PEAK = 20, 10, 3e-3


def batches_of(m, masked):
    # Update u counts from 0, so the first changes nothing.
    return [mixln.batch(m, 4, 23, seed=u, mask=masked, lr=PEAK * min(1.0, u / WARMUP)) for u in range(STEPS)]


def layer_of(m, parameters, layer):
    """One vector of all that the layer has."""
    own = [p.detach().flatten() for name, p in parameters.items() if f".layers.{layer}." in name]
    return torch.cat(own).double()


def train(m, parameters, logits_of, batches):
    """torch's AdamW: vectors do not decay."""
    groups = [dict(params=[p for p in parameters.values() if p.dim() > 1], weight_decay=m["weight_decay"]),
              dict(params=[p for p in parameters.values() if p.dim() == 1], weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.999), eps=1e-8)
    losses, norms, ratios = [], [], []
    for batch in batches:
        for group in optimizer.param_groups:
            group["lr"] = batch["lr"]
        loss = reference.mean_loss(logits_of(batch["tokens"][:, :-1]), batch)
        loss.backward()
        limit = m["clip_norm"] or float("inf")
        norms.append(torch.nn.utils.clip_grad_norm_(parameters.values(), limit).item())
        before = [layer_of(m, parameters, layer) for layer in range(m["layers"])]
        optimizer.step()
        ratios.append([((layer_of(m, parameters, layer) - old).norm() / old.norm()).item() for layer, old in enumerate(before)])
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses, norms, ratios


class Training(unittest.TestCase):
    def compare(self, m, weights, batches, losses, norms, ratios, parameters):
        ours = mixln.run(PROGRAM, m, batches, weights, ["parameters"], measure=True)
        for step in range(STEPS):
            self.assertLessEqual(abs(ours["losses"][step] / losses[step] - 1), 1e-5, f"loss of step {step}")
            self.assertLessEqual(abs(ours["gradient_norms"][step] / norms[step] - 1), 1e-4, f"norm of step {step}")
            for layer, (mine, theirs) in enumerate(zip(ours["layer_update_ratios"][step], ratios[step], strict=True)):
                self.assertAlmostEqual(mine, theirs, delta=1e-3 * theirs, msg=f"ratio of layer {layer} at step {step}")
        self.assertEqual(ours["layer_update_ratios"][0], [0.0] * m["layers"])  # its learning rate is 0
        for name, parameter in parameters.items():
            self.assertLessEqual(mixln.relative(ours["tensors"]["parameter:" + name], parameter), 1e-3, name)
            # The comparison is worth something only if training moved the parameter further than its limit.
            self.assertGreater(mixln.relative(parameter, weights[name]), 1.5e-3, name)

    def test_pre_trains_like_hugging_face(self):
        for what, changes in (("plain", {}), ("decay and clipping", dict(weight_decay=0.1, clip_norm=0.5)),
                              ("tied, grouped-query", dict(tie_embeddings=True, kv_heads=2, clip_norm=1.0))):
            with self.subTest(what):
                m = mixln.model("pre", **changes)
                weights = reference.weights_of(m)
                batches = batches_of(m, masked=what != "plain")
                hf = reference.load(reference.hugging_face(m), weights)
                parameters = dict(hf.named_parameters())
                losses, norms, ratios = train(m, parameters, lambda tokens: hf(tokens).logits, batches)
                self.compare(m, weights, batches, losses, norms, ratios, parameters)

    def test_every_placement_trains_like_the_formulas(self):
        for placements, norm_kind in [*((p, "rmsnorm") for p in mixln.PLACEMENTS), *((p, "layernorm") for p in mixln.PLACEMENTS)]:
            with self.subTest(f"{placements}, {norm_kind}"):
                m = mixln.model(placements, norm_kind=norm_kind, weight_decay=0.05, clip_norm=1.0)
                weights = reference.weights_of(m)
                batches = batches_of(m, masked=False)
                w = reference.plain_weights(weights, torch.float64)
                losses, norms, ratios = train(m, w, reference.Plain(m, w).logits, batches)
                self.compare(m, weights, batches, losses, norms, ratios, w)

    def test_measuring_changes_no_bit(self):
        for bf16 in (False, True):
            m = mixln.model("mix", bf16=bf16, weight_decay=0.05, clip_norm=1.0)
            plain, measured = mixln.run_all(PROGRAM, [((m, batches_of(m, masked=False)), dict(outputs=["parameters"], measure=measure))
                                                      for measure in (False, True)])
            self.assertEqual(plain["losses"], measured["losses"])
            self.assertEqual([len(ratios) for ratios in measured["layer_update_ratios"]], [m["layers"]] * STEPS)
            for name, tensor in plain["tensors"].items():
                self.assertTrue(tensor.equal(measured["tensors"][name]), name)


if __name__ == "__main__":
    unittest.main()
