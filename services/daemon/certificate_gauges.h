// Until when a daemon's certificates are good, for its /metrics.
#pragma once

#include <prometheus/collectable.h>

#include <utility>
#include <vector>

#include "services/rpc/tls.h"

namespace mixln::services::daemon {

class CertificateGauges : public prometheus::Collectable {
 public:
  explicit CertificateGauges(rpc::TlsFiles files) : files_(std::move(files)) {}

  // Reads the files at each scrape, as they may have been replaced; one that cannot be read has no series.
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const rpc::TlsFiles files_;
};

}  // namespace mixln::services::daemon
