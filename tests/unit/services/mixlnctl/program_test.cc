#include "services/mixlnctl/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_world.h"
#include "services/mixlnctl/libtorch.h"

namespace mixln::services::mixlnctl {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Program, ThatSucceedsGivesWhatItWroteToBothStreams) {
  const auto said = RunToEnd({"sh", "-c", "echo data; echo words >&2"});
  ASSERT_TRUE(said.ok()) << said.status();
  EXPECT_EQ(*said, "data\nwords");
}

TEST(Program, ThatFailsIsExplainedByItsOwnWordsElseByItsEnd) {
  EXPECT_EQ(RunToEnd({"sh", "-c", "echo no such model >&2; exit 3"}).status().message(), "no such model");
  EXPECT_EQ(RunToEnd({"sh", "-c", "exit 3"}).status().message(), "sh exited with code 3");
  EXPECT_EQ(RunInView({"sh", "-c", "kill -9 $$"}).message(), "sh was ended by signal 9");
  EXPECT_THAT(std::string(RunInView({"/no/such/program"}).message()),
              HasSubstr("cannot start /no/such/program"));
}

TEST(LibTorch, LiesBesideTheProgramsUnderItsRelease) {
  const std::string release = kLibTorchRequirement + sizeof("torch==") - 1;
  EXPECT_EQ(LibTorchFolder("/usr/bin"), "/usr/lib/mixln/torch-" + release);
}

TEST(LibTorch, ThatIsMissingIsToldFromATrainerThatIsMissing) {
  FakeWorld world;
  EXPECT_TRUE(absl::IsNotFound(CheckTrainer(world.io.program_folder)));
  const std::string trainer = world.Write(
      "bin/mixln-trainer", "#!/bin/sh\necho libtorch_cpu.so: cannot open shared object file >&2\nexit 127\n");
  std::filesystem::permissions(trainer, std::filesystem::perms::owner_all);
  EXPECT_THAT(std::string(CheckTrainer(world.io.program_folder).message()),
              AllOf(HasSubstr("libtorch_cpu.so"), HasSubstr("`mixlnctl setup`")));
  world.Write("bin/mixln-trainer", "#!/bin/sh\nexit 0\n");
  EXPECT_TRUE(CheckTrainer(world.io.program_folder).ok());
}

}  // namespace
}  // namespace mixln::services::mixlnctl
