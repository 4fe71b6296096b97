#include "worker/trainer/loop/resume.h"

#include "worker/trainer/checkpoint/checkpoint_reader.h"
#include "worker/trainer/checkpoint/damaged_error.h"
#include "worker/trainer/huggingface/import_model.h"
#include "worker/trainer/loop/say.h"
#include "worker/trainer/loop/setup.h"

namespace mixln::worker::trainer::loop {
namespace {

Progress LoadUndamaged(const std::string& folder, const config::TrialConfig& config,
                       const device::Device& device, int64_t windows, engine::Engine& engine) {
  const checkpoint::Manifest manifest = checkpoint::ReadManifest(folder);
  const checkpoint::Manifest trial = MakeManifest(config, device, windows, manifest.step, manifest.tokens);
  const auto differences = checkpoint::Compare(folder, manifest, trial);
  checkpoint::Load(folder, manifest, engine.States());
  engine.StatesWritten();
  engine.set_updates(manifest.step);
  for (const std::string& difference : differences) Say("%s", difference.c_str());
  return {.step = manifest.step,
          .tokens = manifest.tokens,
          .folder = folder,
          .loss_history = manifest.loss_history};
}

Progress LoadFrom(const std::string& folder, const config::TrialConfig& config, const device::Device& device,
                  int64_t windows, engine::Engine& engine, const OnDamaged& damaged) {
  try {
    return LoadUndamaged(folder, config, device, windows, engine);
  } catch (const checkpoint::DamagedError&) {
    damaged(folder);
    throw;
  }
}

}  // namespace

Progress Resume(const config::TrialConfig& config, const device::Device& device, int64_t vocab_size,
                int64_t windows, engine::Engine& engine, const OnDamaged& damaged) {
  for (const std::string& folder : checkpoint::ListCheckpoints(config.attempt_dir)) {
    try {
      Progress progress = LoadFrom(folder, config, device, windows, engine, damaged);
      progress.own = true;
      return progress;
    } catch (const checkpoint::DamagedError& problem) {
      Say("%s; trying the checkpoint before it", problem.what());
    }
  }
  if (!config.resume_from.empty())
    return LoadFrom(config.resume_from, config, device, windows, engine, damaged);
  Progress fresh;
  fresh.folder = config.spec.init.from;
  if (!fresh.folder.empty()) {
    huggingface::ImportModel(
        fresh.folder, huggingface::ConfigOf(config.spec_json, config.spec.norm.layer_placements, vocab_size),
        engine.States());
    engine.StatesWritten();
  }
  return fresh;
}

}  // namespace mixln::worker::trainer::loop
