// What becomes of a trial for each cause of its attempt's end.
#include <gmock/gmock.h>

#include <map>

#include "cluster.h"

namespace mixln::coordinator::control {
namespace {

using ::testing::HasSubstr;

// What each cause leads to, as conclude.h says.
enum class Remedy { kNone, kAtOnce, kLater };
const std::map<v1::FailureCause, Remedy> kRemedies = {
    {v1::FAILURE_CAUSE_WORKER_LOST, Remedy::kAtOnce},  {v1::FAILURE_CAUSE_PREEMPTED, Remedy::kAtOnce},
    {v1::FAILURE_CAUSE_TRAINER_CRASH, Remedy::kLater}, {v1::FAILURE_CAUSE_HANG, Remedy::kLater},
    {v1::FAILURE_CAUSE_PEER_LOST, Remedy::kLater},     {v1::FAILURE_CAUSE_IO, Remedy::kLater},
    {v1::FAILURE_CAUSE_START_TIMEOUT, Remedy::kLater}, {v1::FAILURE_CAUSE_OUT_OF_MEMORY, Remedy::kNone},
    {v1::FAILURE_CAUSE_BAD_CONFIG, Remedy::kNone},     {v1::FAILURE_CAUSE_DATA_ERROR, Remedy::kNone},
    {v1::FAILURE_CAUSE_DIVERGED, Remedy::kNone},       {v1::FAILURE_CAUSE_MAX_RUNTIME, Remedy::kNone},
};

// One running trial that was retried so often before, of 2 times, and fails now.
struct Failed : Cluster {
  Failed(v1::FailureCause cause, int retries, bool progress) {
    Connect("a", 1);
    Submit("s", 1);
    RunOn("a", "s-0");
    Trial("s-0").set_retries(retries);
    if (progress) Happen(Batch("a", "s-0", {Checkpoint(10)}));
    const bool diverged = cause == v1::FAILURE_CAUSE_DIVERGED;
    End("a", "s-0", diverged ? v1::ATTEMPT_OUTCOME_DIVERGED : v1::ATTEMPT_OUTCOME_FAILED, cause, "no luck");
  }
  double WaitSeconds() {
    const auto until = state.not_before.find("s-0");
    return until == state.not_before.end() ? 0 : base::ToSeconds(until->second - now.steady);
  }
};

TEST(Remedies, EveryCauseHasTheOneThatIsDocumented) {
  for (int number = v1::FailureCause_MIN + 1; number <= v1::FailureCause_MAX; ++number) {
    const auto cause = static_cast<v1::FailureCause>(number);
    SCOPED_TRACE(v1::FailureCause_Name(cause));
    const auto remedy = kRemedies.find(cause);
    ASSERT_TRUE(remedy != kRemedies.end()) << "a new cause: say what it leads to";
    for (const bool progress : {false, true}) {
      SCOPED_TRACE(progress ? "after progress" : "without progress");
      Failed c(cause, /*retries=*/1, progress);
      const int before = progress ? 0 : 1;  // progress sets the count to 0
      if (remedy->second == Remedy::kNone) {
        const bool diverged = cause == v1::FAILURE_CAUSE_DIVERGED;
        EXPECT_EQ(c.StateOf("s-0"), diverged ? v1::TRIAL_STATE_DIVERGED : v1::TRIAL_STATE_FAILED);
        EXPECT_EQ(c.Trial("s-0").retries(), before);
      } else if (remedy->second == Remedy::kAtOnce) {
        EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_STARTING);
        EXPECT_EQ(c.Trial("s-0").retries(), progress ? 0 : 2);
        EXPECT_EQ(c.LastAttempt("s-0").resume_step(), progress ? 10 : 0);
      } else {
        EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_PENDING);
        EXPECT_EQ(c.Trial("s-0").retries(), before + 1);
        EXPECT_LE(c.WaitSeconds(), progress ? 5 : 10);  // and at most a fifth less
        EXPECT_GE(c.WaitSeconds(), progress ? 4 : 8);
      }
    }
  }
}

TEST(Remedies, NoneIsLeftWhenTheRetriesAreUsedUpButAfterProgress) {
  for (const auto& [cause, remedy] : kRemedies) {
    SCOPED_TRACE(v1::FailureCause_Name(cause));
    if (remedy == Remedy::kNone) continue;
    Failed without(cause, /*retries=*/2, /*progress=*/false);
    EXPECT_EQ(without.StateOf("s-0"), v1::TRIAL_STATE_FAILED);
    EXPECT_THAT(without.Trial("s-0").reason(), HasSubstr("(after 2 retries without progress)"));
    Failed after(cause, /*retries=*/2, /*progress=*/true);
    EXPECT_FALSE(state::IsTerminal(after.StateOf("s-0")));
  }
}

}  // namespace
}  // namespace mixln::coordinator::control
