// What the commands share: the world, the flags of every command, and the action that the command line chose.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "services/mixlnctl/client.h"
#include "services/mixlnctl/config.h"
#include "services/mixlnctl/io.h"

namespace CLI {
class App;
}

namespace mixln::services::mixlnctl {

// Does the work of a command; the exit code.
using Action = std::function<absl::StatusOr<int>()>;

struct Session {
  Io& io;
  GlobalOptions global = {};
  Action action = {};  // set by the command that was given

  absl::StatusOr<std::unique_ptr<Client>> Connect() const {
    auto target = ResolveTarget(io, global);
    if (!target.ok()) return target.status();
    return Client::Connect(*target);
  }
};

// Each adds its commands to the tree. A command's callback only sets session.action.
void AddLocalCommands(CLI::App& app, Session& session);      // up, down
void AddSetupCommand(CLI::App& app, Session& session);       // setup
void AddSubmitCommands(CLI::App& app, Session& session);     // submit, validate
void AddGetCommand(CLI::App& app, Session& session);         // get
void AddDescribeCommand(CLI::App& app, Session& session);    // describe
void AddLogsCommand(CLI::App& app, Session& session);        // logs
void AddFollowCommands(CLI::App& app, Session& session);     // watch, wait
void AddEndCommands(CLI::App& app, Session& session);        // cancel, delete
void AddPauseCommands(CLI::App& app, Session& session);      // pause, resume
void AddRetryCommand(CLI::App& app, Session& session);       // retry
void AddDrainCommands(CLI::App& app, Session& session);      // drain, undrain
void AddResultsCommand(CLI::App& app, Session& session);     // results
void AddCompareCommand(CLI::App& app, Session& session);     // compare
void AddReportCommand(CLI::App& app, Session& session);      // report
void AddExportCommand(CLI::App& app, Session& session);      // export
void AddNodesCommand(CLI::App& app, Session& session);       // nodes
void AddTopCommand(CLI::App& app, Session& session);         // top
void AddVersionCommand(CLI::App& app, Session& session);     // version
void AddCertsCommands(CLI::App& app, Session& session);      // certs
void AddTokensCommands(CLI::App& app, Session& session);     // tokens
void AddCompletionCommand(CLI::App& app, Session& session);  // completion

}  // namespace mixln::services::mixlnctl
