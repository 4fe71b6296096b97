#include "services/rpc/version.h"

#include <gtest/gtest.h>

#include <string>

namespace mixln::services::rpc {
namespace {

bool Works(const std::string& coordinator, const std::string& client) {
  return CheckVersions({.coordinator = coordinator, .client = client}).ok();
}

TEST(Version, SameMinorOfZeroWorksWhateverThePatch) {
  EXPECT_TRUE(Works("0.3.0", "0.3.7"));
}

TEST(Version, ThePreviousMinorClientWorks) {
  EXPECT_TRUE(Works("0.3.0", "0.2.9"));
}

TEST(Version, AnOlderMinorOfZeroIsAnotherMajor) {
  EXPECT_FALSE(Works("0.3.0", "0.1.0"));
}

TEST(Version, ANewerMinorOfZeroIsAnotherMajor) {
  EXPECT_FALSE(Works("0.3.0", "0.4.0"));
}

TEST(Version, AnotherMajorIsRefused) {
  EXPECT_FALSE(Works("0.1.0", "1.1.0"));
  EXPECT_FALSE(Works("2.0.0", "1.9.0"));
}

TEST(Version, FromOneOnTheMinorDoesNotMatter) {
  EXPECT_TRUE(Works("1.0.0", "1.9.3"));
}

TEST(Version, WhatIsNoVersionIsRefused) {
  EXPECT_FALSE(Works("0.1.0", "new"));
}

TEST(Version, TheMessageNamesBothAndWhomToUpgrade) {
  const auto status = CheckVersions({.coordinator = "0.4.0", .client = "0.1.0"});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(std::string(status.message()).find("0.4.0"), std::string::npos);
  EXPECT_NE(std::string(status.message()).find("upgrade the client"), std::string::npos);
  EXPECT_NE(std::string(CheckVersions({.coordinator = "0.1.0", .client = "1.0.0"}).message())
                .find("upgrade the coordinator"),
            std::string::npos);
}

}  // namespace
}  // namespace mixln::services::rpc
