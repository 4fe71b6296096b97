// Which fields can be parameters of a sweep.
#pragma once

#include <optional>
#include <string>

namespace mixln::coordinator::sweep {

// Why the field at `path` cannot be a parameter and what to write instead; nullopt: it can.
std::optional<std::string> RefuseToSweep(const std::string& path);

}  // namespace mixln::coordinator::sweep
