#include "services/mixlnctl/client.h"

#include <chrono>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/backoff/backoff.h"

namespace mixln::services::mixlnctl {
namespace {

using Clock = std::chrono::steady_clock;

// The last part of gRPC's chain of reasons: "… Failed to connect to remote host: Connection refused".
std::string ShortReason(const std::string& message) {
  const size_t colon = message.rfind(": ");
  std::string reason = colon == std::string::npos ? message : message.substr(colon + 2);
  if (!reason.empty()) reason[0] = absl::ascii_tolower(static_cast<unsigned char>(reason[0]));
  return reason;
}

// Whether the call failed for want of a connection, rather than by a server's own UNAVAILABLE.
bool NeverArrived(const std::string& message) {
  for (const char* sign : {"to connect", "onnection", "DNS", "ocket", "resol", "GOAWAY"}) {
    if (message.find(sign) != std::string::npos) return true;
  }
  return false;
}

absl::Status NobodyAnswers(const Target& target, const std::string& reason) {
  const bool obvious =
      target.origin == "default" || target.origin == "--coordinator" || target.origin == "mixlnctl up";
  const std::string said = obvious ? "" : absl::StrCat(", which ", target.origin, " names");
  std::string advice = "start one with `mixlnctl up`, or name another with --coordinator";
  if (target.tls.any()) {
    advice = "is one there, does it serve TLS, and does its --tls-ca vouch for your certificate?";
  } else if (!absl::StrContains(reason, "refused")) {
    absl::StrAppend(&advice, "; one that serves TLS wants --tls-certificate, --tls-key and --tls-ca");
  }
  return absl::UnavailableError(
      absl::StrCat("no coordinator answers at ", target.address, said, " (", reason, "): ", advice));
}

}  // namespace

Client::Client(Target target, std::shared_ptr<grpc::Channel> channel)
    : target_(std::move(target)),
      channel_(std::move(channel)),
      sweeps_(v1::SweepService::NewStub(channel_)),
      trials_(v1::TrialService::NewStub(channel_)),
      workers_(v1::WorkerAdminService::NewStub(channel_)) {}

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(const Target& target) {
  if (target.tls.any()) {
    if (auto status = rpc::CheckTls(target.tls, certificate::Use::kClient); !status.ok()) return status;
  }
  auto channel = rpc::Connect(target.address, target.tls);
  const auto deadline = std::chrono::system_clock::now() +
                        std::chrono::milliseconds(static_cast<int64_t>(kConnectSeconds * 1000));
  auto state = channel->GetState(/*try_to_connect=*/true);
  while (state != GRPC_CHANNEL_READY && state != GRPC_CHANNEL_TRANSIENT_FAILURE) {
    if (!channel->WaitForStateChange(state, deadline)) {
      return NobodyAnswers(target, absl::StrCat("nothing within ", kConnectSeconds, " s"));
    }
    state = channel->GetState(/*try_to_connect=*/true);
  }
  std::unique_ptr<Client> client(new Client(target, std::move(channel)));
  if (state == GRPC_CHANNEL_READY) return client;
  // A failed connection does not say why; a call over it does.
  grpc::ClientContext context;
  rpc::Prepare(context, kConnectSeconds);
  v1::GetVersionResponse response;
  const grpc::Status status = client->workers_->GetVersion(&context, {}, &response);
  if (status.ok()) return client;
  return client->Error(status);
}

absl::Status Client::Error(const grpc::Status& status) const {
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE && NeverArrived(status.error_message())) {
    return NobodyAnswers(target_, ShortReason(status.error_message()));
  }
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
    return absl::UnimplementedError(absl::StrCat(
        "what answers at ", target_.address, " is no coordinator of this release: ", status.error_message()));
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return absl::DeadlineExceededError(absl::StrCat("the coordinator at ", target_.address,
                                                    " did not answer within ", kCallSeconds,
                                                    " s: try again, or look at its log"));
  }
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), rpc::Explain(status));
}

Client::Retries::Retries()
    : end_(Clock::now() + std::chrono::milliseconds(static_cast<int64_t>(kCallSeconds * 1000))) {}

bool Client::Retries::Wait() {
  const auto delay = base::Backoff({}, count_++, /*draw=*/0);
  if (Clock::now() + delay > end_) return false;
  std::this_thread::sleep_for(delay);
  return true;
}

}  // namespace mixln::services::mixlnctl
