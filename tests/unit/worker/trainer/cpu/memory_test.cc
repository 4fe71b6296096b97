#include "worker/trainer/cpu/memory.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "worker/trainer/cpu/device.h"

namespace mixln::worker::trainer::cpu {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;

// A machine whose kernel's files are written here, as docs.kernel.org/admin-guide/cgroup-v2.html describes
// them.
class PoolsTest : public testing::Test {
 protected:
  PoolsTest() : folder_(testing::TempDir() + "/pools-" + std::to_string(getpid())) {
    std::filesystem::remove_all(folder_);
    Write("proc/sys/kernel/random/boot_id", "0e7c\n");
    Write("proc/meminfo", "MemTotal:   9000 kB\nMemFree:    100 kB\nMemAvailable:   4000 kB\n");
    Write("proc/self/cgroup", "4:memory:/old\n0::/system.slice/worker.service\n");
  }
  ~PoolsTest() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((folder_ / path).parent_path());
    std::ofstream(folder_ / path) << text;
  }
  void Limit(const std::string& cgroup, const std::string& most, const std::string& used,
             const std::string& stat = "") {
    Write("cgroups/" + cgroup + "/memory.max", most + "\n");
    Write("cgroups/" + cgroup + "/memory.current", used + "\n");
    Write("cgroups/" + cgroup + "/memory.stat", stat);
  }
  std::vector<Pool> Read() { return Pools(folder_ / "proc", folder_ / "cgroups"); }

  std::filesystem::path folder_;
};

auto Is(const std::string& where, int64_t bytes) {
  return AllOf(Field(&Pool::where, where), Field(&Pool::available_bytes, bytes));
}

TEST_F(PoolsTest, AreTheHostsAndThoseOfEachCgroupWithALimit) {
  Limit("system.slice", "max", "5000");
  Limit("system.slice/worker.service", "max", "5000");
  EXPECT_THAT(Read(), ElementsAre(Is("on the host", 4'096'000)));
  Limit("system.slice/worker.service", "1000", "400");
  Limit("system.slice", "6000", "5500");
  EXPECT_THAT(Read(), ElementsAre(Is("on the host", 4'096'000),
                                  Is("within the limit of the cgroup /system.slice/worker.service", 600),
                                  Is("within the limit of the cgroup /system.slice", 500)));
}

TEST_F(PoolsTest, AContainersLimitIsThatOfTheRootThatItSees) {
  Write("proc/self/cgroup", "0::/\n");
  Limit("", "1000", "400");
  EXPECT_THAT(Read(), ElementsAre(Is("on the host", 4'096'000), Is("within the limit of the cgroup /", 600)));
}

TEST_F(PoolsTest, FilesThatTheKernelKeepsAreAvailable) {
  Limit("system.slice/worker.service", "1000", "950",
        "anon 100\nfile 850\nshmem 50\nactive_file 300\ninactive_file 500\n");
  EXPECT_EQ(Read().back().available_bytes, 850);
  Limit("system.slice/worker.service", "1000", "1100");  // a limit that was lowered
  EXPECT_EQ(Read().back().available_bytes, 0);
}

TEST_F(PoolsTest, HaveTheSameNameForAllThatDrawFromThem) {
  Limit("system.slice/worker.service", "1000", "400");
  Limit("system.slice/worker.service/rank", "900", "400");
  const auto outer = Read();
  Write("proc/self/cgroup", "0::/system.slice/worker.service/rank\n");
  const auto inner = Read();
  EXPECT_EQ(inner.front().name, outer.front().name);
  EXPECT_EQ(inner.back().name, outer.back().name);
  EXPECT_NE(inner[1].name, inner[2].name);
  // A container sees its own cgroup, or one above it, as the root.
  Write("proc/self/cgroup", "0::/worker.service\n");
  std::filesystem::create_directory_symlink(folder_ / "cgroups/system.slice", folder_ / "container");
  EXPECT_EQ(Pools(folder_ / "proc", folder_ / "container").back().name, outer.back().name);
  Write("proc/sys/kernel/random/boot_id", "another machine\n");
  EXPECT_NE(Read().front().name, outer.front().name);
}

TEST_F(PoolsTest, WithoutCgroupsThereIsTheHosts) {
  std::filesystem::remove(folder_ / "proc/self/cgroup");
  EXPECT_THAT(Read(), ElementsAre(Is("on the host", 4'096'000)));
}

TEST(Pools, ThisMachineHasSome) {
  EXPECT_GT(Cpu().available_bytes(), 1'000'000);
}

}  // namespace
}  // namespace mixln::worker::trainer::cpu
