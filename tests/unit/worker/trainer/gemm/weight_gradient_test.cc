#include "worker/trainer/gemm/weight_gradient.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "worker/trainer/gemm/product.h"

namespace mixln::worker::trainer::gemm {
namespace {

struct Shape {
  int64_t tokens, out, in;
};

// Off every tile size and beyond each of them; dy is the narrower one, x is, and neither.
constexpr Shape kShapes[] = {{1, 1, 1},     {7, 3, 2},     {2, 65, 3},     {64, 48, 64},
                             {33, 129, 49}, {513, 70, 90}, {96, 300, 200}, {4097, 17, 130}};

struct Types {
  const char* name;
  at::ScalarType dy;
  at::ScalarType x;
  at::ScalarType multiplied;
};
void PrintTo(const Types& types, std::ostream* out) {
  *out << types.name;
}

class WeightGradientTest : public testing::TestWithParam<Types> {
 protected:
  void SetUp() override {
    if (GetParam().multiplied == at::kBFloat16 && !HasBf16()) GTEST_SKIP() << "this CPU has no AVX-512";
  }
};

// Its rows have a stride of their own.
at::Tensor Random(int64_t rows, int64_t columns, at::ScalarType type, uint64_t seed) {
  at::manual_seed(seed);
  return at::randn({rows, columns + 5}).to(type).narrow(1, 2, columns);
}

TEST_P(WeightGradientTest, IsAddedAsInFp64) {
  for (const Shape& shape : kShapes) {
    const at::Tensor dy = Random(shape.tokens, shape.out, GetParam().dy, 1);
    const at::Tensor x = Random(shape.tokens, shape.in, GetParam().x, 2);
    const at::Tensor gradient = Random(shape.out, shape.in, at::kFloat, 3);
    const at::Tensor expected = gradient.to(at::kDouble) + at::mm(dy.to(at::kDouble).t(), x.to(at::kDouble));
    AddWeightGradient(dy, x, gradient, GetParam().multiplied);
    EXPECT_LT(((gradient - expected).norm() / expected.norm()).item<double>(), 1e-6)
        << shape.tokens << " " << shape.out << " " << shape.in;
  }
}

TEST_P(WeightGradientTest, DoesNotDependOnTheNumberOfThreads) {
  const int threads = at::get_num_threads();
  for (const auto& [out, in] : {std::pair<int64_t, int64_t>{900, 300}, {300, 900}}) {
    const at::Tensor dy = Random(700, out, GetParam().dy, 4);
    const at::Tensor x = Random(700, in, GetParam().x, 5);
    const at::Tensor one = at::zeros({out, in});
    const at::Tensor several = at::zeros({out, in});
    at::set_num_threads(1);
    AddWeightGradient(dy, x, one, GetParam().multiplied);
    at::set_num_threads(3);
    AddWeightGradient(dy, x, several, GetParam().multiplied);
    at::set_num_threads(threads);
    EXPECT_TRUE(at::equal(one, several)) << out;
  }
}

// What nobody says, the operands do.
void ExpectMultipliedAs(at::ScalarType type, const at::Tensor& dy, const at::Tensor& x) {
  const at::Tensor found = at::zeros({dy.size(1), x.size(1)});
  const at::Tensor expected = at::zeros_like(found);
  AddWeightGradient(dy, x, found);
  AddWeightGradient(dy, x, expected, type);
  EXPECT_TRUE(at::equal(found, expected));
}

TEST(WeightGradient, IsMultipliedAsTheMachineDoesBest) {
  ExpectMultipliedAs(MultipliedAs(at::kBFloat16), Random(70, 90, at::kBFloat16, 6),
                     Random(70, 40, at::kBFloat16, 7));
}

// Where bf16 is multiplied as bf16, too.
TEST(WeightGradient, OfOperandsOfTwoTypesIsMultipliedInFp32) {
  ExpectMultipliedAs(at::kFloat, Random(70, 90, at::kBFloat16, 8), Random(70, 40, at::kFloat, 9));
}

INSTANTIATE_TEST_SUITE_P(, WeightGradientTest,
                         testing::Values(Types{"Fp32", at::kFloat, at::kFloat, at::kFloat},
                                         Types{"Bf16", at::kBFloat16, at::kBFloat16, at::kBFloat16},
                                         Types{"WidenedBf16", at::kBFloat16, at::kBFloat16, at::kFloat},
                                         // As attention's input or output where bf16 is multiplied as fp32.
                                         Types{"Bf16OfFp32", at::kBFloat16, at::kFloat, at::kFloat},
                                         Types{"Fp32OfBf16", at::kFloat, at::kBFloat16, at::kFloat}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace mixln::worker::trainer::gemm
