// Where the ranks of an attempt meet: a socket that rank 0's agent binds and hands down.
#pragma once

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/file/unique_fd.h"

namespace mixln::worker::agent {

// A socket that listens on this IPv4 address, at a port of the system's choosing, and its host:port. Its
// number is 10 or more, out of the way of the numbers that children get.
absl::StatusOr<std::pair<base::UniqueFd, std::string>> ListenForRanks(const std::string& own_address);

}  // namespace mixln::worker::agent
