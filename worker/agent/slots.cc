#include "worker/agent/slots.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "base/file/durable.h"

namespace mixln::worker::agent {
namespace {

std::string CpuModel() {
  const auto text = base::ReadFile("/proc/cpuinfo");
  if (!text.ok()) return "CPU";
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);)
    if (line.rfind("model name", 0) == 0 && line.find(": ") != std::string::npos)
      return line.substr(line.find(": ") + 2);
  return "CPU";
}

}  // namespace

Machine ReadMachine() {
  Machine machine;
  machine.gpus = FindGpus();
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &allowed)) machine.cpus.push_back(cpu);
  machine.cpu_model = CpuModel();
  machine.memory_bytes = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
  return machine;
}

absl::StatusOr<std::vector<v1::Slot>> MakeSlots(const Machine& machine, int count) {
  const bool on_gpus = !machine.gpus.empty();
  const int cores = static_cast<int>(machine.cpus.size());
  const int most = on_gpus ? static_cast<int>(machine.gpus.size()) : std::max(1, cores);
  if (count < 0 || count > most)
    return absl::InvalidArgumentError(absl::StrCat("--slots ", count, ": this machine can offer 1 to ", most,
                                                   " slots, one a ", on_gpus ? "GPU" : "CPU core"));
  if (count == 0) count = on_gpus ? most : std::min(2, most);
  std::vector<v1::Slot> slots;
  for (int i = 0; i < count; ++i) {
    v1::Slot& slot = slots.emplace_back();
    slot.set_index(i);
    slot.set_device(on_gpus ? v1::DEVICE_GPU : v1::DEVICE_CPU);
    slot.set_model(on_gpus ? machine.gpus[static_cast<size_t>(i)].model : machine.cpu_model);
    slot.set_gpu(on_gpus ? machine.gpus[static_cast<size_t>(i)].index : -1);
    slot.set_memory_bytes(on_gpus ? machine.gpus[static_cast<size_t>(i)].memory_bytes
                                  : machine.memory_bytes / count);
    for (int core = cores * i / count; core < cores * (i + 1) / count; ++core)
      slot.add_cpus(machine.cpus[static_cast<size_t>(core)]);
  }
  return slots;
}

}  // namespace mixln::worker::agent
