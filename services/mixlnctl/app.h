// The command tree of mixlnctl, and what runs it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "services/mixlnctl/session.h"

namespace mixln::services::mixlnctl {

// The whole tree; `session` must outlive it.
std::unique_ptr<CLI::App> BuildApp(Session& session);

// Runs one command line (without the program's name) and returns the exit code. Help goes to standard output,
// errors to standard error; a misspelt command or flag is answered with the nearest one.
int Run(const std::vector<std::string>& arguments, Io& io);

}  // namespace mixln::services::mixlnctl
