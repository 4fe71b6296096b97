// Runs the simulator: simulate [--seed FIRST] [--count N] [--crowd | --outage] [--mutation NAME]
// [--trace] [--expect-violation TEXT]. Prints what broke and the command that replays it; ends with 1 then.
// With
// --expect-violation it ends with 0 only if the first thing that breaks is an invariant with TEXT in its
// words.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "crowd.h"
#include "outage.h"
#include "world.h"

namespace {

using mixln::simulation::Mutation;
using mixln::simulation::Scenario;

struct Options {
  uint64_t first = 1;
  uint64_t count = 1000;
  Mutation mutation = Mutation::kNone;
  bool crowd = false;
  bool outage = false;
  bool trace = false;
  std::string expected;
};

const std::map<std::string, Mutation> kMutations = {
    {"none", Mutation::kNone},
    {"send-before-commit", Mutation::kSendBeforeCommit},
    {"no-fence", Mutation::kNoFence},
    {"early-acks", Mutation::kEarlyAcks},
    {"checkpoint-before-curve", Mutation::kCheckpointBeforeCurve},
    {"no-keep", Mutation::kNoKeep}};

std::unique_ptr<Scenario> Make(const Options& options, uint64_t seed) {
  if (options.crowd) return std::make_unique<mixln::simulation::Crowd>(seed, options.mutation);
  if (options.outage) return std::make_unique<mixln::simulation::Outage>(seed);
  return std::make_unique<mixln::simulation::World>(seed, options.mutation);
}

void PrintReplay(const char* program, const Options& options, uint64_t seed) {
  std::string flags = options.crowd ? " --crowd" : options.outage ? " --outage" : "";
  for (const auto& [name, mutation] : kMutations) {
    if (mutation == options.mutation && mutation != Mutation::kNone) flags += " --mutation " + name;
  }
  std::printf("replay: %s --seed %llu --count 1%s\n", program, static_cast<unsigned long long>(seed),
              flags.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Simulates the control plane under faults, from seeds."};
  Options options;
  app.add_option("--seed", options.first, "the first seed");
  app.add_option("--count", options.count, "how many seeds from there");
  app.add_option("--mutation", options.mutation, "a rule to leave out")
      ->transform(CLI::CheckedTransformer(kMutations));
  auto* crowd = app.add_flag("--crowd", options.crowd, "more work than slots and no faults");
  app.add_flag("--outage", options.outage, "only the coordinator has faults")->excludes(crowd);
  app.add_flag("--trace", options.trace, "print what happens: for the replay of a seed");
  app.add_option("--expect-violation", options.expected,
                 "succeed only when a seed breaks an invariant that says this");
  CLI11_PARSE(app, argc, argv);
  spdlog::set_level(spdlog::level::off);

  double seconds = 0;
  int trials = 0;
  for (uint64_t seed = options.first; seed < options.first + options.count; ++seed) {
    const std::unique_ptr<Scenario> scenario = Make(options, seed);
    if (options.trace) scenario->Trace();
    try {
      scenario->Run();
    } catch (const mixln::simulation::Violation& violation) {
      const std::string what = violation.what();
      std::printf("seed %llu, after %.3f s: %s\n", static_cast<unsigned long long>(seed), scenario->seconds(),
                  what.c_str());
      PrintReplay(argv[0], options, seed);
      if (options.expected.empty()) return 1;
      if (what.find(options.expected) != std::string::npos) return 0;
      continue;  // a rule that is left out may break others first
    } catch (const std::exception& error) {
      std::printf("seed %llu, after %.3f s, no invariant broke, but: %s\n",
                  static_cast<unsigned long long>(seed), scenario->seconds(), error.what());
      PrintReplay(argv[0], options, seed);
      return 1;
    }
    seconds += scenario->seconds();
    trials += scenario->trials();
  }
  if (!options.expected.empty()) {
    std::printf("no seed broke what says: %s\n", options.expected.c_str());
    return 1;
  }
  std::printf("%llu seeds held: %d trials ended in %.0f virtual hours\n",
              static_cast<unsigned long long>(options.count), trials, seconds / 3600);
  return 0;
}
