"""Training over several ranks equals training on one: the same losses and the same weights, whatever the world size."""
import sys
import unittest

import mixln

PROGRAM = sys.argv.pop()
STEPS = 10

# What, the model's changes, rows, rows at once.
CASES = [
    ("even", dict(), 12, 0),
    ("uneven shapes and rows", dict(vocab_size=67, hidden_size=36, intermediate_size=50, heads=6, kv_heads=2, layers=2), 7, 0),
    ("fewer rows than ranks", dict(layers=1), 2, 0),
    ("micro-batches", dict(), 11, 2),
    ("micro-batches, no_sync", dict(no_sync=True), 11, 2),
    ("parameters kept", dict(reshard=False), 8, 2),
    ("activation checkpointing", dict(activation_checkpointing=True), 8, 0),
    ("tied embeddings, clipping, decay", dict(tie_embeddings=True, clip_norm=0.5, weight_decay=0.1), 8, 3),
]


def request(m, rows, micro):
    batches = [mixln.batch(m, rows, 13, seed=step, mask=step % 2 == 1, lr=1e-3) for step in range(STEPS)]
    return (m, batches), dict(outputs=["parameters", "gradients"], micro=micro, measure=True)


class Sharding(unittest.TestCase):
    def compare(self, bf16, world_size, loss_bound, weight_bound):
        requests = [request(mixln.model("mix", bf16=bf16, **changes), rows, micro) for _, changes, rows, micro in CASES]
        one = mixln.run_all(PROGRAM, requests)
        many = mixln.run_ranks(PROGRAM, world_size, requests)
        for (what, changes, *_), expected, found in zip(CASES, one, many):
            with self.subTest(what, world_size=world_size):
                for step, (a, b) in enumerate(zip(found["losses"], expected["losses"], strict=True)):
                    self.assertLessEqual(abs(a / b - 1), loss_bound, f"loss of step {step}")
                for a, b in zip(found["gradient_norms"], expected["gradient_norms"], strict=True):
                    self.assertLessEqual(abs(a / b - 1), 20 * loss_bound)
                for a, b in zip(found["layer_update_ratios"], expected["layer_update_ratios"], strict=True):
                    for mine, theirs in zip(a, b, strict=True):
                        self.assertLessEqual(abs(mine / theirs - 1), weight_bound)
                self.assertEqual(found["parameters"], expected["parameters"])
                self.assertEqual(set(found["tensors"]), set(expected["tensors"]))
                for name, tensor in expected["tensors"].items():
                    # A vector's gradient is a rank's own share until the update.
                    if name.startswith("parameter:") or tensor.dim() == 2 and not changes.get("no_sync"):
                        self.assertLessEqual(mixln.relative(found["tensors"][name], tensor), weight_bound, name)

    def test_fp32_on_2_3_and_4_ranks(self):
        for world_size in (2, 3, 4):
            self.compare(False, world_size, 1e-5, 1e-4)

    def test_bf16_on_2_ranks(self):
        self.compare(True, 2, 2e-3, 2e-2)

    def test_memory_is_what_the_design_says(self):
        m = mixln.model("mix", vocab_size=64, hidden_size=256, intermediate_size=512, layers=6, bf16=True)
        # One token of activations, two micro-batches, so that what is measured is parameters, gradients and moments.
        batches = [mixln.batch(m, 8, 1, lr=1e-3) for _ in range(2)]
        unit = 4 * 256 * 256 + 3 * 256 * 512  # a layer's matrices
        count = 2 * 64 * 256 + 6 * (unit + 2 * 256) + 256
        # The largest product of a weight gradient, packed (bf16, but fp32 on a CPU without AVX-512) and once more in fp32
        # to be added; activations, alignment. Every rank has all vectors.
        slack = (4 + 4) * 2 * 256 * 512 + 16 * (6 * 2 * 256 + 256) + 200_000

        def peak(world_size, gloo=False, **changes):
            asked = (dict(m, **changes), batches), dict(micro=1)
            if world_size == 1:
                return mixln.run_all(PROGRAM, [asked])[0]["peak_bytes"]
            return mixln.run_ranks(PROGRAM, world_size, [asked], gloo)[0]["peak_bytes"]

        self.assertLessEqual(peak(1), 18 * count + slack)
        # Gloo: two units on their way: 2 bytes of a parameter for each, 4 for the gradient of one and the one that is being
        # reduced, 4 for what comes from the other ranks; and Gloo gathers into 2 bytes of its own first.
        passing = (2 * 2 + 2 * 4 + 4 + 2) * unit
        for world_size in (2, 3, 4):
            with self.subTest(world_size=world_size):
                self.assertLessEqual(peak(world_size, gloo=True), 16 * count / world_size + passing + slack)
                self.assertLessEqual(peak(world_size, gloo=True, no_sync=True), 16 * count / world_size + 4 * count + passing + slack)
        # Shared memory: one bf16 copy of the parameters for all ranks, and two units' gradients.
        for world_size in (2, 3, 4):
            with self.subTest(world_size=world_size, shared=True):
                self.assertLessEqual(peak(world_size), 18 * count / world_size + 2 * 4 * unit + slack)
                self.assertLessEqual(peak(world_size, no_sync=True), 18 * count / world_size + 4 * count + slack)

    def test_admins_omegas_come_from_the_rows_of_all_ranks(self):
        m = mixln.model(["admin", "post", "admin"])
        batches = [mixln.batch(m, 4, 11, seed=seed) for seed in range(3)]
        asked = (m, batches), dict(outputs=["parameters"], initialize=True)
        one = mixln.run_all(PROGRAM, [asked])[0]["tensors"]
        for world_size in (2, 4):  # of four ranks one has no rows
            many = mixln.run_ranks(PROGRAM, world_size, [asked])[0]["tensors"]
            omegas = [name for name in one if "omega" in name]
            self.assertEqual(len(omegas), 4)
            for name in omegas:
                self.assertLessEqual(mixln.relative(many[name], one[name]), 1e-6, name)

    def test_gloo_and_shared_memory_give_the_same_bits(self):
        for bf16 in (False, True):
            requests = [request(mixln.model("mix", bf16=bf16, **changes), rows, micro) for _, changes, rows, micro in CASES]
            both = [mixln.run_ranks(PROGRAM, 3, requests, gloo) for gloo in (False, True)]
            for (what, *_), shared, gloo in zip(CASES, *both):
                with self.subTest(what, bf16=bf16):
                    self.assertEqual(shared["losses"], gloo["losses"])
                    self.assertEqual(shared["gradient_norms"], gloo["gradient_norms"])
                    self.assertEqual(shared["layer_update_ratios"], gloo["layer_update_ratios"])
                    for name, tensor in shared["tensors"].items():
                        self.assertTrue(tensor.equal(gloo["tensors"][name]), name)

    def test_two_runs_are_the_same_bits(self):
        runs = [mixln.run_ranks(PROGRAM, 3, [request(mixln.model("mix", bf16=True), 7, 2)])[0] for _ in range(2)]
        self.assertEqual(runs[0]["losses"], runs[1]["losses"])
        for name, tensor in runs[0]["tensors"].items():
            self.assertTrue(tensor.equal(runs[1]["tensors"][name]), name)


if __name__ == "__main__":
    unittest.main()
