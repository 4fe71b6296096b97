#include "services/daemon/metrics_server.h"

#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"

namespace mixln::services::daemon {
namespace {

constexpr size_t kThreads = 2;  // a scrape that hangs does not keep the next one waiting

}  // namespace

rpc::Exposure MetricsExposure(bool insecure_metrics) {
  return {.allowed = insecure_metrics,
          .remedy = "/metrics has none, so say with --insecure-metrics that everybody may read it"};
}

absl::StatusOr<MetricsServer> ServeMetrics(const std::string& listen, const rpc::Exposure& exposure,
                                           std::vector<std::shared_ptr<prometheus::Collectable>> series) {
  auto address = rpc::ParseListen(listen, exposure);
  if (!address.ok()) return address.status();
  // Debian builds the exposer's web server without IPv6.
  if (address->host.find(':') != std::string::npos)
    return absl::InvalidArgumentError(
        absl::StrCat("cannot serve /metrics on ", listen, ": give an IPv4 address, such as 127.0.0.1:7411"));
  if (address->host == "localhost") address->host = "127.0.0.1";
  // The exposer's own error does not say why.
  if (auto status = rpc::TryBind(*address); !status.ok()) return status;
  MetricsServer server;
  server.series = std::move(series);
  try {
    server.exposer = std::make_unique<prometheus::Exposer>(rpc::Format(*address), kThreads);
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat("cannot serve /metrics on ", listen, ": ", error.what()));
  }
  for (const auto& collectable : server.series) server.exposer->RegisterCollectable(collectable);
  address->port = server.exposer->GetListeningPorts().at(0);
  server.address = rpc::Format(*address);
  return server;
}

}  // namespace mixln::services::daemon
