// A rank's pulse: where it is, in a file of its folder that it has mapped, so that saying it costs a store
// and works while the rank is stuck. The agent reads the file and finds who hangs (hang.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace mixln::worker::pulse {

inline constexpr char kFile[] = "pulse";  // in the rank's folder

enum class Phase : uint64_t { kStarting = 0, kTraining = 1, kEvaluating = 2, kSaving = 3 };

struct Reading {
  Phase phase = Phase::kStarting;
  int64_t step = 0;         // the step it works at, from 1
  uint64_t collective = 0;  // collectives begun; ranks of an attempt begin the same ones in the same order
  uint64_t beats =
      0;  // anything else that shows life: micro-batches, waiting for others, looks at a full disk

  friend bool operator==(const Reading&, const Reading&) = default;
};

// For the agent, before it starts the rank: so one that never comes as far as Open is watched, too, and a
// full disk does not keep a rank from it. False with errno when that fails.
bool Make(const std::filesystem::path& file);

// For the rank, and for any of its threads. Before Open, the others do nothing.
// Maps the file, and makes it for a rank that was started by hand; false with errno when that fails.
bool Open(const std::filesystem::path& file);
void Enter(Phase phase, int64_t step);
// At least once in a second or two by a rank that waits for others, so that it is not taken for the one that
// hangs.
void Beat();
void BeginCollective();

// From now on each thread that gets kStackSignal writes its stack to standard error and goes on.
void LeaveStacksOnSignal();
extern const int kStackSignal;

// For the agent: what the file says; nothing while there is none.
std::optional<Reading> Read(const std::filesystem::path& file);

}  // namespace mixln::worker::pulse
