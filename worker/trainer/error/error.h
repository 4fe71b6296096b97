// How a rank ends when it cannot go on: one exception type for each exit code of docs/rank-contract.md. Every
// what() is one sentence for people: what is wrong, where, and what to do.
#pragma once

#include <stdexcept>

namespace mixln::worker::trainer::error {

enum ExitCode : int {
  kFinished = 0,
  kBadConfig = 64,
  kBadData = 65,
  kInternal = 70,
  kOutOfMemory = 71,
  kPeerLost = 72,
  kInputOutput = 74,
  kStopped = 75,
  kDiverged = 76,
};

// trial.json, or what it asks for, makes no sense. Exit 64, FAILURE_CAUSE_BAD_CONFIG.
struct ConfigError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The prepared data cannot be used. Exit 65, FAILURE_CAUSE_DATA_ERROR.
struct DataError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Reading or writing failed, a corrupted checkpoint included: a retry, or an older checkpoint, may cure it.
// Exit 74, FAILURE_CAUSE_IO.
struct InputOutputError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// There is too little memory for what is asked. Exit 71, FAILURE_CAUSE_OUT_OF_MEMORY.
struct OutOfMemoryError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Another rank of the attempt is gone, or cannot be reached. Exit 72, FAILURE_CAUSE_PEER_LOST.
struct PeerLostError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The loss or the gradient is no longer a number. Exit 76, FAILURE_CAUSE_DIVERGED.
struct DivergedError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace mixln::worker::trainer::error
