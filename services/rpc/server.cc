#include "services/rpc/server.h"

#include <string>

#include "base/version/version.h"
#include "services/rpc/limits.h"
#include "services/rpc/version.h"

namespace mixln::services::rpc {

void Configure(grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMilliseconds);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMilliseconds);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kKeepaliveMilliseconds / 2);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT,
                             0);  // else two coordinators would share a port unnoticed
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMilliseconds);
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
}

absl::Status CheckCaller(grpc::ServerContextBase& context) {
  context.AddInitialMetadata(kVersionKey, std::string(base::version::kVersion));
  const auto& metadata = context.client_metadata();
  if (const auto refused = metadata.find(kRefusedKey); refused != metadata.end())
    return absl::ResourceExhaustedError(std::string(refused->second.data(), refused->second.size()));
  const auto found = metadata.find(kVersionKey);
  if (found == metadata.end()) return absl::OkStatus();
  return CheckVersions({.coordinator = std::string(base::version::kVersion),
                        .client = std::string(found->second.data(), found->second.size())});
}

}  // namespace mixln::services::rpc
