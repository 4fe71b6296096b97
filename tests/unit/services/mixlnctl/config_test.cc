#include "services/mixlnctl/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_world.h"

namespace mixln::services::mixlnctl {
namespace {

using testing::HasSubstr;

constexpr char kContexts[] =
    "current-context: lab\n"
    "contexts:\n"
    "  lab: {coordinator: lab:7410}\n"
    "  cloud: {coordinator: cloud:7410}\n";

std::string Address(FakeWorld& world, const GlobalOptions& options = {}) {
  const auto target = ResolveTarget(world.io, options);
  return target.ok() ? target->address : std::string(target.status().message());
}

TEST(ResolveTarget, TakesTheNearestWordOfTheUser) {
  FakeWorld world;
  EXPECT_EQ(Address(world), "127.0.0.1:7410");
  world.Write("state/mixln/run/coordinator.address",
              R"({"grpc": "127.0.0.1:9", "metrics": "127.0.0.1:8", "pid": 1})");
  EXPECT_EQ(Address(world), "127.0.0.1:9");
  world.Write("config/mixln/config.yaml", kContexts);
  EXPECT_EQ(Address(world), "lab:7410");
  world.variables["MIXLN_COORDINATOR"] = "env:1";
  EXPECT_EQ(Address(world), "env:1");
  EXPECT_EQ(Address(world, {.context = "cloud"}), "cloud:7410");
  EXPECT_EQ(Address(world, {.coordinator = "flag:1", .context = "cloud"}), "flag:1");
}

TEST(ResolveTarget, SuggestsTheContextThatWasMeant) {
  FakeWorld world;
  world.Write("config/mixln/config.yaml", kContexts);
  EXPECT_THAT(Address(world, {.context = "clod"}), HasSubstr("did you mean \"cloud\"?"));
}

TEST(ResolveTarget, NamesTheLineOfABrokenConfiguration) {
  FakeWorld world;
  world.Write("config/mixln/config.yaml", "current-context: lab\ncontexts:\n  lab: {}\n");
  EXPECT_THAT(Address(world), HasSubstr("config.yaml:3: context lab has no `coordinator: HOST:PORT`"));
}

TEST(ResolveTarget, RefusesAContextWithoutAConfiguration) {
  FakeWorld world;
  EXPECT_THAT(Address(world, {.context = "lab"}), HasSubstr("there is no configuration file"));
}

}  // namespace
}  // namespace mixln::services::mixlnctl
