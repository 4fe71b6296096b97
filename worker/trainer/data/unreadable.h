// How a rank ends that cannot read the prepared data.
#pragma once

#include "absl/status/status.h"

namespace mixln::worker::trainer::data {

// Throws what `problem`, of worker/shards, means: error::DataError for a file that is missing or is not what
// was prepared, and error::InputOutputError for one that a disk or a network does not let be read, which a
// retry may cure.
[[noreturn]] void ThrowUnreadable(const absl::Status& problem);

}  // namespace mixln::worker::trainer::data
