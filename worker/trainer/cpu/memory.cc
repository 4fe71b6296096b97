#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

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

int64_t SystemAvailable() {
  std::ifstream file("/proc/meminfo");
  for (std::string name; file >> name;) {
    int64_t kibibytes = 0;
    if (name == "MemAvailable:" && file >> kibibytes) return kibibytes * 1024;
    std::getline(file, name);
  }
  return kAny;
}

}  // namespace

// The system's available memory, or what this process's cgroup leaves.
int64_t AvailableBytes() {
  const int64_t limit = NumberIn("/sys/fs/cgroup/memory.max");
  const int64_t used = NumberIn("/sys/fs/cgroup/memory.current");
  const int64_t left = limit == kAny || used == kAny ? kAny : std::max<int64_t>(limit - used, 0);
  return std::min(SystemAvailable(), left);
}

int64_t PeakBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * int64_t{1024};
}

}  // namespace mixln::worker::trainer::cpu
