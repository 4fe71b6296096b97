#include "worker/trainer/loop/learning_rate.h"

#include <gtest/gtest.h>

namespace mixln::worker::trainer::loop {
namespace {

config::Train Example() {
  config::Train train;
  train.steps = 105;
  train.lr = 0.01;
  train.warmup_steps = 4;
  train.min_lr_ratio = 0.1;
  train.schedule = config::Schedule::kCosine;
  return train;
}

TEST(LearningRate, WarmsUpFromZeroToThePeak) {
  EXPECT_EQ(LearningRate(Example(), 0), 0);
  EXPECT_DOUBLE_EQ(LearningRate(Example(), 1), 0.0025);
  EXPECT_DOUBLE_EQ(LearningRate(Example(), 3), 0.0075);
  EXPECT_DOUBLE_EQ(LearningRate(Example(), 4), 0.01);
}

TEST(LearningRate, CosineFallsToItsFloorAtTheLastUpdate) {
  // From update 4 to 104: half-way at 54 is (1 + 0.1) / 2; a quarter in, cos(pi / 4) = 0.70710678, so
  // 0.1 + 0.9 * (1 + 0.70710678) / 2 = 0.86819805.
  EXPECT_NEAR(LearningRate(Example(), 29), 0.0086819805, 1e-10);
  EXPECT_DOUBLE_EQ(LearningRate(Example(), 54), 0.0055);
  EXPECT_DOUBLE_EQ(LearningRate(Example(), 104), 0.001);
}

TEST(LearningRate, ConstantStaysAtThePeakAfterItsWarmUp) {
  config::Train train = Example();
  train.schedule = config::Schedule::kConstant;
  EXPECT_DOUBLE_EQ(LearningRate(train, 2), 0.005);
  EXPECT_DOUBLE_EQ(LearningRate(train, 4), 0.01);
  EXPECT_DOUBLE_EQ(LearningRate(train, 104), 0.01);
}

TEST(LearningRate, WsdHoldsThePeakAndFallsInAStraightLineAtTheEnd) {
  config::Train train = Example();
  train.schedule = config::Schedule::kWsd;
  train.decay_share = 0.2;  // of 105 updates: 21, from 83 to 104
  EXPECT_DOUBLE_EQ(LearningRate(train, 2), 0.005);
  EXPECT_DOUBLE_EQ(LearningRate(train, 4), 0.01);
  EXPECT_DOUBLE_EQ(LearningRate(train, 83), 0.01);
  // A third of the way: 0.01 * (0.1 + 0.9 * 2 / 3) = 0.007; two thirds: 0.01 * (0.1 + 0.9 / 3) = 0.004.
  EXPECT_DOUBLE_EQ(LearningRate(train, 90), 0.007);
  EXPECT_DOUBLE_EQ(LearningRate(train, 97), 0.004);
  EXPECT_DOUBLE_EQ(LearningRate(train, 104), 0.001);
}

TEST(LearningRate, WsdReachesItsPeakAndItsFloorHoweverLongTheDecayIs) {
  config::Train train = Example();
  train.schedule = config::Schedule::kWsd;
  train.decay_share = 1;  // as long as warm-up allows: from 4 to 104
  EXPECT_DOUBLE_EQ(LearningRate(train, 4), 0.01);
  EXPECT_DOUBLE_EQ(LearningRate(train, 54), 0.0055);
  EXPECT_DOUBLE_EQ(LearningRate(train, 104), 0.001);
  train.decay_share = 0.001;  // less than one update: the last alone
  EXPECT_DOUBLE_EQ(LearningRate(train, 103), 0.01);
  EXPECT_DOUBLE_EQ(LearningRate(train, 104), 0.001);
}

TEST(LearningRate, WithoutWarmUpTheFirstUpdateHasThePeak) {
  config::Train train = Example();
  train.warmup_steps = 0;
  EXPECT_DOUBLE_EQ(LearningRate(train, 0), 0.01);
  train.steps = 1;  // the first update is the last one too
  EXPECT_DOUBLE_EQ(LearningRate(train, 0), 0.01);
}

}  // namespace
}  // namespace mixln::worker::trainer::loop
