// What is kept of a sweep, and who is told to delete the rest.
#include <gmock/gmock.h>

#include "running.h"

namespace mixln::coordinator::control {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

// A trial that has ended with a checkpoint, of a sweep whose artifacts are kept for a minute.
struct Ended : Running {
  Ended() {
    state.sweeps.at("s").mutable_spec()->mutable_retention()->set_seconds_after_end(60);
    Save(5);
    End("a", "s-0", v1::ATTEMPT_OUTCOME_FINISHED);
  }
};

TEST(Retention, KeepsAsManyCheckpointsAsTheSweepAsksFor) {
  Running c;
  c.state.sweeps.at("s").mutable_spec()->mutable_retention()->set_checkpoints(3);
  for (const int64_t step : {1, 2, 3}) c.Save(step);
  EXPECT_THAT(c.last.commands, IsEmpty());
  c.Save(4);
  EXPECT_THAT(c.SentTo("a"), ElementsAre("delete trials/s-uids/0/3-1/checkpoints/step-1"));
}

TEST(Retention, DeletesTheFolderOfATrialWhoseTimeIsOverOnce) {
  Ended c;
  c.Pass(5);
  EXPECT_THAT(c.Trial("s-0").checkpoints(), Not(IsEmpty()));
  c.KeepAlive(55);
  EXPECT_THAT(c.SentTo("a"), ElementsAre("delete trials/s-uids/0"));
  EXPECT_THAT(c.Trial("s-0").checkpoints(), IsEmpty());
  EXPECT_TRUE(c.last.changes.trials.contains("s-0"));
  c.KeepAlive(5);
  EXPECT_THAT(c.last.commands, IsEmpty());
}

// Its first order may have been lost with the stream.
TEST(Retention, IsToldToAWorkerAgainWhenItComesBack) {
  Ended c;
  c.KeepAlive(60);
  c.Connect(Cluster::Hello("a", 1, 2));
  c.Pass(1);
  EXPECT_THAT(c.SentTo("a"), ElementsAre("delete trials/s-uids/0"));
}

TEST(Retention, KeepsWhatAnUnfinishedTrialGoesOnFrom) {
  Ended c;
  v1::Trial& heir = c.state.trials["s-9"] = c.Trial("s-0");
  heir.set_id("s-9");
  heir.set_state(v1::TRIAL_STATE_PAUSED);
  c.KeepAlive(60);
  EXPECT_THAT(c.last.commands, IsEmpty());
  EXPECT_THAT(c.Trial("s-0").checkpoints(), Not(IsEmpty()));
}

TEST(Retention, NoTrialNamesACheckpointThatWentWithTheFolderOfTheOneItTriesAgain) {
  Ended c;
  v1::Trial& heir = c.state.trials["s-9"] = c.Trial("s-0");
  heir.set_id("s-9");
  heir.set_retry_of("s-0");
  *heir.mutable_end_time() = state::ToTimestamp(c.now.wall + base::Seconds(30));
  c.Pass(5);
  EXPECT_THAT(heir.checkpoints(), Not(IsEmpty()));
  c.KeepAlive(55);
  EXPECT_THAT(heir.checkpoints(), IsEmpty());
  EXPECT_TRUE(c.last.changes.trials.contains("s-9"));
}

TEST(Retention, WaitsForAWorkerThatCanDelete) {
  Ended c;
  c.Disconnect("a");
  c.Pass(100);
  EXPECT_THAT(c.Trial("s-0").checkpoints(), Not(IsEmpty()));
}

}  // namespace
}  // namespace mixln::coordinator::control
