// The command line itself: misspelt words, help, completion.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_world.h"

namespace mixln::services::mixlnctl {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(CommandLine, AnswersAMisspeltCommandWithTheNearest) {
  FakeWorld world;
  EXPECT_EQ(world.Run({"sumbit", "x.yaml"}), 2);
  EXPECT_THAT(world.Err(), HasSubstr("`mixlnctl` has no command \"sumbit\"; did you mean \"submit\"?"));
  EXPECT_EQ(world.Run({"get", "trails"}), 2);
  EXPECT_THAT(world.Err(), HasSubstr("`mixlnctl get` has no command \"trails\"; did you mean \"trials\"?"));
}

TEST(CommandLine, AnswersAMisspeltFlagWithTheNearest) {
  FakeWorld world;
  EXPECT_EQ(world.Run({"submit", "x.yaml", "--folow"}), 2);
  EXPECT_THAT(world.Err(), HasSubstr("`mixlnctl submit` has no flag --folow; did you mean \"--follow\"?"));
}

TEST(CommandLine, SaysWhatIsMissing) {
  FakeWorld world;
  EXPECT_EQ(world.Run({}), 2);
  EXPECT_THAT(world.Err(), HasSubstr("`mixlnctl` needs a command: up, down, "));
  EXPECT_EQ(world.Run({"results"}), 2);
  EXPECT_THAT(world.Err(), HasSubstr("sweep"));
}

TEST(CommandLine, RefusesAFormThatDoesNotExist) {
  FakeWorld world;
  EXPECT_EQ(world.Run({"nodes", "-o", "xml"}), 2);
  EXPECT_THAT(world.Err(), HasSubstr("\"xml\" is none of table|wide|json|yaml|name"));
}

TEST(CommandLine, HelpListsTheCommandsOfThisRelease) {
  FakeWorld world;
  EXPECT_EQ(world.Run({"--help"}), 0);
  for (const char* command :
       {"up",    "down",   "submit", "validate", "get",     "describe",   "logs",    "watch", "wait",
        "pause", "resume", "retry",  "cancel",   "delete",  "results",    "nodes",   "drain", "undrain",
        "top",   "setup",  "certs",  "tokens",   "version", "completion", "compare", "report"}) {
    EXPECT_THAT(world.Out(), HasSubstr(std::string("\n  ") + command + " "));
  }
}

TEST(Completion, KnowsCommandsFlagsAndAsksForNames) {
  FakeWorld world;
  for (const char* shell : {"bash", "zsh", "fish"}) {
    EXPECT_EQ(world.Run({"completion", shell}), 0);
    EXPECT_THAT(world.Out(),
                AllOf(HasSubstr("submit"), HasSubstr("dry-run"), HasSubstr("mixlnctl get trials -o name"),
                      HasSubstr("mixlnctl get sweeps -o name")))
        << shell;
  }
  EXPECT_EQ(world.Run({"completion", "tcsh"}), 2);
}

TEST(Completion, OffersTheValuesOfAFlagAndNothingBehindASwitch) {
  FakeWorld world;
  world.Run({"completion", "bash"});
  EXPECT_THAT(world.Out(), HasSubstr("--output|-o) COMPREPLY=($(compgen -W \"table wide json yaml name\""));
  EXPECT_THAT(world.Out(), HasSubstr("compgen -W \"bash zsh fish\""));
  EXPECT_THAT(world.Out(), Not(HasSubstr("--dry-run)")));
}

}  // namespace
}  // namespace mixln::services::mixlnctl
