#include "worker/trainer/checkpoint/checkpoint_writer.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

namespace mixln::worker::trainer::checkpoint {
namespace {

double Seconds(const auto& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Training stands still for Start, and for AwaitCopy before the next update: at most for a twentieth of what
// a synchronous save takes. The disk is slow here, half a second for all of a checkpoint, so that the save's
// time does not depend on the machine; of several stalls the shortest counts, which a busy machine has not
// lengthened.
TEST(CheckpointWriter, StopsTrainingForATwentiethOfASynchronousSave) {
  const std::string attempt = testing::TempDir() + "/checkpoint-writer-" + std::to_string(getpid());
  const auto tensor = [] { return at::ones({100'000}); };
  const std::vector<engine::NamedState> states = {
      {"embed", {100'000}, 0, false, tensor(), tensor(), tensor()}};
  file::WriteOptions slow;
  slow.write = [](int fd, const void* data, size_t size) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // header, three tensors, manifest
    return write(fd, data, size);
  };
  Manifest manifest;
  manifest.spec_json = "{}";
  const double save = Seconds([&] { WriteCheckpoint(attempt, manifest, states, {}, slow); });
  ASSERT_GE(save, 0.5);
  CheckpointWriter writer(attempt, {}, slow);
  double stall = save;
  for (manifest.step = 1; manifest.step <= 3; ++manifest.step) {
    stall = std::min(stall, Seconds([&] {
                       writer.Start(manifest, states);
                       writer.AwaitCopy();
                     }));
    EXPECT_TRUE(writer.Wait());
  }
  EXPECT_LE(stall, 0.05 * save);
  std::filesystem::remove_all(attempt);
}

}  // namespace
}  // namespace mixln::worker::trainer::checkpoint
