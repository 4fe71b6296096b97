// The tests' own main, because the agent starts the program that it belongs to: as the rank's shim, and, for
// the tests that kill a daemon, as a daemon of their own.
#include <gtest/gtest.h>

#include <cstring>
#include <span>

#include "agent_host.h"
#include "worker/agent/rank_shim.h"

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], mixln::worker::agent::kRankShim) == 0)
    return mixln::worker::agent::RunRankShim(std::span(argv, static_cast<size_t>(argc)).subspan(2));
  if (argc == 4 && std::strcmp(argv[1], mixln::worker::agent::kHostAgent) == 0)
    return mixln::worker::agent::HostAgent(argv[2], argv[3]);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
