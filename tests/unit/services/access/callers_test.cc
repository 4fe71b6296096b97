#include "services/access/callers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "services/certificate/authority.h"

namespace mixln::services::access {
namespace {

using certificate::Identity;
using certificate::Role;
using testing::HasSubstr;

struct NoProperty : grpc::AuthPropertyIterator {};

// A connection whose other end showed this certificate; empty: none.
class Connection : public grpc::AuthContext {
 public:
  explicit Connection(std::string pem) : pem_(std::move(pem)) {}
  bool IsPeerAuthenticated() const override { return !pem_.empty(); }
  std::vector<grpc::string_ref> GetPeerIdentity() const override { return {}; }
  std::string GetPeerIdentityPropertyName() const override { return ""; }
  std::vector<grpc::string_ref> FindPropertyValues(const std::string& name) const override {
    if (name != "x509_pem_cert" || pem_.empty()) return {};
    return {pem_};
  }
  grpc::AuthPropertyIterator begin() const override { return NoProperty(); }
  grpc::AuthPropertyIterator end() const override { return NoProperty(); }
  void AddProperty(const std::string&, const grpc::string_ref&) override {}
  bool SetPeerIdentityPropertyName(const std::string&) override { return false; }

 private:
  const std::string pem_;
};

class CallersTest : public testing::Test {
 protected:
  CallersTest() {
    std::filesystem::create_directories(folder_);
    Write("tokens", TokenLine(kToken, {Role::kViewer, "board"}, absl::Now() + absl::Hours(48)));
    Write("revoked", "");
    callers_ = *Callers::Open({.tokens = folder_ / "tokens", .revoked = folder_ / "revoked"});
  }
  ~CallersTest() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) { std::ofstream(folder_ / name) << text; }

  // With a certificate for `identity`, unless that is null.
  absl::StatusOr<Caller> Identify(const Callers::Metadata& metadata, const Identity* identity) const {
    const absl::Time now = absl::Now();
    static const certificate::Pair authority =
        *certificate::MakeAuthority("test", {now, now + absl::Hours(1)});
    const std::string pem =
        identity == nullptr
            ? ""
            : certificate::Issue(authority, {.identity = *identity, .hosts = {}}, {now, now + absl::Hours(1)})
                  ->certificate;
    return callers_->Identify(metadata, Connection(pem));
  }

  static constexpr char kToken[] = "mixln_secret";
  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / ("callers." + std::to_string(getpid()));
  std::unique_ptr<Callers> callers_;
};

TEST_F(CallersTest, AreWhomTheCertificateOrTheTokenSpeaksFor) {
  const Identity ada{Role::kOperator, "ada"};
  EXPECT_EQ(Identify({}, &ada)->identity, ada);
  EXPECT_FALSE(Identify({}, &ada)->serial.empty());
  const Callers::Metadata token{{"authorization", "Bearer mixln_secret"}};
  EXPECT_EQ(Identify(token, nullptr)->identity, (Identity{Role::kViewer, "board"}));
  EXPECT_EQ(Identify(token, &ada)->identity, (Identity{Role::kViewer, "board"}));
}

TEST_F(CallersTest, AreNobodyWithoutEither) {
  const Identity ada{Role::kOperator, "ada"};
  EXPECT_TRUE(absl::IsUnauthenticated(Identify({}, nullptr).status()));
  for (const char* value : {"Bearer mixln_guess", "mixln_secret", "Basic mixln_secret", "Bearer ", ""})
    EXPECT_TRUE(absl::IsUnauthenticated(Identify({{"authorization", value}}, &ada).status())) << value;
}

TEST_F(CallersTest, AreRevokedAndLetInAgainWhileEverythingRuns) {
  const Identity ada{Role::kOperator, "ada"};
  const Caller caller = *Identify({}, &ada);
  EXPECT_TRUE(callers_->CheckRevoked(caller).ok());
  Write("revoked", "operator/ada\n");
  ASSERT_TRUE(callers_->Reload().ok());
  EXPECT_TRUE(absl::IsPermissionDenied(callers_->CheckRevoked(caller)));
  Write("revoked", caller.serial + "\n");
  ASSERT_TRUE(callers_->Reload().ok());
  EXPECT_TRUE(absl::IsPermissionDenied(callers_->CheckRevoked(caller)));
  EXPECT_TRUE(callers_->CheckRevoked(*Identify({}, &ada)).ok()) << "another certificate of hers";
  Write("revoked", "");
  ASSERT_TRUE(callers_->Reload().ok());
  EXPECT_TRUE(callers_->CheckRevoked(caller).ok());
}

TEST_F(CallersTest, StayAsTheyWereWhileAFileCannotBeRead) {
  const Identity ada{Role::kOperator, "ada"};
  const Caller caller = *Identify({}, &ada);
  Write("revoked", "operator/ada\n");
  ASSERT_TRUE(callers_->Reload().ok());
  Write("revoked", "half a lin");
  EXPECT_THAT(std::string(callers_->Reload().message()), HasSubstr("revoked: line 1"));
  EXPECT_TRUE(absl::IsPermissionDenied(callers_->CheckRevoked(caller)));
  std::filesystem::remove(folder_ / "revoked");
  EXPECT_FALSE(callers_->Reload().ok());
  EXPECT_TRUE(absl::IsPermissionDenied(callers_->CheckRevoked(caller)));
}

}  // namespace
}  // namespace mixln::services::access
