// The message that tells a worker all about its part of an attempt. Internal to control.
#pragma once

#include <string>

#include "mixln/v1/session.pb.h"
#include "mixln/v1/sweep.pb.h"

namespace mixln::coordinator::control {

v1::Reserve MakeReserve(const v1::Sweep& sweep, const v1::Trial& trial, const v1::Attempt& attempt,
                        const std::string& worker_id);

// Folder of the trial below the artifacts root: `<sweep's artifact_uri>/<index>`.
std::string TrialDir(const v1::Sweep& sweep, const v1::Trial& trial);

}  // namespace mixln::coordinator::control
