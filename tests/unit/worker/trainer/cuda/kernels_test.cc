// The GPU kernels against the CPU's, which have tests of their own against formulas; attention against its
// formulas. Compiled twice: over the emulator (label unit) and, where there is nvcc, over CUDA (label gpu),
// which skips where there is no GPU.
#include "worker/trainer/cuda/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "worker/trainer/kernels/cross_entropy.h"
#include "worker/trainer/kernels/elementwise.h"
#include "worker/trainer/kernels/rope.h"
#include "worker/trainer/kernels/swiglu.h"

namespace mixln::worker::trainer::cuda {
namespace {

using kernels::Load;
using kernels::Store;

// An array that the host and the device see.
template <typename T>
class Array {
 public:
  explicit Array(int64_t count)
      : count_(count), data_(static_cast<T*>(AllocateShared(static_cast<size_t>(count) * sizeof(T)))) {
    std::memset(static_cast<void*>(data_), 0, static_cast<size_t>(count) * sizeof(T));
  }
  explicit Array(const std::vector<T>& from) : Array(static_cast<int64_t>(from.size())) {
    std::copy(from.begin(), from.end(), data_);
  }
  Array(const Array& other) : Array(other.count_) { std::copy_n(other.data_, count_, data_); }
  Array& operator=(const Array&) = delete;
  ~Array() { FreeShared(data_); }
  T* data() const { return data_; }
  T& operator[](int64_t i) const { return data_[i]; }
  int64_t size() const { return count_; }

