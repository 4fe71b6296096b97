// How far a preparation is.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace mixln::worker::tokenize {

struct Progress {
  // "waiting", "hashing", "training the tokenizer" or "tokenizing".
  std::string phase;
  // Bytes of source files read in this phase, as they lie on disk.
  uint64_t bytes = 0;
  // Of so many; 0 where the phase cannot say.
  uint64_t total_bytes = 0;
};

// Called often, also while nothing is done but waiting for another process, and from any thread, one call at
// a time.
using OnProgress = std::function<void(const Progress&)>;

}  // namespace mixln::worker::tokenize
