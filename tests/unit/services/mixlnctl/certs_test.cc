// `certs` and `tokens`: files that they write, and for whom.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file/durable.h"
#include "fake_world.h"

namespace mixln::services::mixlnctl {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr fs::perms kOthers = fs::perms::group_all | fs::perms::others_all;

class Certs : public testing::Test {
 protected:
  Certs() { EXPECT_EQ(world_.Run({"certs", "init"}), 0) << world_.Err(); }
  int Run(std::vector<std::string> words) {
    words.insert(words.begin(), "certs");
    return world_.Run(words);
  }

  FakeWorld world_;
  fs::path folder_ = world_.folder / "config/mixln/certs";
};

TEST_F(Certs, KeepKeysFromOthers) {
  ASSERT_EQ(Run({"issue", "worker", "gpu-1"}), 0) << world_.Err();
  EXPECT_EQ(fs::status(folder_).permissions() & kOthers, fs::perms::none);
  for (const char* key : {"ca.key", "worker-gpu-1.key"})
    EXPECT_EQ(fs::status(folder_ / key).permissions() & kOthers, fs::perms::none) << key;
}

TEST_F(Certs, SayWhomTheyAreFor) {
  ASSERT_EQ(Run({"issue", "server", "c", "--host", "lab.example.org", "--host", "10.0.0.7", "--days", "30"}),
            0);
  EXPECT_EQ(world_.Out(),
            (folder_ / "server-c.crt").string() + "\n" + (folder_ / "server-c.key").string() + "\n");
  ASSERT_EQ(Run({"show", (folder_ / "server-c.crt").string()}), 0);
  EXPECT_THAT(world_.Out(), AllOf(HasSubstr("server/c"), HasSubstr("(30 days)"),
                                  HasSubstr("lab.example.org, 10.0.0.7"), HasSubstr("serial")));
  ASSERT_EQ(Run({"show"}), 0);
  EXPECT_THAT(world_.Out(), AllOf(HasSubstr("an authority"), HasSubstr("server/c")));
}

TEST_F(Certs, DoNotLoseAnAuthority) {
  const auto before = *base::ReadFile(folder_ / "ca.key");
  EXPECT_EQ(Run({"init"}), 1);
  EXPECT_THAT(world_.Err(), HasSubstr("there is an authority in"));
  EXPECT_EQ(*base::ReadFile(folder_ / "ca.key"), before);
}

TEST_F(Certs, AreRefusedForWhatIsNoRoleOrName) {
  EXPECT_EQ(Run({"issue", "opertor", "ada"}), 1);
  EXPECT_THAT(world_.Err(), HasSubstr("did you mean \"operator\"?"));
  EXPECT_EQ(Run({"issue", "admin", "a/b"}), 1);
  EXPECT_THAT(world_.Err(), HasSubstr("is not a name"));
  EXPECT_EQ(Run({"issue", "worker", "gpu-1", "--host", "gpu-1"}), 1);
  EXPECT_THAT(world_.Err(), HasSubstr("--host is for a server"));
  EXPECT_EQ(Run({"issue", "worker", "gpu-1", "--dir", (world_.folder / "nowhere").string()}), 1);
  EXPECT_THAT(world_.Err(), HasSubstr("mixlnctl certs init"));
}

TEST_F(Certs, AreRevokedByIdentityOrSerial) {
  EXPECT_EQ(Run({"revoke", "worker/gpu-1"}), 0);
  EXPECT_EQ(Run({"revoke", "4A0B"}), 0);
  EXPECT_EQ(*base::ReadFile(folder_ / "revoked"), "worker/gpu-1\n4A0B\n");
  EXPECT_EQ(Run({"revoke", "gpu-1"}), 1);
}

TEST(TokensCommand, ShowsATokenOnceAndKeepsItsHash) {
  FakeWorld world;
  const std::string file = (world.folder / "tokens").string();
  ASSERT_EQ(world.Run({"tokens", "issue", "viewer", "board", "--file", file}), 0) << world.Err();
  const std::string token = world.Out().substr(0, world.Out().size() - 1);
  EXPECT_THAT(token, testing::StartsWith("mixln_"));
  EXPECT_THAT(*base::ReadFile(file), AllOf(HasSubstr(" viewer/board 2"), Not(HasSubstr(token))));
  EXPECT_EQ(fs::status(file).permissions() & kOthers, fs::perms::none);
  EXPECT_EQ(world.Run({"tokens", "issue", "worker", "gpu-1", "--file", file}), 1);
  EXPECT_THAT(world.Err(), HasSubstr("needs a certificate"));
}

}  // namespace
}  // namespace mixln::services::mixlnctl
