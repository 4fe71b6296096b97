// `drain` and `undrain`.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>

#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/format.h"
#include "services/mixlnctl/lookup.h"
#include "services/mixlnctl/session.h"
#include "services/mixlnctl/trial_text.h"

namespace mixln::services::mixlnctl {
namespace {

struct DrainOptions {
  std::vector<std::string> names;
  std::string reason;
};

absl::StatusOr<int> Drain(Session& session, const DrainOptions& options, bool undo) {
  auto client = session.Connect();
  if (!client.ok()) return client.status();
  std::vector<v1::Worker> workers;
  for (const std::string& name : options.names) {
    auto worker = FindWorker(**client, name);
    if (!worker.ok()) return worker.status();
    workers.push_back(*std::move(worker));
  }
  for (const v1::Worker& worker : workers) {
    v1::DrainWorkerRequest request;
    request.set_worker_id(worker.id());
    request.set_undo(undo);
    request.set_reason(options.reason);
    const auto done = (*client)->CallUntilAnswered((*client)->workers(),
                                                   &v1::WorkerAdminService::Stub::DrainWorker, request);
    if (!done.ok()) return done.status();
    const std::string id = ShortWorkerId(worker.id());
    if (undo) {
      session.io.err << "worker " << id << " on " << worker.hostname() << " is back in service\n";
      continue;
    }
    const auto busy = std::count_if(done->slots().begin(), done->slots().end(),
                                    [](const v1::Slot& slot) { return !slot.trial_id().empty(); });
    session.io.err << "draining worker " << id << " on " << worker.hostname()
                   << ": it takes nothing new, and " << Plural(busy, "running rank")
                   << (busy == 1 ? " stops with a checkpoint and goes" : " stop with a checkpoint and go")
                   << " elsewhere; `mixlnctl undrain " << id << "` takes it back\n";
  }
  return kOk;
}

}  // namespace

void AddDrainCommands(CLI::App& app, Session& session) {
  auto options = std::make_shared<DrainOptions>();
  for (const bool undo : {false, true}) {
    CLI::App* command = app.add_subcommand(undo ? "undrain" : "drain",
                                           undo ? "Take drained workers back into service"
                                                : "Take workers out of service; trials go elsewhere")
                            ->group("Run");
    command->add_option("node", options->names, "Workers, by id or host name; `mixlnctl nodes` lists them")
        ->type_name("NODE")
        ->required();
    if (!undo) {
      command->add_option("--reason", options->reason, "Why, for others to read in `mixlnctl nodes`")
          ->type_name("TEXT");
    }
    command->callback([&session, options, undo] {
      session.action = [&session, options, undo] { return Drain(session, *options, undo); };
    });
  }
}

}  // namespace mixln::services::mixlnctl
