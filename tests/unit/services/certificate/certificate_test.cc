#include "services/certificate/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/certificate/authority.h"

namespace mixln::services::certificate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
const Validity kGood{kNow - absl::Hours(1), kNow + absl::Hours(24)};

const Pair& Authority() {
  static const Pair authority = *MakeAuthority("test", kGood);
  return authority;
}

Pair IssueFor(Role role, const Validity& validity = kGood) {
  return *Issue(Authority(), {.identity = {role, "gpu-1"}, .hosts = {}}, validity);
}

std::string Refusal(const Pair& pair, Use use, absl::Time now = kNow) {
  return std::string(Check({pair.certificate, pair.key, Authority().certificate}, use, now).message());
}

TEST(Certificate, SaysWhomItIsForAndUntilWhen) {
  const auto pair = Issue(
      Authority(),
      {.identity = {Role::kServer, "coordinator"}, .hosts = {"mixln.example.org", "10.0.0.7", "::1"}}, kGood);
  const auto read = Parse(pair->certificate);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->subject, "CN=coordinator");
  EXPECT_EQ(read->issuer, "CN=test");
  EXPECT_EQ(read->identity, (Identity{Role::kServer, "coordinator"}));
  EXPECT_THAT(read->hosts, ElementsAre("mixln.example.org", "10.0.0.7", "::1"));
  EXPECT_EQ(read->not_before, kGood.from);
  EXPECT_EQ(read->not_after, kGood.until);
  EXPECT_EQ(read->serial.size(), 32U);
  EXPECT_FALSE(read->is_authority);
  EXPECT_TRUE(Parse(Authority().certificate)->is_authority);
}

TEST(Certificate, IsGoodForItsUseOnly) {
  EXPECT_EQ(Refusal(IssueFor(Role::kServer), Use::kServer), "");
  EXPECT_EQ(Refusal(IssueFor(Role::kWorker), Use::kClient), "");
  EXPECT_THAT(Refusal(IssueFor(Role::kServer), Use::kClient), HasSubstr("purpose"));
  EXPECT_THAT(Refusal(IssueFor(Role::kAdmin), Use::kServer), HasSubstr("purpose"));
}

TEST(Certificate, IsRefusedBeforeAndAfterItsTime) {
  const Pair pair = IssueFor(Role::kWorker);
  EXPECT_THAT(Refusal(pair, Use::kClient, kNow + absl::Hours(25)), HasSubstr("expired"));
  EXPECT_THAT(Refusal(pair, Use::kClient, kNow - absl::Hours(2)), HasSubstr("not yet valid"));
}

TEST(Certificate, IsRefusedWithAnotherKeyOrAnotherAuthority) {
  Pair mixed = IssueFor(Role::kWorker);
  mixed.key = IssueFor(Role::kWorker).key;
  EXPECT_THAT(Refusal(mixed, Use::kClient), HasSubstr("the key is not that of the certificate"));
  const Pair stranger = *MakeAuthority("test", kGood);  // of the same name
  const Pair forged = *Issue(stranger, {.identity = {Role::kAdmin, "mallory"}, .hosts = {}}, kGood);
  EXPECT_THAT(Refusal(forged, Use::kClient), HasSubstr("does not vouch"));
}

TEST(Certificate, CannotSignOthers) {
  const Pair worker = IssueFor(Role::kWorker);
  const auto forged = Issue(worker, {.identity = {Role::kAdmin, "mallory"}, .hosts = {}}, kGood);
  ASSERT_TRUE(forged.ok());
  const Pair chain{forged->certificate + worker.certificate, forged->key};
  EXPECT_THAT(Refusal(chain, Use::kClient), HasSubstr("does not vouch"));
}

TEST(Certificate, WhatIsNoneIsSaid) {
  EXPECT_TRUE(absl::IsInvalidArgument(Parse("nothing").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Check({"", "", ""}, Use::kClient, kNow)));
  EXPECT_THAT(Refusal({IssueFor(Role::kWorker).certificate, "no key"}, Use::kClient),
              HasSubstr("no private key"));
}

TEST(Authority, RefusesAHostThatCouldSmuggleInAnotherName) {
  const auto forged =
      Issue(Authority(), {.identity = {Role::kServer, "a"}, .hosts = {"a,URI:mixln:admin/mallory"}}, kGood);
  EXPECT_TRUE(absl::IsInvalidArgument(forged.status()));
}

TEST(Identity, IsReadOnlyFromItsOwnForm) {
  EXPECT_EQ(FromUri("mixln:worker/gpu-1"), (Identity{Role::kWorker, "gpu-1"}));
  for (const char* uri : {"mixln:root/gpu-1", "mixln:worker", "mixln:worker/", "mixln:worker/a b",
                          "mixln:worker/a/b", "https:worker/gpu-1", "mixln:Worker/gpu-1", ""})
    EXPECT_EQ(FromUri(uri), std::nullopt) << uri;
  for (const Role role : {Role::kViewer, Role::kOperator, Role::kAdmin, Role::kWorker, Role::kServer})
    EXPECT_EQ(FromUri(ToUri({role, "x"})), (Identity{role, "x"}));
}

}  // namespace
}  // namespace mixln::services::certificate
