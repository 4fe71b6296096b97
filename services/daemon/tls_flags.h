// The flags by which both daemons are told of their certificates.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "services/rpc/tls.h"

namespace mixln::services::daemon {

// --tls-certificate, --tls-key and --tls-ca, each also by its environment variable. `whose`: "this worker's".
void AddTlsFlags(CLI::App& app, rpc::TlsFiles& tls, const std::string& whose);

}  // namespace mixln::services::daemon
