// `version`: of this program, and of the coordinator where one answers.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "base/version/version.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/output.h"
#include "services/mixlnctl/session.h"

namespace mixln::services::mixlnctl {
namespace {

absl::StatusOr<int> Version(Session& session, OutputFormat format) {
  Io& io = session.io;
  const std::string own(base::version::kVersion);
  absl::StatusOr<v1::GetVersionResponse> server = absl::UnknownError("");
  std::string address;
  if (auto client = session.Connect(); client.ok()) {
    address = (*client)->target().address;
    server = (*client)->Call((*client)->workers(), &v1::WorkerAdminService::Stub::GetVersion,
                             v1::GetVersionRequest());
  } else {
    server = client.status();
  }
  if (format == OutputFormat::kTable) {
    io.out << "client       " << own << "\n";
    if (server.ok()) {
      io.out << "coordinator  " << server->version() << "  at " << address << ", cluster "
             << server->cluster_id() << ", term " << server->term() << "\n";
    } else {
      io.err << server.status().message() << "\n";
    }
    return kOk;
  }
  nlohmann::ordered_json json{{"client", own}, {"coordinator", nullptr}};
  if (server.ok()) {
    json["coordinator"] = {{"version", server->version()},
                           {"address", address},
                           {"cluster_id", server->cluster_id()},
                           {"term", absl::StrCat(server->term())}};
  } else {
    io.err << server.status().message() << "\n";
  }
  const std::string text = json.dump(1) + "\n";
  io.out << (format == OutputFormat::kYaml ? JsonToYaml(text) : text);
  return kOk;
}

}  // namespace

void AddVersionCommand(CLI::App& app, Session& session) {
  CLI::App* version =
      app.add_subcommand("version", "Version of this program and of the coordinator")->group("Help");
  auto format = std::make_shared<OutputFormat>(OutputFormat::kTable);
  AddOutputOption(version, format.get(), /*has_names=*/false);
  version->callback(
      [&session, format] { session.action = [&session, format] { return Version(session, *format); }; });
}

}  // namespace mixln::services::mixlnctl
