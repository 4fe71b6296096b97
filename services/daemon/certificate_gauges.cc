#include "services/daemon/certificate_gauges.h"

#include <prometheus/metric_family.h>

#include "base/file/durable.h"
#include "services/certificate/certificate.h"

namespace mixln::services::daemon {

std::vector<prometheus::MetricFamily> CertificateGauges::Collect() const {
  prometheus::MetricFamily end{"mixln_certificate_end_seconds",
                               "With TLS: when this daemon's certificate (own) and the first of its "
                               "authorities (ca) end, in seconds since 1970.",
                               prometheus::MetricType::Gauge,
                               {}};
  for (const auto& [name, path] :
       {std::pair{"own", &files_.certificate}, std::pair{"ca", &files_.authorities}}) {
    const auto pem = base::ReadFile(*path);
    if (!pem.ok()) continue;
    const auto certificate = certificate::Parse(*pem);
    if (!certificate.ok()) continue;
    prometheus::ClientMetric& metric = end.metric.emplace_back();
    metric.label = {{"certificate", name}};
    metric.gauge.value = static_cast<double>(absl::ToUnixSeconds(certificate->not_after));
  }
  if (end.metric.empty()) return {};
  return {std::move(end)};
}

}  // namespace mixln::services::daemon
