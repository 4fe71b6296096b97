// How much room the folders of a daemon have, for its /metrics.
#pragma once

#include <prometheus/collectable.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace mixln::services::daemon {

class DiskGauges : public prometheus::Collectable {
 public:
  // By the name that their series carry in the label `folder`, as "state".
  using Folders = std::map<std::string, std::filesystem::path>;
  explicit DiskGauges(Folders folders) : folders_(std::move(folders)) {}

  // Free and total bytes of each folder's file system; a folder that cannot be asked has no series.
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const Folders folders_;
};

}  // namespace mixln::services::daemon
