// How a rank ended, from what it left in its folder.
#pragma once

#include <filesystem>

#include "worker/session/attempt.h"

namespace mixln::worker::agent {

// Reads exit.json, the last event and the log of a rank that is gone, by the table of docs/rank-contract.md.
// The message goes on after the rank's name: "exited with code 71: ...", "was killed by signal 9 (SIGKILL)".
// One that was killed while the kernel killed for want of memory is OUT_OF_MEMORY, unless it was the agent
// that killed it, which is no failure of its own. A rank that says by a `failed` event why it ends is
// believed; of another the message has the last 20 lines of its log, 2,000 characters at most. That of a
// diverged one, which is a result, is the event's sentence alone.
session::RankEnd ReadRankEnd(const std::filesystem::path& folder);

// The failure that a trainer's or mixln-prepare's exit code stands for.
v1::FailureCause CauseOfExitCode(int code);

}  // namespace mixln::worker::agent