 private:
  int64_t count_;
  T* data_;
};

template <typename T>
Array<T> Random(int64_t count, unsigned seed) {
  std::mt19937 bits(seed);
  std::normal_distribution<float> normal;
  Array<T> array(count);
  for (int64_t i = 0; i < count; ++i) Store(normal(bits), array.data() + i);
  return array;
}

template <typename T>
constexpr float kTolerance = std::is_same_v<T, float> ? 2e-5F : 2e-2F;

template <typename T>
void ExpectNear(const Array<T>& actual, const Array<T>& expected, float tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (int64_t i = 0; i < actual.size(); ++i) {
    const float want = Load(expected.data() + i);
    ASSERT_NEAR(Load(actual.data() + i), want, tolerance * (1 + std::abs(want))) << "element " << i;
  }
}

class Cuda : public testing::Test {
 protected:
  void SetUp() override {
    if (!HasDevice()) GTEST_SKIP() << "no GPU here";
  }
};

template <typename Branch, typename Y>
void CheckNorm(int64_t rows, int64_t columns, int64_t weight_rows, bool with_branch, bool centered) {
  const auto x = Random<float>(rows * columns, 1);
  const auto branch = Random<Branch>(rows * columns, 2);
  const auto weight = Random<float>(weight_rows * columns, 3);
  const auto dy = Random<Y>(rows * columns, 4);
  const auto residual = Random<float>(rows * columns, 5);
  const auto run = [&](bool cpu, Array<float>& sum, Array<float>& inverse, Array<Y>& y, Array<float>& dx,
                       Array<float>& dw) {
    const bool copied = with_branch || centered;
    const kernels::RmsNormForward forward{x.data(), 0.7F,    weight.data(), 1.3F,       1e-5F,
                                          centered, columns, weight_rows,   sum.data(), inverse.data()};
    const kernels::RmsNormBackward backward{
        copied ? sum.data() : x.data(),          inverse.data(), weight.data(), 1.3F,        centered,
        with_branch ? residual.data() : nullptr, 0.9F,           columns,       weight_rows, dx.data()};
    const Branch* b = with_branch ? branch.data() : nullptr;
    if (cpu) {
      kernels::NormRows(forward, b, y.data(), 0, rows);
      kernels::NormRowsBackward(backward, dy.data(), dw.data(), 0, rows);
      return;
    }
    const Array<float> partial(NormScratch(backward));
    Norm(nullptr, forward, b, y.data(), rows);
    NormBackward(nullptr, backward, dy.data(), dw.data(), partial.data(), rows);
    Synchronize();
  };
  const Array<float> start = Random<float>(weight_rows * columns, 6);
  Array<float> sum(x.size()), inverse(rows), dx(x.size()), dw(start);
  Array<float> cpu_sum(x.size()), cpu_inverse(rows), cpu_dx(x.size()), cpu_dw(start);
  Array<Y> y(x.size()), cpu_y(x.size());
  run(false, sum, inverse, y, dx, dw);
  run(true, cpu_sum, cpu_inverse, cpu_y, cpu_dx, cpu_dw);
  ExpectNear(sum, cpu_sum, 2e-5F);
  ExpectNear(inverse, cpu_inverse, 2e-5F);
  ExpectNear(y, cpu_y, kTolerance<Y>);
  ExpectNear(dx, cpu_dx, 5e-5F);
  ExpectNear(dw, cpu_dw, 1e-4F);
}

TEST_F(Cuda, NormsAsTheCpu) {
  CheckNorm<float, float>(5, 37, 1, false, false);
  CheckNorm<float, float>(70, 300, 1, true, false);
  CheckNorm<kernels::Bf16, kernels::Bf16>(6, 64, 1, true, true);
  CheckNorm<kernels::Bf16, float>(12, 48, 4, true, false);
  CheckNorm<float, float>(9, 33, 3, false, true);
}

template <typename T>
void CheckRows() {
  const kernels::RopeTable table(6, 16, 10000.0);
  const Array<float> cosines(table.cos), sines(table.sin);
  const kernels::Rope rope{cosines.data(), sines.data(), table.half};
  for (const bool inverse : {false, true}) {
    const auto rows = Random<T>(12 * 80, 1);
    const Array<T> expected(rows);
    Rotate(nullptr, rope, rows.data(), 80, 3, 6, inverse, 12);
    Synchronize();
    kernels::RotateRows(rope, expected.data(), 80, 3, 6, inverse, 0, 12);
    ExpectNear(rows, expected, kTolerance<T>);
  }
  const auto gate_up = Random<T>(7 * 2 * 45, 2), dout = Random<T>(7 * 45, 3);
  const Array<T> out(7 * 45), cpu_out(7 * 45), cpu_gate_up(gate_up);
  Swiglu(nullptr, gate_up.data(), out.data(), 45, 7);
  SwigluBackward(nullptr, gate_up.data(), dout.data(), 45, 7);
  Synchronize();
  kernels::SwigluRows(cpu_gate_up.data(), cpu_out.data(), 45, 0, 7);
  kernels::SwigluRowsBackward(cpu_gate_up.data(), dout.data(), 45, 0, 7);
  ExpectNear(out, cpu_out, kTolerance<T>);
  ExpectNear(gate_up, cpu_gate_up, kTolerance<T>);
}

TEST_F(Cuda, RotatesAndGatesAsTheCpu) {
  CheckRows<float>();
  CheckRows<kernels::Bf16>();
}

// The formulas in fp64, forward and backward, for one head of one sequence at a time.
template <typename T>
void CheckAttention(const AttentionShape& shape) {
  const int64_t rows = shape.batch * shape.time;
  const int64_t size = shape.head_size;
  const int64_t stride = (shape.heads + 2 * shape.kv_heads) * size;
  const auto qkv = Random<T>(rows * stride, 1), dout = Random<T>(rows * shape.heads * size, 2);
  const Array<T> out(dout.size()), dqkv(qkv.size());
  const Array<float> lse(rows * shape.heads), delta(lse.size()), want_lse(lse.size());
  std::vector<double> want_out(static_cast<size_t>(out.size())), want(static_cast<size_t>(qkv.size()));
  const auto at = [](const Array<T>& array, int64_t i) {
    return static_cast<double>(Load(array.data() + i));
  };
  for (int64_t b = 0; b < shape.batch; ++b) {
    for (int64_t h = 0; h < shape.heads; ++h) {
      const int64_t kv = h / (shape.heads / shape.kv_heads);
      for (int64_t i = 0; i < shape.time; ++i) {
        const int64_t q = (b * shape.time + i) * stride + h * size;
        const int64_t o = ((b * shape.time + i) * shape.heads + h) * size;
        const auto key = [&](int64_t j) { return (b * shape.time + j) * stride + (shape.heads + kv) * size; };
        const int64_t to_value = shape.kv_heads * size;
        const double scale = 1 / std::sqrt(static_cast<double>(size));
        std::vector<double> p, dp;
        double sum = 0, dot = 0;
        for (int64_t j = 0; j <= i; ++j) {
          double score = 0, dscore = 0;
          for (int64_t d = 0; d < size; ++d) {
            score += at(qkv, q + d) * at(qkv, key(j) + d) * scale;
            dscore += at(dout, o + d) * at(qkv, key(j) + to_value + d);
          }
          p.push_back(std::exp(score));
          dp.push_back(dscore);
          sum += p.back();
        }
        want_lse[(b * shape.heads + h) * shape.time + i] = static_cast<float>(std::log(sum));
        for (size_t j = 0; j < p.size(); ++j) {
          p[j] /= sum;
          dot += p[j] * dp[j];
        }
        for (int64_t j = 0; j <= i; ++j) {
          const double pj = p[static_cast<size_t>(j)];
          const double ds = pj * (dp[static_cast<size_t>(j)] - dot) * scale;
          for (int64_t d = 0; d < size; ++d) {
            const int64_t k = key(j) + d;
            want_out[static_cast<size_t>(o + d)] += pj * at(qkv, k + to_value);
            want[static_cast<size_t>(q + d)] += ds * at(qkv, k);
            want[static_cast<size_t>(k)] += ds * at(qkv, q + d);
            want[static_cast<size_t>(k + to_value)] += pj * at(dout, o + d);
          }
        }
      }
    }
  }
  Attention(nullptr, shape, qkv.data(), out.data(), lse.data());
  AttentionBackward(nullptr, shape, qkv.data(), out.data(), lse.data(), dout.data(), delta.data(),
                    dqkv.data());
  Synchronize();
  ExpectNear(lse, want_lse, 2e-5F);
  const auto near = [&](const Array<T>& actual, const std::vector<double>& expected) {
    for (int64_t i = 0; i < actual.size(); ++i) {
      const double value = expected[static_cast<size_t>(i)];
      ASSERT_NEAR(at(actual, i), value, 2 * kTolerance<T> * (1 + std::abs(value))) << "element " << i;
    }
  };
  near(out, want_out);
  near(dqkv, want);
}

TEST_F(Cuda, AttendsAsTheFormulas) {
  CheckAttention<float>({.batch = 2, .time = 37, .heads = 4, .kv_heads = 2, .head_size = 20});
  CheckAttention<float>({.batch = 1, .time = 5, .heads = 1, .kv_heads = 1, .head_size = 128});
  CheckAttention<kernels::Bf16>({.batch = 1, .time = 32, .heads = 2, .kv_heads = 1, .head_size = 64});
}

TEST_F(Cuda, RefusesHeadsThatAreTooLarge) {
  const AttentionShape shape{.batch = 1, .time = 1, .heads = 1, .kv_heads = 1, .head_size = 136};
  const Array<float> memory(3 * 136);
  EXPECT_THROW(Attention<float>(nullptr, shape, memory.data(), memory.data(), memory.data()),
               std::runtime_error);
}

template <typename T>
void CheckLoss(float gradient_scale) {
  constexpr int64_t kRows = 5;
  constexpr int64_t kColumns = 611;
  const auto logits = Random<T>(kRows * kColumns, 1);
  const Array<T> cpu_logits(logits);
  const Array<int64_t> targets(std::vector<int64_t>{0, 610, 255, 256, 7});
  const Array<uint8_t> mask(std::vector<uint8_t>{1, 1, 0, 1, 1});
  const Array<double> loss(kRows), cpu_loss(kRows);
  CrossEntropy(nullptr, logits.data(), targets.data(), mask.data(), gradient_scale, loss.data(), kColumns,
               kRows);
  Synchronize();
  kernels::CrossEntropyRows(cpu_logits.data(), targets.data(), mask.data(), gradient_scale, cpu_loss.data(),
                            kColumns, 0, kRows);
  for (int64_t row = 0; row < kRows; ++row) EXPECT_NEAR(loss[row], cpu_loss[row], 1e-5);
  ExpectNear(logits, cpu_logits, kTolerance<T>);
}

TEST_F(Cuda, LosesAsTheCpu) {
  CheckLoss<float>(0.0F);
  CheckLoss<float>(0.5F);
  CheckLoss<kernels::Bf16>(0.5F);
}

TEST_F(Cuda, UpdatesAndSumsAsTheCpu) {
  constexpr int64_t kCount = 9001;
  const kernels::AdamWStep step{.lr = 1e-2F,
                                .beta1 = 0.9F,
                                .beta2 = 0.95F,
                                .eps = 1e-8F,
                                .decay = 0.1F,
                                .gradient_scale = 0.5F,
                                .correction1 = 0.19,
                                .correction2 = 0.0975};
  const auto weight = Random<float>(kCount, 1), gradient = Random<float>(kCount, 2),
             mean = Random<float>(kCount, 3);
  auto square = Random<float>(kCount, 4);
  for (int64_t i = 0; i < kCount; ++i) square[i] = std::abs(square[i]);
  const Array<double> partial(SumScratch(kCount)), sum(1);
  SumOfSquares(nullptr, gradient.data(), kCount, partial.data(), sum.data());
  Synchronize();
  EXPECT_NEAR(sum[0], kernels::SumOfSquares(gradient.data(), kCount), 1e-6 * sum[0]);
  const Array<float> cpu_weight(weight), cpu_gradient(gradient), cpu_mean(mean), cpu_square(square);
  const Array<kernels::Bf16> compute(kCount), cpu_compute(kCount);
  AdamW(nullptr, step, weight.data(), gradient.data(), mean.data(), square.data(), compute.data(), kCount);
  Synchronize();
  kernels::AdamWUpdate(step, cpu_weight.data(), cpu_gradient.data(), cpu_mean.data(), cpu_square.data(),
                       cpu_compute.data(), kCount);
  ExpectNear(weight, cpu_weight, 2e-5F);
  ExpectNear(gradient, cpu_gradient, 0.0F);
  ExpectNear(mean, cpu_mean, 2e-5F);
  ExpectNear(square, cpu_square, 2e-5F);
  ExpectNear(compute, cpu_compute, 1e-2F);
}

TEST_F(Cuda, ScalesAndAddsAsTheCpu) {
  const auto x = Random<float>(1000, 1);
  const auto y = Random<kernels::Bf16>(1000, 2);
  const Array<kernels::Bf16> narrow(1000), cpu_narrow(1000);
  const Array<float> sum(1000), cpu_sum(1000);
  ScaleTo(nullptr, x.data(), 0.3F, narrow.data(), 1000);
  AddTo(nullptr, x.data(), 0.3F, y.data(), -2.0F, sum.data(), 1000);
  Synchronize();
  kernels::ScaleTo(x.data(), 0.3F, cpu_narrow.data(), 1000);
  kernels::AddTo(x.data(), 0.3F, y.data(), -2.0F, cpu_sum.data(), 1000);
  ExpectNear(narrow, cpu_narrow, 0.0F);
  ExpectNear(sum, cpu_sum, 2e-6F);
}

TEST_F(Cuda, ScalesChannelsAsTheCpu) {
  constexpr int64_t kRows = 131;
  constexpr int64_t kColumns = 300;
  const auto x = Random<float>(kRows * kColumns, 1), dy = Random<float>(kRows * kColumns, 2);
  const auto weight = Random<float>(kColumns, 3), dweight = Random<float>(kColumns, 4);
  const Array<float> y(x.size()), cpu_y(x.size()), dx(x.size()), cpu_dx(x.size()), cpu_dweight(dweight);
  const Array<float> partial(ChannelScratch(kColumns));
  ScaleChannels(nullptr, x.data(), weight.data(), y.data(), kColumns, kRows);
  ScaleChannelsBackward(nullptr, x.data(), weight.data(), dy.data(), dx.data(), dweight.data(),
                        partial.data(), kColumns, kRows);
  Synchronize();
  kernels::ScaleChannels(x.data(), weight.data(), cpu_y.data(), kColumns, 0, kRows);
  kernels::ScaleChannelsBackward(x.data(), weight.data(), dy.data(), cpu_dx.data(), cpu_dweight.data(),
                                 kColumns, 0, kRows);
  ExpectNear(y, cpu_y, 0.0F);
  ExpectNear(dx, cpu_dx, 0.0F);
  ExpectNear(dweight, cpu_dweight, 1e-4F);
}

TEST_F(Cuda, AddsWeightedAndDotsAsTheCpu) {
  constexpr int64_t kCount = 9001;
  const auto x = Random<float>(kCount, 1), y = Random<float>(kCount, 2);
  const Array<float> weight(std::vector<float>{0.3F, -2.0F}), sum(kCount), expected(kCount);
  AddWeighted(nullptr, x.data(), weight.data(), false, sum.data(), kCount);
  AddWeighted(nullptr, y.data(), weight.data() + 1, true, sum.data(), kCount);
  const Array<float> dot(std::vector<float>{5.0F});
  const Array<double> partial(SumScratch(kCount));
  AddDot(nullptr, x.data(), y.data(), kCount, partial.data(), dot.data());
  Synchronize();
  kernels::AddTo(x.data(), 0.3F, y.data(), -2.0F, expected.data(), kCount);
  ExpectNear(sum, expected, 2e-6F);
  EXPECT_NEAR(dot[0], 5.0 + kernels::Dot(x.data(), y.data(), kCount), 1e-3);
}

TEST_F(Cuda, EmbedsAndAddsUpEveryTokensGradient) {
  constexpr int64_t kColumns = 300;
  const std::vector<int64_t> tokens{4, 1, 4, 0, 4, 1};
  const int64_t rows = static_cast<int64_t>(tokens.size());
  const auto table = Random<float>(6 * kColumns, 1), dout = Random<float>(rows * kColumns, 2);
  const auto gradient = Random<float>(6 * kColumns, 3);
  const Array<float> out(rows * kColumns), expected(gradient), expected_out(rows * kColumns);
  const Array<int64_t> ids(tokens);
  Embedding(nullptr, table.data(), ids.data(), out.data(), kColumns, rows);
  const TokenGroups groups = GroupTokens(tokens);
  EXPECT_EQ(groups.tokens, (std::vector<int64_t>{0, 1, 4}));
  EXPECT_EQ(groups.positions, (std::vector<int64_t>{3, 1, 5, 0, 2, 4}));
  const Array<int64_t> distinct(groups.tokens), begins(groups.begins), positions(groups.positions);
  EmbeddingBackward(nullptr, dout.data(), distinct.data(), begins.data(), positions.data(), distinct.size(),
                    gradient.data(), kColumns);
  Synchronize();
  for (int64_t i = 0; i < rows * kColumns; ++i) {
    const int64_t at = tokens[static_cast<size_t>(i / kColumns)] * kColumns + i % kColumns;
    expected_out[i] = table[at];
    expected[at] += dout[i];
  }
  ExpectNear(out, expected_out, 0.0F);
  ExpectNear(gradient, expected, 0.0F);
}

}  // namespace
}  // namespace mixln::worker::trainer::cuda
