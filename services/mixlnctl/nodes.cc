// `nodes`: the workers and their slots.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/format.h"
#include "services/mixlnctl/output.h"
#include "services/mixlnctl/session.h"
#include "services/mixlnctl/table.h"
#include "services/mixlnctl/trial_text.h"

namespace mixln::services::mixlnctl {
namespace {

// "2 x CPU, 4 cores each", "8 × NVIDIA H200".
std::string Offer(const v1::Worker& worker) {
  if (worker.slots().empty()) return "-";
  const v1::Slot& slot = worker.slots(0);
  if (slot.device() == v1::DEVICE_GPU) return absl::StrCat(worker.slots_size(), " x ", slot.model());
  return absl::StrCat(worker.slots_size(), " x CPU, ", Plural(slot.cpus_size(), "core"), " each");
}

absl::StatusOr<int> Nodes(Session& session, OutputFormat format) {
  Io& io = session.io;
  auto client = session.Connect();
  if (!client.ok()) return client.status();
  auto list = (*client)->Call((*client)->workers(), &v1::WorkerAdminService::Stub::ListWorkers,
                              v1::ListWorkersRequest());
  if (!list.ok()) return list.status();
  if (IsMessageFormat(format)) {
    if (auto status = PrintMessage(io, format, *list); !status.ok()) return status;
    return kOk;
  }
  if (format == OutputFormat::kName) {
    for (const v1::Worker& worker : list->workers()) io.out << worker.id() << "\n";
    return kOk;
  }
  if (list->workers().empty()) {
    io.err << "no worker has connected yet: `mixlnctl up` starts one here; on another host, `mixln-worker "
              "--coordinator "
           << (*client)->target().address << "`\n";
    return kOk;
  }
  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const bool wide = format == OutputFormat::kWide;
  std::vector<Column> columns{{"WORKER"}, {"HOST"},      {"STATE"},  {"USED", Align::kRight},
                              {"SLOTS"},  {"HEARTBEAT"}, {"VERSION"}};
  // Said only where there is something to say.
  const bool reasons = std::any_of(list->workers().begin(), list->workers().end(),
                                   [](const v1::Worker& worker) { return !worker.reason().empty(); });
  if (reasons) columns.push_back({"REASON"});
  if (wide) columns.insert(columns.end(), {{"METRICS"}, {"STARTS", Align::kRight}, {"TRIALS"}});
  Table table(columns);
  for (const v1::Worker& worker : list->workers()) {
    int used = 0;
    std::string trials;
    for (const v1::Slot& slot : worker.slots()) {
      if (slot.trial_id().empty()) continue;
      ++used;
      absl::StrAppend(&trials, trials.empty() ? "" : ",", slot.trial_id());
    }
    std::string offer = Offer(worker);
    std::vector<std::string> row{wide ? worker.id() : ShortWorkerId(worker.id()),
                                 worker.hostname(),
                                 PaintState(WorkerStateName(worker.state()), io.out_style),
                                 absl::StrCat(used, "/", worker.slots_size()),
                                 std::move(offer),
                                 absl::StrCat(AgeText(worker.heartbeat_time(), now), " ago"),
                                 worker.version()};
    if (reasons) row.push_back(worker.reason().empty() ? "-" : worker.reason());
    if (wide) {
      row.insert(row.end(),
                 {worker.metrics_address(), absl::StrCat(worker.instance()), trials.empty() ? "-" : trials});
    }
    table.AddRow(std::move(row));
  }
  io.out << table.Render(io.out_style);
  return kOk;
}

}  // namespace

void AddNodesCommand(CLI::App& app, Session& session) {
  CLI::App* nodes =
      app.add_subcommand("nodes", "The workers, their slots and what runs on them")->group("Look");
  auto format = std::make_shared<OutputFormat>(OutputFormat::kTable);
  AddOutputOption(nodes, format.get());
  nodes->callback(
      [&session, format] { session.action = [&session, format] { return Nodes(session, *format); }; });
}

}  // namespace mixln::services::mixlnctl
