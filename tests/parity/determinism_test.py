"""Two runs with the same number of threads give the same bits, and initial weights depend on seed and name only."""
import sys
import unittest

import torch

import mixln

PROGRAM = sys.argv.pop(1)


def same(a, b):
    return a.shape == b.shape and torch.equal(a.view(torch.int32), b.view(torch.int32))


class Determinism(unittest.TestCase):
    def test_two_runs_give_the_same_bits(self):
        for bf16 in (False, True):
            for threads in (1, 2):
                with self.subTest(bf16=bf16, threads=threads):
                    m = mixln.model("mix", bf16=bf16, clip_norm=1.0, vocab_size=301, context=96)
                    batches = [mixln.batch(m, 8, 96, seed=u, mask=u % 2 == 1, lr=1e-3) for u in range(4)]
                    first, second = (mixln.run(PROGRAM, m, batches, None, ["logits", "gradients", "parameters"], threads)
                                     for _ in range(2))  # two processes
                    self.assertEqual(first["losses"], second["losses"])
                    self.assertEqual(first["gradient_norms"], second["gradient_norms"])
                    for name, tensor in first["tensors"].items():
                        self.assertTrue(same(tensor, second["tensors"][name]), name)

    def test_activations_computed_again_give_the_same_bits(self):
        for bf16 in (False, True):
            def requests(again):
                for placements in mixln.PLACEMENTS:
                    m = mixln.model(placements, bf16=bf16, clip_norm=1.0, kv_heads=2, activation_checkpointing=again)
                    batches = [mixln.batch(m, 5, 37, seed=u, mask=u % 2 == 1, lr=1e-3) for u in range(3)]
                    yield (m, batches, None, ["logits", "gradients", "parameters"], 2), dict(micro=2)

            kept, again = (mixln.run_all(PROGRAM, list(requests(flag))) for flag in (False, True))
            for placements, first, second in zip(mixln.PLACEMENTS, kept, again, strict=True):
                with self.subTest(placements, bf16=bf16):
                    self.assertEqual(first["losses"], second["losses"])
                    self.assertEqual(first["gradient_norms"], second["gradient_norms"])
                    self.assertLess(second["peak_bytes"][0], first["peak_bytes"][0])  # it does forget them
                    for name, tensor in first["tensors"].items():
                        self.assertTrue(same(tensor, second["tensors"][name]), name)

    def initial(self, *args, **kwargs):
        return mixln.run(PROGRAM, mixln.model(*args, **kwargs), [], None, ["parameters"])["tensors"]

    def test_initial_weights_are_equal_across_placements(self):
        pre, post = self.initial("pre"), self.initial("post")
        shared = set(pre) & set(post)
        self.assertGreater(len(shared), 24)
        for name in shared:
            self.assertTrue(same(pre[name], post[name]), name)

    def test_initial_weights_depend_on_the_seed_and_are_normal(self):
        one, other = self.initial("pre", vocab_size=4001), self.initial("pre", vocab_size=4001, seed=8)
        for name, tensor in one.items():
            if tensor.dim() == 1:
                self.assertTrue(torch.all(tensor == 1), name)
                continue
            self.assertFalse(same(tensor, other[name]), name)
            self.assertAlmostEqual(tensor.std().item() / 0.02, 1, delta=0.05)
            self.assertLess(abs(tensor.mean().item()), 5 * 0.02 / tensor.numel() ** 0.5)
        # Different tensors draw different numbers.
        q, o = (one[f"parameter:model.layers.0.self_attn.{n}_proj.weight"] for n in "qo")
        self.assertLess(abs(torch.corrcoef(torch.stack([q.flatten(), o.flatten()]))[0, 1].item()), 0.1)


if __name__ == "__main__":
    unittest.main()
