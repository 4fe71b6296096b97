#include "services/access/tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/access/revocations.h"

namespace mixln::services::access {
namespace {

using certificate::Identity;
using certificate::Role;
using testing::HasSubstr;
using testing::Not;

const absl::Time kDay = absl::FromCivil(absl::CivilDay(2027, 1, 31), absl::UTCTimeZone());

TEST(Tokens, AreKnownByTheirHash) {
  // `printf secret | sha256sum`
  const auto tokens = Tokens::Parse(
      "# people\n\n2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b operator/ada 2027-01-31 "
      "# her laptop\n");
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  EXPECT_EQ(tokens->Find("secret", kDay), (Identity{Role::kOperator, "ada"}));
  EXPECT_EQ(tokens->Find("secret", kDay + absl::Hours(24)), std::nullopt);
  EXPECT_EQ(tokens->Find("Secret", kDay), std::nullopt);
  EXPECT_EQ(tokens->Find("", kDay), std::nullopt);
}

TEST(Tokens, WriteTheLineThatLetsThemIn) {
  const auto token = NewToken();
  const auto other = NewToken();
  ASSERT_TRUE(token.ok() && other.ok());
  EXPECT_NE(*token, *other);
  const std::string line = TokenLine(*token, {Role::kViewer, "board"}, kDay);
  EXPECT_THAT(line, Not(HasSubstr(*token)));
  EXPECT_EQ(Tokens::Parse(line)->Find(*token, kDay), (Identity{Role::kViewer, "board"}));
  EXPECT_EQ(Tokens::Parse(line)->Find(*other, kDay), std::nullopt);
}

TEST(Tokens, OfAFileThatIsWrongAreRefusedWithTheLine) {
  const std::string hash(64, 'a');
  for (const std::string& line :
       {std::string("secret operator/ada 2027-01-31"), hash + " ada 2027-01-31", hash + " operator/ada",
        hash + " operator/ada tomorrow", hash + " worker/gpu-1 2027-01-31", hash + " server/x 2027-01-31"})
    EXPECT_THAT(std::string(Tokens::Parse("\n" + line).status().message()), HasSubstr("line 2: ")) << line;
}

TEST(Revocations, KnowIdentitiesAndSerialNumbers) {
  const auto revoked = Revocations::Parse("worker/gpu-1 # stolen\n\n4a0b\n");
  ASSERT_TRUE(revoked.ok()) << revoked.status();
  EXPECT_TRUE(revoked->Contains({Role::kWorker, "gpu-1"}, "01"));
  EXPECT_TRUE(revoked->Contains({Role::kWorker, "gpu-2"}, "4A0B"));
  EXPECT_FALSE(revoked->Contains({Role::kWorker, "gpu-2"}, "01"));
  EXPECT_FALSE(revoked->Contains({Role::kViewer, "gpu-1"}, ""));
  EXPECT_THAT(std::string(Revocations::Parse("gpu-1").status().message()), HasSubstr("line 1: gpu-1"));
}

}  // namespace
}  // namespace mixln::services::access
