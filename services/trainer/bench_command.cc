#include "services/trainer/bench_command.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <iostream>

#include "base/preset/preset.h"
#include "worker/trainer/bench/bench.h"
#include "worker/trainer/device/plugin.h"
#include "worker/trainer/error/error.h"
#include "worker/trainer/fsdp/collectives.h"
#include "worker/trainer/loop/run.h"

namespace mixln::services::trainer {
namespace {

namespace bench = worker::trainer::bench;
namespace engine = worker::trainer::engine;
namespace fsdp = worker::trainer::fsdp;
namespace norm = worker::trainer::norm;

struct Choices {
  std::string preset = "llama-71m";
  std::string placement = "mix";
  std::string precision = "bf16";
  std::string device = "cpu";
  int gpu = 0;
  double alpha = 0.25;
  int steps = 10;
  bool json = false;
  bool serve = false;
  fsdp::RankOptions ranks;
};

// post for the first floor(α·L + ½) layers of mix, as a sweep file has it.
std::vector<norm::Placement> PlacementsOf(const Choices& choices, int64_t layers) {
  if (choices.placement != "mix") {
    return std::vector<norm::Placement>(static_cast<size_t>(layers), norm::ParsePlacement(choices.placement));
  }
  std::vector<norm::Placement> placements(static_cast<size_t>(layers), norm::Placement::kPre);
  const auto post = static_cast<int64_t>(std::floor(choices.alpha * static_cast<double>(layers) + 0.5));
  std::fill_n(placements.begin(), std::clamp<int64_t>(post, 0, layers), norm::Placement::kPost);
  return placements;
}

}  // namespace

int RunBench(int argc, char** argv) {
  CLI::App app("Trains a model on random tokens and says how fast that is, and where the time goes.",
               "mixln-trainer bench");
  Choices choices;
  bench::Work work;
  engine::EngineOptions& model = work.engine;
  model.vocab_size = 32000;
  app.add_option("--preset", choices.preset, "the model's shape")
      ->check(CLI::IsMember(base::preset::PresetNames()))
      ->capture_default_str();
  app.add_option("--hidden", model.hidden_size, "instead of the preset's");
  app.add_option("--intermediate", model.intermediate_size, "instead of the preset's");
  app.add_option("--layers", model.layers, "instead of the preset's");
  app.add_option("--heads", model.heads, "instead of the preset's");
  app.add_option("--vocab", model.vocab_size, "tokens in the vocabulary")->capture_default_str();
  app.add_option("--rows", work.rows, "sequences of a step")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--time", work.time, "tokens of a sequence")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--precision", choices.precision)
      ->check(CLI::IsMember({"bf16", "fp32"}))
      ->capture_default_str();
  app.add_option("--placement", choices.placement, "pre, post, mix, sandwich, …")->capture_default_str();
  app.add_option("--alpha", choices.alpha, "of mix")->check(CLI::Range(0.0, 1.0))->capture_default_str();
  app.add_option("--device", choices.device, "what it computes on")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  app.add_option("--gpu", choices.gpu, "the GPU's number, of cuda")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--threads", work.threads, "0: one a core")->capture_default_str();
  app.add_option("--steps", choices.steps, "measured")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_flag("--activation-checkpointing", model.activation_checkpointing);
  app.add_option("--measure-every", work.measure_every,
                 "steps between measurements of the layers, as trials make them; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--events", work.events, "file to append each step's event to, as trials do");
  app.add_flag("--json", choices.json, "one line for programs");
  app.add_flag("--serve", choices.serve, "train as many steps as each line of standard input says");
  app.add_option("--rank", choices.ranks.rank, "of several processes");
  app.add_option("--world-size", choices.ranks.world_size);
  app.add_option("--rendezvous", choices.ranks.rendezvous, "HOST:PORT where rank 0 listens");
  try {
    app.parse(argc - 1, argv + 1);
  } catch (const CLI::ParseError& problem) {
    return app.exit(problem) == 0 ? 0 : worker::trainer::error::ExitCode::kBadConfig;
  }
  const base::preset::Preset& preset = *base::preset::FindPreset(choices.preset);
  const auto fill = [](int64_t& size, int preset_size) {
    if (size == 0) size = preset_size;
  };
  fill(model.hidden_size, preset.hidden_size);
  fill(model.intermediate_size, preset.intermediate_size);
  fill(model.layers, preset.layers);
  fill(model.heads, preset.heads);
  model.kv_heads = model.heads;
  model.context = work.time;
  model.bf16 = choices.precision == "bf16";
  model.clip_norm = 1.0;
  choices.ranks.address = "127.0.0.1";
  choices.ranks.group = "bench";
  try {
    model.placements = PlacementsOf(choices, model.layers);
    if (choices.device == "cuda") work.device = &worker::trainer::device::OpenGpu(choices.gpu, false);
    const auto ranks = choices.ranks.world_size == 1 ? nullptr : fsdp::Connect(choices.ranks, *work.device);
    if (choices.serve) {
      bench::Serve(work, ranks.get(), std::cin, std::cout);
      return worker::trainer::error::ExitCode::kFinished;
    }
    const bench::Report report = bench::Measure(work, choices.steps, ranks.get());
    if (choices.json) {
      bench::PrintJson(work, report, std::cout);
    } else if (choices.ranks.rank == 0) {
      bench::Print(work, report, std::cout);
    }
    return worker::trainer::error::ExitCode::kFinished;
  } catch (const std::exception& problem) {
    std::cerr << "mixln-trainer bench: " << problem.what() << '\n';
    return worker::trainer::loop::EndingOf(problem).exit_code;
  }
}

}  // namespace mixln::services::trainer
