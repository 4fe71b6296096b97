#include "services/daemon/disk_gauges.h"

#include <prometheus/metric_family.h>

#include <cstdint>
#include <system_error>
#include <utility>

namespace mixln::services::daemon {
namespace {

void Sample(prometheus::MetricFamily& family, const std::string& folder, std::uintmax_t bytes) {
  prometheus::ClientMetric& metric = family.metric.emplace_back();
  metric.label = {{"folder", folder}};
  metric.gauge.value = static_cast<double>(bytes);
}

}  // namespace

std::vector<prometheus::MetricFamily> DiskGauges::Collect() const {
  prometheus::MetricFamily free{"mixln_disk_free_bytes",
                                "Bytes that this daemon may still write on the file system of its folder: "
                                "state, and a worker's artifacts.",
                                prometheus::MetricType::Gauge,
                                {}};
  prometheus::MetricFamily size{
      "mixln_disk_size_bytes", "Size of that file system.", prometheus::MetricType::Gauge, {}};
  for (const auto& [name, path] : folders_) {
    std::error_code error;
    const std::filesystem::space_info space = std::filesystem::space(path, error);
    if (error) continue;
    Sample(free, name, space.available);
    Sample(size, name, space.capacity);
  }
  if (free.metric.empty()) return {};
  return {std::move(free), std::move(size)};
}

}  // namespace mixln::services::daemon
