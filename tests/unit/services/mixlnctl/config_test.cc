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

TEST(ResolveTarget, TakesTheTlsFilesOfTheSamePlaceAndFlagsAboveThem) {
  FakeWorld world;
  world.Write("config/mixln/config.yaml",
              "current-context: lab\n"
              "contexts:\n"
              "  lab: {coordinator: lab:7410, tls-ca: certs/ca.crt, tls-certificate: /etc/me.crt, tls-key: "
              "me.key}\n");
  const auto lab = ResolveTarget(world.io, {.tls = {.key = "flag.key"}});
  ASSERT_TRUE(lab.ok()) << lab.status();
  EXPECT_EQ(lab->tls.authorities, world.folder / "config/mixln/certs/ca.crt");
  EXPECT_EQ(lab->tls.certificate, "/etc/me.crt");
  EXPECT_EQ(lab->tls.key, "flag.key");
  world.variables["MIXLN_TLS_CA"] = "env.crt";
  EXPECT_EQ(ResolveTarget(world.io, {.context = "lab"})->tls.authorities, lab->tls.authorities);
  const auto elsewhere = ResolveTarget(world.io, {.coordinator = "flag:1"});
  EXPECT_EQ(elsewhere->tls.authorities, "env.crt");
  EXPECT_TRUE(elsewhere->tls.certificate.empty());
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
