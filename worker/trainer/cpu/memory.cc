#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>

#include "worker/trainer/cpu/operations.h"

namespace mixln::worker::trainer::cpu {
namespace {

constexpr int64_t kAny = std::numeric_limits<int64_t>::max();

// A file that holds one number; kAny where there is none, or "max".
int64_t NumberIn(const std::string& path) {
  std::ifstream file(path);
  int64_t number = 0;
  return file >> number ? number : kAny;
}

// A line of kibibytes in a file of the kernel's; `otherwise` where there is none.
int64_t BytesIn(const char* path, std::string_view line, int64_t otherwise) {
  std::ifstream file(path);
  for (std::string name; file >> name;) {
    int64_t kibibytes = 0;
    if (name == line && file >> kibibytes) return kibibytes * 1024;
    std::getline(file, name);
  }
  return otherwise;
}

}  // namespace

// The system's available memory, or what this process's cgroup leaves.
int64_t AvailableBytes() {
  const int64_t limit = NumberIn("/sys/fs/cgroup/memory.max");
  const int64_t used = NumberIn("/sys/fs/cgroup/memory.current");
  const int64_t left = limit == kAny || used == kAny ? kAny : std::max<int64_t>(limit - used, 0);
  return std::min(BytesIn("/proc/meminfo", "MemAvailable:", kAny), left);
}

// What ranks share counts by this one's share of it.
int64_t PeakBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * int64_t{1024} - BytesIn("/proc/self/status", "RssShmem:", 0) +
         BytesIn("/proc/self/smaps_rollup", "Pss_Shmem:", 0);
}

}  // namespace mixln::worker::trainer::cpu
