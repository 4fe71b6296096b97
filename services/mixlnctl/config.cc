#include "services/mixlnctl/config.h"

#include <yaml-cpp/yaml.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/file/durable.h"
#include "base/text/suggest.h"

namespace mixln::services::mixlnctl {
namespace {

std::filesystem::path UserFolder(const Io& io, const char* variable, const char* below_home) {
  if (const std::string folder = io.env(variable); !folder.empty()) return folder;
  const std::string home = io.env("HOME");
  return std::filesystem::path(home.empty() ? "." : home) / below_home;
}

rpc::TlsFiles FilesOfEnvironment(const Io& io) {
  return {.certificate = io.env("MIXLN_TLS_CERTIFICATE"),
          .key = io.env("MIXLN_TLS_KEY"),
          .authorities = io.env("MIXLN_TLS_CA"),
          .token = io.env("MIXLN_TOKEN_FILE")};
}

// The TLS files of a context; relative paths start at the configuration file's folder.
rpc::TlsFiles FilesOf(const YAML::Node& context, const std::filesystem::path& folder) {
  const auto path = [&](const char* key) -> std::filesystem::path {
    return context[key] ? folder / context[key].as<std::string>() : std::filesystem::path();
  };
  return {.certificate = path("tls-certificate"),
          .key = path("tls-key"),
          .authorities = path("tls-ca"),
          .token = path("token-file")};
}

// The address of a context in the configuration file; empty where neither the flag nor the file names one.
absl::StatusOr<Target> FromContext(const std::filesystem::path& file, const std::string& wanted) {
  auto text = base::ReadFile(file);
  if (absl::IsNotFound(text.status())) {
    if (wanted.empty()) return Target{};
    return absl::InvalidArgumentError(
        absl::StrCat("--context ", wanted, ": there is no configuration file ", file.string()));
  }
  if (!text.ok()) return text.status();
  try {
    const YAML::Node root = YAML::Load(*text);
    if (root.IsNull()) return Target{};
    if (!root.IsMap()) throw YAML::Exception(root.Mark(), "expected `current-context` and `contexts`");
    std::string name = wanted;
    if (name.empty() && root["current-context"]) name = root["current-context"].as<std::string>();
    if (name.empty()) return Target{};
    std::vector<std::string> known;
    for (const auto& entry : root["contexts"]) {
      known.push_back(entry.first.as<std::string>());
      if (known.back() != name) continue;
      if (!entry.second.IsMap() || !entry.second["coordinator"]) {
        throw YAML::Exception(entry.first.Mark(),
                              absl::StrCat("context ", name, " has no `coordinator: HOST:PORT`"));
      }
      return Target{entry.second["coordinator"].as<std::string>(), absl::StrCat("context ", name),
                    FilesOf(entry.second, file.parent_path())};
    }
    const std::string near = base::Suggest(name, known);
    return absl::InvalidArgumentError(
        absl::StrCat(file.string(), ": no context is called \"", name, "\"",
                     near.empty() ? "" : absl::StrCat("; did you mean \"", near, "\"?")));
  } catch (const YAML::Exception& error) {
    const int line = error.mark.is_null() ? 1 : error.mark.line + 1;
    return absl::InvalidArgumentError(absl::StrCat(file.string(), ":", line, ": ", error.msg));
  }
}

}  // namespace

std::filesystem::path DefaultStateFolder(const Io& io) {
  return UserFolder(io, "XDG_STATE_HOME", ".local/state") / "mixln";
}

std::filesystem::path ConfigFile(const Io& io) {
  return UserFolder(io, "XDG_CONFIG_HOME", ".config") / "mixln" / "config.yaml";
}

std::filesystem::path CoordinatorAddressFile(const std::filesystem::path& state_folder) {
  return state_folder / "run" / "coordinator.address";
}

namespace {

// All but the flags for TLS.
absl::StatusOr<Target> ResolveAddress(const Io& io, const GlobalOptions& options) {
  if (!options.coordinator.empty())
    return Target{options.coordinator, "--coordinator", FilesOfEnvironment(io)};
  if (!options.context.empty()) return FromContext(ConfigFile(io), options.context);
  if (const std::string address = io.env("MIXLN_COORDINATOR"); !address.empty()) {
    return Target{address, "MIXLN_COORDINATOR", FilesOfEnvironment(io)};
  }
  auto context = FromContext(ConfigFile(io), "");
  if (!context.ok() || !context->address.empty()) return context;
  if (auto text = base::ReadFile(CoordinatorAddressFile(DefaultStateFolder(io))); text.ok()) {
    const auto json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
    if (json.is_object() && json.contains("grpc") && json["grpc"].is_string()) {
      return Target{json["grpc"].get<std::string>(), "mixlnctl up", FilesOfEnvironment(io)};
    }
  }
  return Target{kDefaultAddress, "default", FilesOfEnvironment(io)};
}

}  // namespace

absl::StatusOr<Target> ResolveTarget(const Io& io, const GlobalOptions& options) {
  auto target = ResolveAddress(io, options);
  if (!target.ok()) return target;
  for (const auto file : {&rpc::TlsFiles::certificate, &rpc::TlsFiles::key, &rpc::TlsFiles::authorities,
                          &rpc::TlsFiles::token}) {
    if (!(options.tls.*file).empty()) target->tls.*file = options.tls.*file;
  }
  return target;
}

}  // namespace mixln::services::mixlnctl
