#include "worker/trainer/cpu/memory.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string_view>

namespace mixln::worker::trainer::cpu {
namespace {

namespace fs = std::filesystem;

// The number that a file begins with, or that stands behind a name in it; none where there is none, as in
// "max".
std::optional<int64_t> NumberIn(const fs::path& path, std::string_view name = "") {
  std::ifstream file(path);
  int64_t number = 0;
  if (name.empty()) return file >> number ? std::optional(number) : std::nullopt;
  for (std::string word; file >> word; std::getline(file, word)) {
    if (word == name && file >> number) return number;
  }
  return {};
}

std::optional<int64_t> BytesIn(const fs::path& path, std::string_view name) {
  const auto kibibytes = NumberIn(path, name);
  return kibibytes ? std::optional(*kibibytes * 1024) : std::nullopt;
}

std::string LineOf(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// "/system.slice/mixln-worker.service" of the line "0::/system.slice/mixln-worker.service".
std::string CgroupIn(const fs::path& path) {
  constexpr std::string_view kVersion2 = "0::";
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(kVersion2)) return line.substr(kVersion2.size());
  }
  return {};
}

// What a cgroup leaves; none where it has no limit, as that at the root of a machine.
std::optional<int64_t> LeftIn(const fs::path& cgroup) {
  const auto limit = NumberIn(cgroup / "memory.max");
  const auto used = NumberIn(cgroup / "memory.current");
  if (!limit || !used) return {};
  const fs::path stat = cgroup / "memory.stat";
  const int64_t files =
      NumberIn(stat, "active_file").value_or(0) + NumberIn(stat, "inactive_file").value_or(0);
  return std::max<int64_t>(*limit - *used + files, 0);
}

// A number that no other cgroup of the machine has, however a process sees its path.
std::string Identity(const fs::path& cgroup) {
  struct stat status {};
  stat(cgroup.c_str(), &status);
  return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

}  // namespace

std::vector<Pool> Pools(const fs::path& proc, const fs::path& cgroups) {
  std::vector<Pool> pools;
  const std::string machine = "host/" + LineOf(proc / "sys/kernel/random/boot_id");
  if (const auto bytes = BytesIn(proc / "meminfo", "MemAvailable:")) {
    pools.push_back({machine, "on the host", *bytes});
  }
  const fs::path own = CgroupIn(proc / "self/cgroup");
  for (fs::path path = own; !path.empty(); path = path.parent_path()) {
    const fs::path cgroup = cgroups / path.relative_path();
    if (const auto bytes = LeftIn(cgroup)) {
      pools.push_back(
          {machine + "/" + Identity(cgroup), "within the limit of the cgroup " + path.string(), *bytes});
    }
    if (path == path.root_path()) break;
  }
  return pools;
}

int64_t AvailableBytes() {
  int64_t least = std::numeric_limits<int64_t>::max();
  for (const Pool& pool : Pools()) least = std::min(least, pool.available_bytes);
  return least;
}

int64_t PeakBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * int64_t{1024} - BytesIn("/proc/self/status", "RssShmem:").value_or(0) +
         BytesIn("/proc/self/smaps_rollup", "Pss_Shmem:").value_or(0);
}

}  // namespace mixln::worker::trainer::cpu
