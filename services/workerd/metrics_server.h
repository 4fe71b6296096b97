// The worker's /metrics.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace mixln::services::workerd {

struct MetricsServer {
  std::string address;  // host:port as bound
  std::unique_ptr<prometheus::Exposer> exposer;
};

// Serves the series at `listen`, an IPv4 host:port; port 0: any free one. INVALID_ARGUMENT for what is no
// address, FAILED_PRECONDITION off the loopback (there is no TLS yet), UNAVAILABLE when the port is in use.
absl::StatusOr<MetricsServer> ServeMetrics(const std::string& listen,
                                           const std::shared_ptr<prometheus::Collectable>& series);

}  // namespace mixln::services::workerd
