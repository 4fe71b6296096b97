#include "services/coordinatord/sweep_service.h"

#include <chrono>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/failpoint/failpoint.h"
#include "coordinator/results/compare.h"
#include "coordinator/state/trials.h"
#include "coordinator/sweep/expand.h"
#include "coordinator/sweep/validate.h"
#include "services/coordinatord/page.h"
#include "services/coordinatord/trial_view.h"
#include "services/rpc/server.h"
#include "services/rpc/status.h"

namespace mixln::services::coordinatord {

namespace control = coordinator::control;
namespace sweep = coordinator::sweep;

namespace {

// A live table needs no more.
constexpr std::chrono::milliseconds kWatchInterval{50};
// How soon a watch notices that its client is gone.
constexpr std::chrono::milliseconds kWatchPatience{500};

absl::Status NoSweep(const std::string& id) {
  return absl::NotFoundError(absl::StrCat("there is no sweep ", id, ": `mixlnctl get sweeps` lists them"));
}

// Random, for names that are never used again.
std::string NewUid() {
  std::random_device random;
  return absl::StrFormat("%08x", random());
}

// Newest first.
std::string ListKey(const SweepRow& row) {
  const int64_t micros = coordinator::state::FromTimestamp(row->create_time()).micros;
  return absl::StrFormat("%020d/%s", std::numeric_limits<int64_t>::max() - micros, row->id());
}

grpc::Status Refuse(const std::string& name, const std::vector<sweep::Problem>& problems) {
  std::vector<rpc::FieldViolation> violations;
  violations.reserve(problems.size());
  for (const auto& problem : problems)
    violations.push_back({.field = problem.path, .description = problem.message});
  return rpc::InvalidArgument(
      absl::StrCat("sweep ", name, " has ", problems.size(), problems.size() == 1 ? " problem" : " problems",
                   "; nothing was started"),
      violations);
}

}  // namespace

absl::Status SweepService::Read(const std::string& id, v1::Sweep& sweep) const {
  const SweepRow row = published_.Sweep(id);
  if (row == nullptr) return NoSweep(id);
  sweep = *row;
  return absl::OkStatus();
}

grpc::Status SweepService::CreateSweep(grpc::ServerContext* call, const v1::CreateSweepRequest* request,
                                       v1::CreateSweepResponse* response) {
  if (const auto status = rpc::CheckCaller(*call); !status.ok()) return rpc::ToGrpc(status);
  const auto problems = sweep::Validate(request->sweep_id(), request->spec(), request->allow_large());
  if (!problems.empty()) return Refuse(request->sweep_id(), problems);
  auto expansion = sweep::Expand(request->spec());
  *response->mutable_cells() = {expansion.cells.begin(), expansion.cells.end()};
  v1::Sweep sweep;
  sweep.set_id(request->sweep_id());
  *sweep.mutable_spec() = request->spec();
  sweep.set_source_text(request->source_text());
  sweep.set_request_id(request->request_id());
  *sweep.mutable_notes() = {expansion.notes.begin(), expansion.notes.end()};
  if (request->validate_only()) {
    *response->mutable_sweep() = std::move(sweep);
    return grpc::Status::OK;
  }
  sweep.set_uid(NewUid());
  const std::string uid = sweep.uid();
  const auto status =
      loop_.Call(control::SweepSubmitted{.sweep = std::move(sweep), .cells = std::move(expansion.cells)});
  if (!status.ok()) return rpc::ToGrpc(status);
  base::failpoint::Hit("coordinator.submitted", request->sweep_id());
  if (const auto read = Read(request->sweep_id(), *response->mutable_sweep()); !read.ok())
    return rpc::ToGrpc(read);
  response->set_created(response->sweep().uid() == uid);
  return grpc::Status::OK;
}

grpc::Status SweepService::GetSweep(grpc::ServerContext* call, const v1::GetSweepRequest* request,
                                    v1::Sweep* sweep) {
  if (const auto status = rpc::CheckCaller(*call); !status.ok()) return rpc::ToGrpc(status);
  return rpc::ToGrpc(Read(request->sweep_id(), *sweep));
}

grpc::Status SweepService::ListSweeps(grpc::ServerContext* call, const v1::ListSweepsRequest* request,
                                      v1::ListSweepsResponse* response) {
  if (const auto status = rpc::CheckCaller(*call); !status.ok()) return rpc::ToGrpc(status);
  auto page = TakePage(published_.Sweeps(), ListKey, request->page_size(), request->page_token());
  for (const auto& row : page.items) *response->add_sweeps() = *row;
  response->set_next_page_token(std::move(page.next_token));
  return grpc::Status::OK;
}

grpc::Status SweepService::Change(grpc::ServerContext& call, control::Event event, const std::string& id,
                                  v1::Sweep& sweep) {
  if (const auto status = rpc::CheckCaller(call); !status.ok()) return rpc::ToGrpc(status);
  const auto status = loop_.Call(std::move(event));
  return rpc::ToGrpc(status.ok() ? Read(id, sweep) : status);
}

grpc::Status SweepService::CancelSweep(grpc::ServerContext* call, const v1::CancelSweepRequest* request,
                                       v1::Sweep* sweep) {
  const std::string& id = request->sweep_id();
  return Change(*call, control::SweepCancelled{.sweep_id = id}, id, *sweep);
}

grpc::Status SweepService::PauseSweep(grpc::ServerContext* call, const v1::PauseSweepRequest* request,
                                      v1::Sweep* sweep) {
  const std::string& id = request->sweep_id();
  return Change(*call, control::SweepPaused{.sweep_id = id}, id, *sweep);
}

grpc::Status SweepService::ResumeSweep(grpc::ServerContext* call, const v1::ResumeSweepRequest* request,
                                       v1::Sweep* sweep) {
  const std::string& id = request->sweep_id();
  return Change(*call, control::SweepResumed{.sweep_id = id}, id, *sweep);
}

grpc::Status SweepService::RetrySweep(grpc::ServerContext* call, const v1::RetrySweepRequest* request,
                                      v1::RetrySweepResponse* response) {
  const std::string& id = request->sweep_id();
  const size_t before = published_.Trials(id).size();
  auto status = Change(*call, control::SweepRetried{.sweep_id = id}, id, *response->mutable_sweep());
  if (!status.ok()) return status;
  // New trials have the highest indices, so they stand last.
  const auto trials = published_.Trials(id);
  for (size_t i = before; i < trials.size(); ++i) response->add_trial_ids(trials[i]->id());
  return grpc::Status::OK;
}

grpc::Status SweepService::DeleteSweep(grpc::ServerContext* call, const v1::DeleteSweepRequest* request,
                                       v1::DeleteSweepResponse* /*response*/) {
  if (const auto status = rpc::CheckCaller(*call); !status.ok()) return rpc::ToGrpc(status);
  return rpc::ToGrpc(loop_.Call(control::SweepDeleted{.sweep_id = request->sweep_id()}));
}

grpc::Status SweepService::GetResults(grpc::ServerContext* call, const v1::GetResultsRequest* request,
                                      v1::Results* results) {
  if (const auto status = rpc::CheckCaller(*call); !status.ok()) return rpc::ToGrpc(status);
  const SweepRow sweep = published_.Sweep(request->sweep_id());
  if (sweep == nullptr) return rpc::ToGrpc(NoSweep(request->sweep_id()));
  const auto rows = published_.Trials(request->sweep_id());
  std::vector<const v1::Trial*> trials;
  trials.reserve(rows.size());
  for (const auto& row : rows) trials.push_back(row.get());
  *results = coordinator::results::Compare(*sweep, trials);
  return grpc::Status::OK;
}

grpc::Status SweepService::WatchSweep(grpc::ServerContext* call, const v1::WatchSweepRequest* request,
                                      grpc::ServerWriter<v1::WatchSweepResponse>* writer) {
  if (const auto status = rpc::CheckCaller(*call); !status.ok()) return rpc::ToGrpc(status);
  using Clock = std::chrono::steady_clock;
  int64_t seen = 0;
  while (!call->IsCancelled()) {
    const auto begin = Clock::now();
    const SweepChanges changes = published_.Since(request->sweep_id(), seen);
    if (!changes.exists) return rpc::ToGrpc(NoSweep(request->sweep_id()));
    seen = changes.revision;
    if (changes.sweep != nullptr || !changes.trials.empty()) {
      v1::WatchSweepResponse response;
      if (changes.sweep != nullptr) *response.mutable_sweep() = *changes.sweep;
      for (const auto& trial : changes.trials) *response.add_trials() = ViewOf(*trial);
      response.set_revision(changes.revision);
      if (!writer->Write(response)) break;
    }
    if (changes.ended) return grpc::Status::OK;
    // The pause between two responses: only Stop ends it early.
    const int64_t never = std::numeric_limits<int64_t>::max();
    const auto rest =
        kWatchInterval - std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
    if (!published_.Wait(never, std::max(rest, std::chrono::milliseconds(0))) ||
        !published_.Wait(seen, kWatchPatience))
      return rpc::ToGrpc(absl::UnavailableError("the coordinator is shutting down: watch again soon"));
  }
  return grpc::Status::CANCELLED;
}

}  // namespace mixln::services::coordinatord
