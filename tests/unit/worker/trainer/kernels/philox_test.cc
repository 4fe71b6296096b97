#include "worker/trainer/kernels/philox.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numbers>
#include <vector>

namespace mixln::worker::trainer::kernels {
namespace {

using testing::ElementsAre;

// Known answers of the authors' own library (Random123 1.14, tests/kat_vectors, philox4x32 with 10 rounds).
TEST(Philox, GivesTheAuthorsAnswers) {
  EXPECT_THAT(Philox({0, 0, 0, 0}, {0, 0}), ElementsAre(0x6627e8d5U, 0xe169c58dU, 0xbc57ac4cU, 0x9b00dbd8U));
  const uint32_t all = 0xffffffffU;
  EXPECT_THAT(Philox({all, all, all, all}, {all, all}),
              ElementsAre(0x408f276dU, 0x41c83b0eU, 0xa20bc7c6U, 0x6d5451fdU));
  EXPECT_THAT(Philox({0x243f6a88U, 0x85a308d3U, 0x13198a2eU, 0x03707344U}, {0xa4093822U, 0x299f31d0U}),
              ElementsAre(0xd16cfe09U, 0x94fdccebU, 0x5001e420U, 0x24126ea1U));
}

TEST(FillNormal, DrawsAnyPartOfATensorAsIfWhole) {
  std::vector<float> whole(101);
  FillNormal(3, "w", 0.02, 0, 101, whole.data());
  std::vector<float> part(40);
  FillNormal(3, "w", 0.02, 37, 40, part.data());
  for (size_t i = 0; i < part.size(); ++i) EXPECT_EQ(part[i], whole[i + 37]);
}

// Box and Muller's formula with libm's functions. The tensor's name is the counter's second half: FNV-1a of
// "a" (its authors' test suite: 0xaf63dc4c8601ec8c).
TEST(FillNormal, IsBoxAndMullersTransformOfPhilox) {
  constexpr int64_t kBegin = 5;
  std::vector<float> drawn(20001);
  FillNormal(7, "a", 0.5, kBegin, static_cast<int64_t>(drawn.size()), drawn.data());
  const auto uniform = [](uint32_t word) { return (static_cast<double>(word >> 8) + 0.5) / 16777216.0; };
  for (size_t i = 0; i < drawn.size(); ++i) {
    const uint64_t element = i + kBegin;
    const auto words = Philox({static_cast<uint32_t>(element / 4), 0, 0x8601ec8cU, 0xaf63dc4cU}, {7, 0});
    const size_t pair = element % 4 / 2 * 2;
    const double radius = std::sqrt(-2.0 * std::log(uniform(words[pair])));
    const double angle = 2.0 * std::numbers::pi * uniform(words[pair + 1]);
    const double normal = radius * (element % 2 == 0 ? std::cos(angle) : std::sin(angle));
    ASSERT_NEAR(static_cast<double>(drawn[i]), 0.5 * normal, 1e-7 * std::abs(normal)) << i;
  }
}

TEST(FillNormal, DependsOnSeedAndName) {
  float one = 0, other_name = 0, other_seed = 0;
  FillNormal(3, "w", 1.0, 0, 1, &one);
  FillNormal(3, "v", 1.0, 0, 1, &other_name);
  FillNormal(4, "w", 1.0, 0, 1, &other_seed);
  EXPECT_NE(one, other_name);
  EXPECT_NE(one, other_seed);
}

}  // namespace
}  // namespace mixln::worker::trainer::kernels
