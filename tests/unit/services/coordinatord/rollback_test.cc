#include "services/coordinatord/rollback.h"

#include <gmock/gmock.h>

namespace mixln::services::coordinatord {
namespace {

namespace state = coordinator::state;

using ::testing::ElementsAre;

constexpr base::Time kThen{1'000'000};

// A cluster with a sweep that waits: for its back-off, for the worker that sees its checkpoint, or not at
// all.
state::State Cluster() {
  state::State cluster;
  cluster.last_epoch = 3;
  cluster.revision = 7;
  cluster.sweeps["s"].set_id("s");
  for (const char* id : {"s-0", "s-1", "s-2"}) cluster.trials[id].set_id(id);
  cluster.workers["w"].session = 5;
  cluster.live["s-0"].deadline = kThen;
  cluster.trials.at("s-1").set_state(v1::TRIAL_STATE_PENDING);
  cluster.trials.at("s-2").set_state(v1::TRIAL_STATE_PENDING);
  cluster.pending = {"s-1", "s-2"};
  cluster.not_before["s-1"] = kThen;
  cluster.checkpoint_until["s-2"] = kThen;
  return cluster;
}

struct RollbackTest : ::testing::Test {
  RollbackTest() { published.Reset(cluster); }
  state::State cluster = Cluster();
  Published published{{}};
};

TEST_F(RollbackTest, RowsAreWhatWasPublishedLast) {
  const Rollback before(cluster);
  cluster.trials.at("s-0").set_state(v1::TRIAL_STATE_RUNNING);
  cluster.trials.erase("s-1");
  cluster.trials["t-0"].set_state(v1::TRIAL_STATE_PENDING);
  cluster.pending = {"s-2", "t-0"};
  cluster.sweeps["t"].set_id("t");
  before.Undo({.sweeps = {"t"}, .trials = {"s-0", "s-1", "t-0"}, .workers = {}}, published, cluster);
  EXPECT_EQ(cluster.trials.at("s-0").state(), v1::TRIAL_STATE_UNSPECIFIED);
  EXPECT_TRUE(cluster.trials.contains("s-1"));
  EXPECT_FALSE(cluster.trials.contains("t-0"));
  EXPECT_FALSE(cluster.sweeps.contains("t"));
  EXPECT_THAT(cluster.pending, ElementsAre("s-1", "s-2"));
}

TEST_F(RollbackTest, WhatIsKeptInMemoryOnlyIsWhatItWas) {
  const Rollback before(cluster);
  cluster.last_epoch = 4;
  cluster.revision = 8;
  cluster.workers.at("w").session = 0;
  cluster.workers["new"].session = 6;
  cluster.live.clear();
  cluster.not_before.clear();
  cluster.checkpoint_until.clear();
  before.Undo({}, published, cluster);
  EXPECT_EQ(cluster.last_epoch, 3U);
  EXPECT_EQ(cluster.revision, 7);
  EXPECT_EQ(cluster.workers.size(), 1U);
  EXPECT_EQ(cluster.workers.at("w").session, 5U);
  EXPECT_EQ(cluster.live.at("s-0").deadline, kThen);
  EXPECT_EQ(cluster.not_before.at("s-1"), kThen);
  EXPECT_EQ(cluster.checkpoint_until.at("s-2"), kThen);
}

}  // namespace
}  // namespace mixln::services::coordinatord
