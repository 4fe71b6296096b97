// The parent of one rank: `mixln-worker rank-shim`. It outlives the daemon that started it, so that a rank
// never lacks a parent that reaps it and records how it ended; a later daemon adopts both
// (docs/rank-contract.md).
//
// It promises: the rank never runs unless shim.json names it; the rank dies with the shim; exit.json appears
// only when the rank and all its descendants are gone; rank.lock is held from before the shim's first
// instruction until its last. Where the rank's folder has been deleted it ends without a record.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace mixln::worker::agent {

// The subcommand's name, argv[1] of the program.
inline constexpr char kRankShim[] = "rank-shim";

// What the agent runs: `program` rank-shim TRAINER CPUS, in the rank's folder and with rank.lock, locked, as
// descriptor kLockFd. CPUS: "0,1,2"; "-": no pinning.
inline constexpr int kLockFd = 3;
inline constexpr int kRendezvousFd = 4;
std::vector<std::string> ShimCommand(const std::string& program, const std::string& trainer,
                                     std::span<const int> cpus);

// The shim's main. `arguments` follow the subcommand's name. Returns the exit status: 0 once exit.json is
// written.
int RunRankShim(std::span<char* const> arguments);

}  // namespace mixln::worker::agent
