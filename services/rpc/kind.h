// What a message on a worker's stream says, in a word or two: the detail of its fail-points.
#pragma once

#include <string>

#include "mixln/v1/session.pb.h"

namespace mixln::services::rpc {

// The names of the fields that are set, as "reserve", or "heartbeat"; a batch of events tells their kinds,
// too, each once, as "events step_done checkpoint_done".
std::string Kind(const v1::CoordinatorMessage& message);
std::string Kind(const v1::WorkerMessage& message);
std::string Kind(const v1::EventBatch& batch);

}  // namespace mixln::services::rpc
