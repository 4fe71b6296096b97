// Runs the simulator: simulate [--seed FIRST] [--count N] [--crowd | --mutation
// none|send-before-commit|no-fence]
// [--expect-violation]. Prints what broke and the command that replays it; ends with 1 then.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "crowd.h"
#include "world.h"

int main(int argc, char** argv) {
  using mixln::simulation::Mutation;
  CLI::App app{"Simulates the control plane under faults, from seeds."};
  uint64_t first = 1;
  uint64_t count = 1000;
  Mutation mutation = Mutation::kNone;
  bool crowd = false;
  bool expected = false;
  const std::map<std::string, Mutation> names = {{"none", Mutation::kNone},
                                                 {"send-before-commit", Mutation::kSendBeforeCommit},
                                                 {"no-fence", Mutation::kNoFence}};
  app.add_option("--seed", first, "the first seed");
  app.add_option("--count", count, "how many seeds from there");
  app.add_option("--mutation", mutation, "a rule to leave out")->transform(CLI::CheckedTransformer(names));
  app.add_flag("--crowd", crowd, "more work than slots and no faults, instead of a world with faults");
  app.add_flag("--expect-violation", expected, "succeed only when an invariant breaks");
  CLI11_PARSE(app, argc, argv);
  spdlog::set_level(spdlog::level::off);

  double seconds = 0;
  int trials = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    std::unique_ptr<mixln::simulation::Scenario> scenario;
    if (crowd) {
      scenario = std::make_unique<mixln::simulation::Crowd>(seed);
    } else {
      scenario = std::make_unique<mixln::simulation::World>(seed, mutation);
    }
    try {
      scenario->Run();
    } catch (const std::exception& violation) {
      std::printf("seed %llu, after %.3f s: %s\n", static_cast<unsigned long long>(seed), scenario->seconds(),
                  violation.what());
      std::string name;
      for (const auto& [n, m] : names)
        if (m == mutation) name = n;
      std::printf("replay: %s --seed %llu --count 1 %s\n", argv[0], static_cast<unsigned long long>(seed),
                  crowd ? "--crowd" : ("--mutation " + name).c_str());
      return expected ? 0 : 1;
    }
    seconds += scenario->seconds();
    trials += scenario->trials();
  }
  std::printf("%llu seeds held: %d trials ended in %.0f virtual hours\n",
              static_cast<unsigned long long>(count), trials, seconds / 3600);
  return expected ? 1 : 0;
}
