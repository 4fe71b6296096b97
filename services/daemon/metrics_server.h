// A daemon's /metrics.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/rpc/address.h"

namespace mixln::services::daemon {

struct MetricsServer {
  std::string address;                                           // host:port as bound
  std::vector<std::shared_ptr<prometheus::Collectable>> series;  // the exposer keeps none alive
  std::unique_ptr<prometheus::Exposer> exposer;
};

// Whether /metrics, which has no TLS, may be reached from other machines: if somebody said so.
rpc::Exposure MetricsExposure(bool insecure_metrics);

// Serves the series at `listen`, an IPv4 host:port; port 0: any free one. INVALID_ARGUMENT for IPv6; else
// errors are rpc::ParseListen's and rpc::TryBind's.
absl::StatusOr<MetricsServer> ServeMetrics(const std::string& listen, const rpc::Exposure& exposure,
                                           std::vector<std::shared_ptr<prometheus::Collectable>> series);

}  // namespace mixln::services::daemon
