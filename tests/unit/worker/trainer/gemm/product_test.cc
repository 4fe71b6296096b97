#include "worker/trainer/gemm/product.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>

namespace mixln::worker::trainer::gemm {
namespace {

struct Shape {
  int64_t rows, depth, columns;
};

// Off every tile size, and beyond each of them.
constexpr Shape kShapes[] = {{1, 1, 1},    {1, 7, 3},     {3, 2, 65},     {128, 64, 64},
                             {129, 33, 8}, {70, 171, 90}, {300, 96, 200}, {37, 4097, 70}};

at::Tensor Random(int64_t rows, int64_t columns, at::ScalarType type, int64_t seed) {
  at::manual_seed(static_cast<uint64_t>(seed));
  return at::randn({rows, columns}).to(type);
}

// The same matrix, perhaps stored the other way round; its rows have a stride of their own. NaNs lie
// between them, which a product must not read, not even to multiply them by a padding zero.
at::Tensor Stored(const at::Tensor& matrix, bool transposed) {
  const at::Tensor stored = transposed ? matrix.t() : matrix;
  const at::Tensor wide = at::full({stored.size(0), stored.size(1) + 5}, std::nan(""), matrix.options());
  wide.narrow(1, 2, stored.size(1)).copy_(stored);
  return wide.narrow(1, 2, stored.size(1));
}

double RelativeError(const at::Tensor& result, const at::Tensor& expected) {
  const at::Tensor difference = result.to(at::kDouble) - expected;
  return (difference.norm() / (expected.norm() + 1e-30)).item<double>();
}

struct Types {
  const char* name;
  at::ScalarType stored;
  at::ScalarType multiplied;
};
void PrintTo(const Types& types, std::ostream* out) {
  *out << types.name;
}

class ProductTest : public testing::TestWithParam<Types> {
 protected:
  void SetUp() override {
    if (multiplied == at::kBFloat16 && !HasBf16()) GTEST_SKIP() << "this CPU has no AVX-512";
  }
  const at::ScalarType stored = GetParam().stored;
  const at::ScalarType multiplied = GetParam().multiplied;
};

TEST_P(ProductTest, EqualsFp64HoweverTheRightOperandIsStored) {
  for (const Shape& shape : kShapes) {
    const at::Tensor a = Random(shape.rows, shape.depth, stored, 1);
    const at::Tensor b = Random(shape.depth, shape.columns, stored, 2);
    const at::Tensor expected = at::mm(a.to(at::kDouble), b.to(at::kDouble));
    for (const bool transposed : {false, true}) {
      const at::Tensor result = at::full({shape.rows, shape.columns}, 1e9, a.options());
      Multiply(Stored(a, false), Packed({Stored(b, transposed), transposed}, multiplied), result);
      EXPECT_LT(RelativeError(result, expected), stored == at::kFloat ? 1e-6 : 4e-3)
          << shape.rows << " " << shape.depth << " " << shape.columns << " " << transposed;
    }
  }
}

TEST_P(ProductTest, DoesNotDependOnTheNumberOfThreads) {
  const int threads = at::get_num_threads();
  const at::Tensor a = Random(700, 300, stored, 6);
  const at::Tensor b = Random(300, 900, stored, 7);
  const at::Tensor one = at::zeros({700, 900}, a.options());
  const at::Tensor several = at::zeros({700, 900}, a.options());
  at::set_num_threads(1);
  Multiply(a, Packed({b}, multiplied), one);
  at::set_num_threads(3);
  Multiply(a, Packed({b}, multiplied), several);
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one, several));
}

// As attention's output is where bf16 is multiplied as fp32.
TEST(Product, TakesAWidenedLeftOperandBesideAnFp32One) {
  const at::Tensor a = Random(70, 171, at::kBFloat16, 8);
  const at::Tensor b = Random(171, 90, at::kFloat, 9);
  const at::Tensor result = at::zeros({70, 90}, at::kFloat);
  Multiply(a, Packed({b}), result);
  EXPECT_LT(RelativeError(result, at::mm(a.to(at::kDouble), b.to(at::kDouble))), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(, ProductTest,
                         testing::Values(Types{"Fp32", at::kFloat, at::kFloat},
                                         Types{"Bf16", at::kBFloat16, at::kBFloat16},
                                         Types{"WidenedBf16", at::kBFloat16, at::kFloat}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace mixln::worker::trainer::gemm
