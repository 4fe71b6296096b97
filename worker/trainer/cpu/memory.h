// The host's memory: what there is, and what this process has of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace mixln::worker::trainer::cpu {

// Memory that processes have in common: a machine's, or as much of it as a cgroup allows.
struct Pool {
  std::string name;   // without blanks; the same for all processes that draw from it, and for no other pool
  std::string where;  // for people: "on the host", "within the limit of the cgroup
                      // /system.slice/mixln-worker.service"
  int64_t available_bytes = 0;
};

// All that this process draws from: the machine's, and those of its cgroup and the ones above that have a
// limit (version 2 of cgroups). What the kernel keeps of files there counts as available, as in MemAvailable:
// it gives that up.
std::vector<Pool> Pools(const std::filesystem::path& proc = "/proc",
                        const std::filesystem::path& cgroups = "/sys/fs/cgroup");

// The least that one of them has.
int64_t AvailableBytes();

// What ranks share counts by this one's share of it.
int64_t PeakBytes();

}  // namespace mixln::worker::trainer::cpu
