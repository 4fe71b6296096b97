#include "base/failpoint/failpoint.h"

#include <gmock/gmock.h>

#include <cerrno>
#include <stdexcept>

namespace mixln::base::failpoint {
namespace {

using testing::HasSubstr;

TEST(Failpoints, FailAtTheHitThatWasAskedForAndOnlyThere) {
  Failpoints failpoints(Parse("file.write:2=EIO;file.sync@manifest:1=ENOSPC"));
  EXPECT_EQ(failpoints.Hit("file.write", "a"), 0);
  EXPECT_EQ(failpoints.Hit("file.write", "b"), EIO);
  EXPECT_EQ(failpoints.Hit("file.write", "c"), 0);
  EXPECT_EQ(failpoints.Hit("file.sync", "rank-00000.safetensors"), 0);
  EXPECT_EQ(failpoints.Hit("file.sync", "step-1/manifest.json"), ENOSPC);
  EXPECT_EQ(failpoints.Hit("elsewhere", "step-1/manifest.json"), 0);
}

TEST(FailpointsDeathTest, Kill) {
  Failpoints failpoints(Parse("step:1=kill"));
  EXPECT_EXIT(failpoints.Hit("step", ""), testing::KilledBySignal(SIGKILL), "");
}

TEST(Failpoints, AskForADetailOnlyWhereThereAreSome) {
  bool asked = false;
  EXPECT_EQ(Hit("step", [&] { return asked = true, "detail"; }), 0);
  EXPECT_FALSE(asked) << "this process has none";
}

TEST(Failpoints, SayWhatIsWrongWithTheirList) {
  for (const char* list : {"step", "step=kill", "step:0=kill", "step:x=kill", ":1=kill", "step:1=explode"}) {
    try {
      Parse(list);
      ADD_FAILURE() << list << " was accepted";
    } catch (const std::invalid_argument& problem) {
      EXPECT_THAT(problem.what(), HasSubstr(std::string("\"") + list + "\"")) << list;
    }
  }
}

}  // namespace
}  // namespace mixln::base::failpoint
