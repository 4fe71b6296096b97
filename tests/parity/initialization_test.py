"""Initial weights of every placement: their distributions by the formulas, equal where placements share a tensor, and Admin's
omegas against the reference's own pass over the first batch."""
import math
import sys
import unittest

import torch

import mixln
import reference

PROGRAM = sys.argv.pop(1)
STD = 0.02  # of the engine's options


def same(a, b):
    return a.shape == b.shape and torch.equal(a.view(torch.int32), b.view(torch.int32))


def initials(requests):
    """The initial weights of several models: (model, batches to start from or None)."""
    results = mixln.run_all(PROGRAM, [((m, batches or [], None, ["parameters"]), dict(initialize=batches is not None))
                                      for m, batches in requests])
    return [{name[len("parameter:"):]: tensor for name, tensor in result["tensors"].items()} for result in results]


def kind_of(name):
    return name.removesuffix(".weight").rsplit(".", 1)[-1]


class Initialization(unittest.TestCase):
    def check_deviation(self, name, tensor, expected):
        # Five standard errors of the mean and of the deviation of n normal numbers.
        n = tensor.numel()
        self.assertLess(abs(tensor.mean().item()), 5 * expected / n ** 0.5, name)
        self.assertLess(abs(tensor.std().item() / expected - 1), 5 / (2 * n) ** 0.5, name)

    def test_matrices_are_normal_with_the_formulas_deviation(self):
        layers = 3
        gain = (8 * layers) ** -0.25
        models = [mixln.model(placements, hidden_size=192, intermediate_size=320, kv_heads=2, layers=layers, vocab_size=400,
                              scaled_init=scaled)
                  for placements in mixln.PLACEMENTS for scaled in (False, True)
                  if placements != "deepnorm" or not scaled]  # refused
        for m, weights in zip(models, initials([(m, None) for m in models]), strict=True):
            for name, tensor in weights.items():
                if tensor.dim() == 1:
                    continue
                kind = kind_of(name)
                expected = STD
                if m["placements"][0] == "deepnorm" and ".layers." in name:
                    expected = (1 if kind in ("q_proj", "k_proj") else gain) * math.sqrt(2 / sum(tensor.shape))
                elif m["scaled_init"] and kind in ("o_proj", "down_proj"):
                    expected = STD / math.sqrt(2 * layers)
                with self.subTest(f"{m['placements']}, scaled {m['scaled_init']}"):
                    self.check_deviation(name, tensor, expected)

    def test_vectors_start_as_the_formulas_say(self):
        rows = []
        for placements, weights in zip(mixln.PLACEMENTS, initials([(mixln.model(p), None) for p in mixln.PLACEMENTS])):
            for name, tensor in weights.items():
                if tensor.dim() == 1:
                    is_row = kind_of(name) == "output_sum"
                    self.assertTrue(torch.all(tensor == torch.tensor(1 / tensor.numel() if is_row else 1.0)), name)
                    if is_row:
                        rows.append((placements, tensor.numel()))
        self.assertEqual(rows, [("dlcl", n) for n in (1, 2, 3, 4)])  # three layers and the head

    def test_placements_start_equal_where_they_share_a_tensor(self):
        pre, *others = initials([(mixln.model(p), None) for p in mixln.PLACEMENTS])
        for placements, other in zip(mixln.PLACEMENTS[1:], others, strict=True):
            shared = set(pre) & set(other)
            self.assertGreaterEqual(len(shared), 7 * 3 + 3)  # 7 matrices of 3 layers, embedding, head, final norm at least
            for name in shared:
                if placements == "deepnorm" and ".layers." in name and pre[name].dim() == 2:
                    # The same numbers at another scale.
                    scale = other[name].double().norm() / pre[name].double().norm()
                    self.assertLess(mixln.relative(other[name] / scale, pre[name]), 1e-6, name)
                else:
                    self.assertTrue(same(pre[name], other[name]), f"{placements}: {name}")

    def test_ranks_start_with_the_same_bits_whatever_the_world_size(self):
        # Sizes that no world size divides.
        requests = [((mixln.model(p, hidden_size=56, intermediate_size=83), [], None, ["parameters"]), {}) for p in mixln.PLACEMENTS]
        alone = mixln.run_all(PROGRAM, requests)
        for world_size in (2, 3, 4):
            for placements, one, many in zip(mixln.PLACEMENTS, alone, mixln.run_ranks(PROGRAM, world_size, requests), strict=True):
                with self.subTest(placements, world_size=world_size):
                    self.assertEqual(set(many["tensors"]), set(one["tensors"]))
                    for name, tensor in one["tensors"].items():
                        self.assertTrue(same(many["tensors"][name], tensor), name)

    def test_scaling_divides_what_writes_into_the_stream_and_nothing_else(self):
        plain, scaled = initials([(mixln.model("pre"), None), (mixln.model("pre", scaled_init=True), None)])
        for name, tensor in plain.items():
            if kind_of(name) in ("o_proj", "down_proj"):
                self.assertLess(mixln.relative(scaled[name] * math.sqrt(6), tensor), 1e-6, name)
            else:
                self.assertTrue(same(scaled[name], tensor), name)

    def check_omegas(self, placements, norm_kind):
        m = mixln.model(placements, norm_kind=norm_kind)
        batches = [mixln.batch(m, 3, 23, seed=1), mixln.batch(m, 2, 23, seed=2, mask=True)]
        # The pass is in fp32 whatever the compute type.
        before, *started = initials([(m, None), (m, batches), (dict(m, bf16=True), batches)])
        expected = reference.admin_omegas(m, {name: tensor.double() for name, tensor in before.items()}, batches)
        self.assertEqual(len(expected), 2 * m["placements"].count("admin"))
        for found in started:
            for name, tensor in found.items():
                if name in expected:
                    self.assertLess(mixln.relative(tensor, expected[name]), 1e-5, name)
                    self.assertEqual(tensor.unique().numel(), 1)
                else:
                    self.assertTrue(same(tensor, before[name]), name)
        return expected

    def test_admins_omegas_are_those_of_a_pass_over_the_first_batch(self):
        for norm_kind in ("rmsnorm", "layernorm"):
            with self.subTest(norm_kind):
                expected = self.check_omegas("admin", norm_kind)
                first, second = (expected[f"model.layers.0.{n}_omega.weight"][0].item() for n in ("attention", "mlp"))
                self.assertEqual(first, 1)
                self.assertGreater(abs(second - 1), 0.1)  # else a pass that does nothing would do

    def test_admins_omegas_behind_layers_of_other_placements(self):
        for placements in (["sandwich", "admin", "admin"], ["admin", "pre", "admin"], ["post", "deepnorm", "admin"]):
            with self.subTest(placements):
                self.check_omegas(placements, "rmsnorm")

    def test_the_sums_behind_admins_omegas_add_up_over_micro_batches(self):
        m = mixln.model("admin")
        whole = mixln.batch(m, 6, 23)
        parts = [dict(whole, tokens=whole["tokens"][i:i + 2]) for i in (0, 2, 4)]
        one, other = initials([(m, [whole]), (m, parts)])
        for name, tensor in one.items():
            self.assertLess(mixln.relative(other[name], tensor), 1e-6, name)


if __name__ == "__main__":
    unittest.main()
