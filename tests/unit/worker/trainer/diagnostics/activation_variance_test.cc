#include "worker/trainer/diagnostics/activation_variance.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

namespace mixln::worker::trainer::diagnostics {
namespace {

// Variances of the rows, by hand: 1, 0 and 4.
at::Tensor Rows() {
  return at::tensor({1.0F, 3.0F, 5.0F, 5.0F, -2.0F, 2.0F}).view({3, 2});
}

TEST(ActivationVariance, IsTheMeanOverTokensOfTheVarianceOverChannels) {
  ActivationVariance variance;
  variance.Add(0, Rows(), at::Tensor());
  variance.Add(1, 2 * Rows(), at::Tensor());
  ASSERT_EQ(variance.Mean().size(), 2U);
  EXPECT_NEAR(variance.Mean()[0], 5.0 / 3, 1e-6);
  EXPECT_NEAR(variance.Mean()[1], 4 * 5.0 / 3, 1e-6);
}

TEST(ActivationVariance, LeavesMaskedTokensOut) {
  ActivationVariance variance;
  variance.Add(0, Rows(), at::tensor({1, 1, 0}, at::kByte));
  EXPECT_NEAR(variance.Mean()[0], 0.5, 1e-6);
}

TEST(ActivationVariance, OfMicroBatchesIsThatOfTheWhole) {
  ActivationVariance variance;
  variance.Add(0, Rows().narrow(0, 0, 1), at::Tensor());
  variance.Add(0, Rows().narrow(0, 1, 2).to(at::kBFloat16), at::Tensor());
  EXPECT_NEAR(variance.Mean()[0], 5.0 / 3, 1e-6);
}

}  // namespace
}  // namespace mixln::worker::trainer::diagnostics
