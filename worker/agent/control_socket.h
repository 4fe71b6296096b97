// Sends one command to a rank's control socket.
#pragma once

#include <filesystem>
#include <string_view>

namespace mixln::worker::agent {

// Sends "stop", "checkpoint" or "alive" to `<folder>/control`. False when nobody listens there (yet, or any
// more).
bool SendControl(const std::filesystem::path& folder, std::string_view command);

}  // namespace mixln::worker::agent
