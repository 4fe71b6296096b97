// Which coordinator to talk to.
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"
#include "services/mixlnctl/io.h"
#include "services/rpc/tls.h"

namespace mixln::services::mixlnctl {

inline constexpr const char* kDefaultAddress = "127.0.0.1:7410";

// Flags of every command.
struct GlobalOptions {
  std::string coordinator = {};  // --coordinator HOST:PORT
  std::string context = {};      // --context NAME
  rpc::TlsFiles tls = {};        // --tls-certificate, --tls-key, --tls-ca, --token-file
};

struct Target {
  std::string address;  // host:port
  std::string origin;   // where that was said, for messages: "--coordinator", "MIXLN_COORDINATOR", …
  rpc::TlsFiles tls = {};
};

// ${XDG_STATE_HOME:-~/.local/state}/mixln.
std::filesystem::path DefaultStateFolder(const Io& io);
// ${XDG_CONFIG_HOME:-~/.config}/mixln/config.yaml.
std::filesystem::path ConfigFile(const Io& io);
// Where a coordinator that `up` started wrote its addresses.
std::filesystem::path CoordinatorAddressFile(const std::filesystem::path& state_folder);

// The first of: --coordinator, --context in the configuration file, MIXLN_COORDINATOR, that file's
// current-context, the address file of a local `up`, 127.0.0.1:7410. A context brings its own TLS files,
// anything else takes those of MIXLN_TLS_CERTIFICATE, MIXLN_TLS_KEY, MIXLN_TLS_CA and MIXLN_TOKEN_FILE; flags
// are above both. INVALID_ARGUMENT, with file and line, for a configuration file that cannot be read or has
// no such context.
absl::StatusOr<Target> ResolveTarget(const Io& io, const GlobalOptions& options);

}  // namespace mixln::services::mixlnctl
