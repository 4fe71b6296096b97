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


# Every placement, with rows that no world size divides.
PLACED = [(str(p), dict(placements=p), 7, 0) for p in [*mixln.PLACEMENTS, ["sandwich", "admin", "group"]]]
PLACED += [("post, layernorm", dict(placements="post", norm_kind="layernorm"), 7, 0)]


def model(changes, bf16):
    return mixln.model(**dict(dict(placements="mix", bf16=bf16), **changes))


def request(m, rows, micro):
    batches = [mixln.batch(m, rows, 13, seed=step, mask=step % 2 == 1, lr=1e-3) for step in range(STEPS)]
    return (m, batches), dict(outputs=["parameters", "gradients"], micro=micro, measure=True)


class Sharding(unittest.TestCase):
    def compare(self, cases, bf16, world_size, loss_bound, weight_bound):
        requests = [request(model(changes, bf16), rows, micro) for _, changes, rows, micro in cases]
        one = mixln.run_all(PROGRAM, requests)
        many = mixln.run_ranks(PROGRAM, world_size, requests)
        for (what, changes, *_), expected, found in zip(cases, one, many, strict=True):
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
            self.compare(CASES, False, world_size, 1e-5, 1e-4)

    def test_every_placement_on_2_3_and_4_ranks(self):
        for world_size in (2, 3, 4):
            self.compare(PLACED, False, world_size, 1e-5, 1e-4)

    def test_bf16_on_2_ranks(self):
        self.compare(CASES, True, 2, 2e-3, 2e-2)

    def check_memory(self, m, world_sizes):
        # One token of activations, two micro-batches, so that what is measured is parameters, gradients and moments.
        batches = [mixln.batch(m, 8, 1, lr=1e-3) for _ in range(2)]
        hidden, inner, layers = m["hidden_size"], m["intermediate_size"], m["layers"]
        layer, table = 4 * hidden * hidden + 3 * hidden * inner, m["vocab_size"] * hidden  # matrices
        smaller, largest = sorted((layer, table))
        vectors = (2 * layers + 1) * hidden
        count = 2 * table + layers * layer + vectors
        # Matrices packed for products, at most in fp32: gate and up for one, the head's for two.
        # Activations, alignment. Every rank has all vectors, and buffers for the smaller units beside those for the largest.
        slack = 4 * 2 * max(hidden * inner, table) + 16 * vectors + 2 * 4 * smaller + 200_000
        compute = 2 if m["bf16"] else 4  # bytes
        copied = 2 if m["bf16"] else 0   # bytes of a parameter for what is computed with, beside its master

        def check(bound, world_size, gloo=False, **changes):
            asked = (dict(m, **changes), batches), dict(micro=1)
            ran = mixln.run_ranks(PROGRAM, world_size, [asked], gloo) if world_size > 1 else mixln.run_all(PROGRAM, [asked])
            self.assertEqual(len(ran[0]["peak_bytes"]), world_size)
            for rank, peak in enumerate(ran[0]["peak_bytes"]):
                self.assertLessEqual(peak, bound + slack, f"rank {rank} of {world_size}, gloo: {gloo}, {changes}")

        check((16 + copied) * count, 1)
        for world_size in world_sizes:
            # Gloo: two units on their way: each in the compute type, 4 for the gradient of one and the one that is being
            # reduced, 4 for what comes from the other ranks; and Gloo gathers into memory of its own first.
            passing = (2 * compute + 2 * 4 + 4 + compute) * largest
            check(16 * count / world_size + passing, world_size, gloo=True)
            check(16 * count / world_size + 4 * count + passing, world_size, gloo=True, no_sync=True)
            # Shared memory: one copy of the parameters for all ranks, and two units' gradients.
            check((16 + copied) * count / world_size + 2 * 4 * largest, world_size)
            check((16 + copied) * count / world_size + 4 * count, world_size, no_sync=True)

    def test_memory_is_what_the_design_says(self):
        deep = dict(vocab_size=64, hidden_size=256, intermediate_size=512, layers=6)
        many_words = dict(vocab_size=8192, hidden_size=128, intermediate_size=256, layers=2)  # its largest unit is the table
        self.check_memory(mixln.model("mix", bf16=True, **deep), (2, 3, 4))
        for what, sizes, bf16 in (("deep", deep, False), ("many words", many_words, True), ("many words", many_words, False)):
            with self.subTest(what, bf16=bf16):
                self.check_memory(mixln.model("mix", bf16=bf16, **sizes), (3,))

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
            requests = [request(model(changes, bf16), rows, micro) for _, changes, rows, micro in CASES]
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
