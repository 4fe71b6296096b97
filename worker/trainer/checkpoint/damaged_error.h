// A checkpoint that is not what was written.
#pragma once

#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::checkpoint {

// Files of it are missing, or their content is not what was written: no retry cures it, an older checkpoint
// may. (Where a disk or network does not let it be read at all, a plain InputOutputError says so.)
struct DamagedError : error::InputOutputError {
  using error::InputOutputError::InputOutputError;
};

}  // namespace mixln::worker::trainer::checkpoint
