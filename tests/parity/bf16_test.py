"""bf16 compute with fp32 masters: for logits, loss and gradients, the error against fp64 is at most 1.25 times that
of Hugging Face (of the plain reference, for placements it has not) under bf16 autocast. Single tensors' errors are noise, so they are taken together over several batches: the
logits, all gradients, and the gradients of each kind of weight."""
import collections
import re
import sys
import unittest

import torch

import mixln
import reference

PROGRAM = sys.argv.pop(1)
BATCHES = 4


def squared(a, b):
    return (a.detach().double() - b.detach().double()).pow(2).sum().item()


class Bf16(unittest.TestCase):
    def errors(self, m, autocast_logits_of):
        """Sums of squared errors by kind of tensor: ours, and autocast's."""
        ours, theirs = collections.Counter(), collections.Counter()
        cases = [(reference.weights_of(m, seed=seed, spread=0.05), mixln.batch(m, 4, 33, seed=seed))
                 for seed in range(BATCHES)]
        results = mixln.run_all(PROGRAM, [((dict(m, bf16=True), [batch], weights, ["logits", "gradients"]), {})
                                          for weights, batch in cases])
        for (weights, batch), result in zip(cases, results):
            exact_weights = reference.plain_weights(weights, torch.float64)
            exact = reference.Plain(m, exact_weights).logits(batch["tokens"][:, :-1])
            exact_loss = reference.mean_loss(exact, batch)
            exact_loss.backward()

            parameters, logits = autocast_logits_of(weights, batch["tokens"][:, :-1])
            loss = reference.mean_loss(logits.float(), batch)
            loss.backward()
            ours["logits"] += squared(result["tensors"]["logits"], exact)
            theirs["logits"] += squared(logits, exact)
            self.assertLess(abs(result["losses"][0] - exact_loss.item()), 2e-3)
            for name, tensor in exact_weights.items():
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

    def test_pre_is_as_exact_as_hugging_face_under_autocast(self):
        m = mixln.model("pre")

        def run(weights, tokens):
            hf = reference.load(reference.hugging_face(m), weights)
            with torch.autocast("cpu", torch.bfloat16):
                return dict(hf.named_parameters()), hf(tokens).logits

        self.compare(*self.errors(m, run))

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
