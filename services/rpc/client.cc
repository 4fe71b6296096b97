#include "services/rpc/client.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "base/version/version.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "services/rpc/limits.h"
#include "services/rpc/version.h"

namespace mixln::services::rpc {

std::shared_ptr<grpc::Channel> Connect(const std::string& address, const TlsFiles& tls) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMilliseconds);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMilliseconds);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  return grpc::CreateCustomChannel(address, tls.any() ? ClientTls(tls) : grpc::InsecureChannelCredentials(),
                                   arguments);
}

void Prepare(grpc::ClientContext& context, double deadline_seconds) {
  context.AddMetadata(kVersionKey, std::string(base::version::kVersion));
  if (deadline_seconds <= 0) return;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(static_cast<int64_t>(deadline_seconds * 1000)));
}

absl::Status CheckServerVersion(const grpc::ClientContext& context) {
  const auto& metadata = context.GetServerInitialMetadata();
  const auto found = metadata.find(kVersionKey);
  if (found == metadata.end())
    return absl::FailedPreconditionError(
        "what answers there does not say a MixLN version: is it a coordinator?");
  return CheckVersions({.coordinator = std::string(found->second.data(), found->second.size()),
                        .client = std::string(base::version::kVersion)});
}

std::string Explain(const grpc::Status& status) {
  std::string text = status.error_message();
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED)
    text = absl::StrCat("no answer in time (", text, ")");
  if (text.empty()) text = absl::StrCat("error of gRPC code ", static_cast<int>(status.error_code()));
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return text;
  for (const auto& detail : details.details()) {
    google::rpc::BadRequest bad_request;
    if (!detail.UnpackTo(&bad_request)) continue;
    for (const auto& violation : bad_request.field_violations())
      absl::StrAppend(&text, "\n  ", violation.field(), violation.field().empty() ? "" : ": ",
                      violation.description());
  }
  return text;
}

}  // namespace mixln::services::rpc
