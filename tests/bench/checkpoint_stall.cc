// bench-checkpoint FOLDER [ROUNDS]: how long training stands still for an asynchronous checkpoint of
// llama-71m, against a synchronous one, in turns. FOLDER is where checkpoints go, on the disk that matters;
// what is written there is removed.
//
// Prints one line a round and medians: the synchronous save; the stall, which is Start() and what the step
// behind it waits for the copy before its update; and that step against one without a save (both cores write
// and train then).
#include <ATen/Functions.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "worker/trainer/checkpoint/checkpoint_writer.h"
#include "worker/trainer/engine/engine.h"

namespace {

using namespace mixln::worker::trainer;

double Seconds(const auto& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

engine::EngineOptions Llama71M() {
  engine::EngineOptions options;
  options.vocab_size = 32000;
  options.hidden_size = 512;
  options.intermediate_size = 1368;
  options.layers = 12;
  options.heads = options.kv_heads = 8;
  options.context = 256;
  options.placements.assign(12, norm::Placement::kPre);
  options.bf16 = true;
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench-checkpoint FOLDER [ROUNDS]\n");
    return 64;
  }
  const std::string folder = std::string(argv[1]) + "/bench-checkpoint";
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  engine::Engine engine(Llama71M());
  const at::Tensor tokens = at::randint(32000, {1, 257}, at::kLong);
  checkpoint::Manifest manifest;
  manifest.spec_json = "{}";
  checkpoint::CheckpointWriter writer(folder);
  double waited = 0;
  const auto step = [&] {
    engine.ForwardBackward(tokens, at::Tensor(), 256);
    waited = Seconds([&] { writer.AwaitCopy(); });
    engine.Update(1e-4, false);
  };
  step();
  writer.Start(manifest, engine.States());  // the first one also takes the copy's memory
  writer.Wait();
  std::vector<double> saves, stalls, quiet, busy;
  for (int round = 1; round <= rounds; ++round) {
    manifest.step = 2 * round;
    saves.push_back(Seconds([&] { checkpoint::WriteCheckpoint(folder, manifest, engine.States(), {}, {}); }));
    quiet.push_back(Seconds(step));
    manifest.step = 2 * round + 1;
    stalls.push_back(Seconds([&] { writer.Start(manifest, engine.States()); }));
    busy.push_back(Seconds(step));
    stalls.back() += waited;
    writer.Wait();
    std::printf("save %.3f s   stall %.3f s (%.1f%%)   step %.3f s, during a save %.3f s\n", saves.back(),
                stalls.back(), 100 * stalls.back() / saves.back(), quiet.back(), busy.back());
    std::filesystem::remove_all(folder + "/checkpoints");
  }
  std::printf("median: save %.3f s, stall %.3f s: %.1f%%; step %.3f s, during a save %.3f s\n", Median(saves),
              Median(stalls), 100 * Median(stalls) / Median(saves), Median(quiet), Median(busy));
  std::filesystem::remove_all(folder);
}
