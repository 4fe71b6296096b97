#include "worker/trainer/attention/attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>

#include "worker/trainer/gemm/product.h"

namespace mixln::worker::trainer::attention {
namespace {

// Off the blocks of 64, one token, several blocks, and query heads that share a key.
const Shape kShapes[] = {
    {1, 1, 1, 1, 2}, {2, 7, 2, 2, 6}, {1, 64, 3, 1, 8}, {2, 65, 4, 2, 10}, {1, 200, 2, 1, 64}};

at::Tensor Random(const Shape& shape, int64_t heads, uint64_t seed) {
  at::manual_seed(seed);
  return at::randn({shape.batch * shape.time, heads * shape.head_size});
}

// The textbook's formula in fp64: softmax(QKᵀ/√d + mask)·V, [rows, heads·head_size].
at::Tensor Textbook(const Shape& shape, const at::Tensor& qkv) {
  const auto heads = [&](int64_t first, int64_t count) {
    return qkv.narrow(1, first * shape.head_size, count * shape.head_size)
        .view({shape.batch, shape.time, count, shape.head_size})
        .transpose(1, 2);
  };
  const int64_t group = shape.heads / shape.kv_heads;
  const at::Tensor q = heads(0, shape.heads);
  const at::Tensor k = heads(shape.heads, shape.kv_heads).repeat_interleave(group, 1);
  const at::Tensor v = heads(shape.heads + shape.kv_heads, shape.kv_heads).repeat_interleave(group, 1);
  const at::Tensor hidden = at::ones({shape.time, shape.time}, at::kBool).triu(1);
  const at::Tensor scores =
      at::matmul(q, k.transpose(-2, -1)) / std::sqrt(static_cast<double>(shape.head_size));
  return at::matmul(scores.masked_fill(hidden, -INFINITY).softmax(-1), v)
      .transpose(1, 2)
      .reshape({shape.batch * shape.time, shape.heads * shape.head_size});
}

double RelativeError(const at::Tensor& result, const at::Tensor& expected) {
  return ((result.to(at::kDouble) - expected).norm() / (expected.norm() + 1e-30)).item<double>();
}

class AttentionTest : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    if (GetParam() == at::kBFloat16 && !gemm::HasBf16()) GTEST_SKIP() << "this CPU has no AVX-512";
  }
  double limit() const { return GetParam() == at::kFloat ? 2e-6 : 1e-2; }
};

TEST_P(AttentionTest, EqualsTheTextbookForwardAndBackward) {
  for (const Shape& shape : kShapes) {
    const at::Tensor qkv = Random(shape, shape.heads + 2 * shape.kv_heads, 1).to(GetParam());
    const at::Tensor doutput = Random(shape, shape.heads, 2).to(GetParam());
    const at::Tensor exact = qkv.to(at::kDouble).set_requires_grad(true);
    const at::Tensor expected = Textbook(shape, exact);
    expected.backward(doutput.to(at::kDouble));

    const Result result = Forward(shape, qkv);
    EXPECT_LT(RelativeError(result.output, expected.detach()), limit()) << shape.time;
    const at::Tensor dqkv = Backward(shape, qkv, result, doutput);
    if (shape.time == 1) {  // one key: only the values have a gradient
      EXPECT_LT((dqkv.to(at::kDouble) - exact.grad()).abs().max().item<double>(), limit());
    } else {
      EXPECT_LT(RelativeError(dqkv, exact.grad()), limit()) << shape.time;
    }
  }
}

TEST_P(AttentionTest, DoesNotDependOnTheNumberOfThreads) {
  const Shape shape{3, 70, 4, 2, 8};
  const at::Tensor qkv = Random(shape, 8, 3).to(GetParam());
  const at::Tensor doutput = Random(shape, 4, 4).to(GetParam());
  const int threads = at::get_num_threads();
  const auto run = [&](int count) {
    at::set_num_threads(count);
    return Backward(shape, qkv, Forward(shape, qkv), doutput);
  };
  const at::Tensor one = run(1);
  const at::Tensor several = run(3);
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one, several));
}

INSTANTIATE_TEST_SUITE_P(Types, AttentionTest, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& info) { return info.param == at::kFloat ? "Fp32" : "Bf16"; });

}  // namespace
}  // namespace mixln::worker::trainer::attention
