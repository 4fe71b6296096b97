#include "services/access/callers.h"

#include <grpc/grpc_security_constants.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file/durable.h"
#include "services/certificate/certificate.h"

namespace mixln::services::access {
namespace {

constexpr char kBearer[] = "Bearer ";
constexpr size_t kMostOwners = 4096;

// The file's contents by its own parser; an empty path is an empty file.
template <class T>
absl::StatusOr<T> Read(const std::filesystem::path& path) {
  if (path.empty()) return T();
  auto text = base::ReadFile(path);
  if (!text.ok()) return text.status();
  auto parsed = T::Parse(*text);
  if (parsed.ok()) return parsed;
  return absl::Status(parsed.status().code(), absl::StrCat(path.string(), ": ", parsed.status().message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Callers>> Callers::Open(Files files) {
  std::unique_ptr<Callers> callers(new Callers(std::move(files)));
  if (auto status = callers->Reload(); !status.ok()) return status;
  return callers;
}

absl::Status Callers::Reload() {
  auto tokens = Read<Tokens>(files_.tokens);
  auto revocations = Read<Revocations>(files_.revoked);
  absl::Status status = tokens.ok() ? revocations.status() : tokens.status();
  const std::lock_guard lock(mutex_);
  if (tokens.ok()) tokens_ = *std::move(tokens);
  if (revocations.ok()) revocations_ = *std::move(revocations);
  return status;
}

absl::Status Callers::CheckRevoked(const Caller& caller) const {
  const std::lock_guard lock(mutex_);
  if (!revocations_.Contains(caller.identity, caller.serial)) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat(certificate::Format(caller.identity), " is revoked: ask for a new certificate or token"));
}

absl::StatusOr<Caller> Callers::OwnerOf(const std::string& pem) const {
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = owners_.find(pem); known != owners_.end()) return known->second;
  }
  const auto read = certificate::Parse(pem);
  if (!read.ok() || !read->identity)
    return absl::UnauthenticatedError(
        "the certificate does not say whom it is for: it needs a URI such as mixln:operator/ada among its "
        "subject alternative names");
  Caller caller{*read->identity, read->serial};
  const std::lock_guard lock(mutex_);
  if (owners_.size() >= kMostOwners) owners_.clear();
  owners_.emplace(pem, caller);
  return caller;
}

absl::StatusOr<Caller> Callers::Identify(const Metadata& metadata,
                                         const grpc::AuthContext& connection) const {
  Caller caller;
  const auto found = metadata.find("authorization");
  const auto shown = connection.FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  if (found != metadata.end()) {
    const std::string value(found->second.data(), found->second.size());
    const std::lock_guard lock(mutex_);
    const auto identity = absl::StartsWith(value, kBearer)
                              ? tokens_.Find(value.substr(sizeof kBearer - 1), absl::Now())
                              : std::nullopt;
    if (!identity) return absl::UnauthenticatedError("the token is not known here, or has ended");
    caller.identity = *identity;
  } else if (!shown.empty()) {
    return OwnerOf(std::string(shown.front().data(), shown.front().size()));
  } else {
    return absl::UnauthenticatedError("show a certificate or a token");
  }
  return caller;
}

}  // namespace mixln::services::access
