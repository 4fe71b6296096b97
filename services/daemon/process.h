// What every daemon does to its own process when it starts.
#pragma once

#include <csignal>
#include <filesystem>
#include <string>

namespace mixln::services::daemon {

// ${XDG_STATE_HOME:-~/.local/state}/mixln: where a daemon's state lies unless it is told otherwise.
std::filesystem::path StateHome();

// Log lines go to standard error and say `name`; gRPC keeps quiet, since its errors are reported by whom they
// concern.
void SetUpLog(const std::string& name);

// Blocks the signals that ask a daemon to stop, SIGTERM and SIGINT, and returns them for sigwait or signalfd;
// a peer that hangs up is an error of its call and no SIGPIPE. To be called before any thread starts, so that
// all inherit it.
sigset_t BlockStopSignals();

}  // namespace mixln::services::daemon
