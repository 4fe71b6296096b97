#include "worker/trainer/kernels/vector.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "worker/trainer/kernels/bf16.h"

namespace mixln::worker::trainer::kernels {
namespace {

// Both widths work on every CPU; which one the kernels use is about speed.
template <typename L>
class Vectors : public testing::Test {
 protected:
  static float Exp(float x) {
    ExpRow<L>(&x, 0.0F, 1);
    return x;
  }
};
using Widths = testing::Types<Lanes<8>, Lanes<16>>;
TYPED_TEST_SUITE(Vectors, Widths);

TYPED_TEST(Vectors, ExpIsWithinTwoUnitsInTheLastPlaceOfTheLibrary) {
  for (float x = -86.9F; x < 87.9F; x += 0.0137F) {
    const double exact = std::exp(static_cast<double>(x));
    EXPECT_NEAR(this->Exp(x) / exact, 1.0, 2.4e-7) << x;
  }
  EXPECT_EQ(this->Exp(0.0F), 1.0F);
}

TYPED_TEST(Vectors, ExpKeepsNanAndVanishesFarBelowZero) {
  EXPECT_TRUE(std::isnan(this->Exp(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_LT(this->Exp(-std::numeric_limits<float>::infinity()), 1e-37F);
}

TYPED_TEST(Vectors, ExpRowGivesEveryLengthTheSameBitsAsOneByOne) {
  for (int64_t count = 1; count < 35; ++count) {
    std::vector<float> row;
    for (int64_t i = 0; i < count; ++i) row.push_back(static_cast<float>(i) * 0.37F - 2.0F);
    const std::vector<float> before = row;
    ExpRow<TypeParam>(row.data(), 0.5F, count);
    for (size_t i = 0; i < row.size(); ++i) EXPECT_EQ(row[i], this->Exp(before[i] - 0.5F));
  }
}

TYPED_TEST(Vectors, ExpAndSumRowSumsWhatItLeavesInTheRow) {
  for (const int64_t count : {1, 7, 1024, 2500}) {
    std::vector<float> row;
    for (int64_t i = 0; i < count; ++i) row.push_back(static_cast<float>(i % 97) * 0.11F - 3.0F);
    const double sum = ExpAndSumRow<TypeParam>(row.data(), 7.0F, count);
    EXPECT_NEAR(sum / std::accumulate(row.begin(), row.end(), 0.0), 1.0, 1e-6) << count;
  }
}

TYPED_TEST(Vectors, MaxRowFindsTheLargestAtAnyPlace) {
  for (int64_t count = 1; count < 35; ++count) {
    for (int64_t at = 0; at < count; ++at) {
      std::vector<float> row(static_cast<size_t>(count), -3.0F);
      row[static_cast<size_t>(at)] = -1.0F;
      EXPECT_EQ(MaxRow<TypeParam>(row.data(), count), -1.0F);
    }
  }
}

// bfloat16 keeps 8 bits of the significand: near 1 its numbers are 2^-7 apart.
TEST(Bf16, RoundsToNearestEven) {
  const auto round_trip = [](float x) {
    Bf16 stored{};
    Store(x, &stored);
    return Load(&stored);
  };
  const float step = std::ldexp(1.0F, -7);
  EXPECT_EQ(round_trip(1.0F + step), 1.0F + step);
  EXPECT_EQ(round_trip(1.0F + 0.5F * step), 1.0F);                // a tie, to even
  EXPECT_EQ(round_trip(1.0F + 1.5F * step), 1.0F + 2.0F * step);  // a tie, to even
  EXPECT_EQ(round_trip(1.0F + 0.51F * step), 1.0F + step);
  EXPECT_TRUE(std::isnan(round_trip(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace mixln::worker::trainer::kernels
