#include "services/mixlnctl/lookup.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/text/suggest.h"
#include "services/mixlnctl/trial_text.h"

namespace mixln::services::mixlnctl {
namespace {

constexpr int kPage = 1000;

absl::Status NotFound(const char* kind, const std::string& name, const std::vector<std::string>& known,
                      const char* list_command) {
  const std::string near = base::Suggest(name, known);
  return absl::NotFoundError(absl::StrCat("no ", kind, " is called \"", name, "\"",
                                          near.empty() ? "" : absl::StrCat(": did you mean \"", near, "\"?"),
                                          " (`mixlnctl ", list_command, "` lists all)"));
}

absl::StatusOr<v1::Sweep> GetSweep(Client& client, const std::string& id) {
  v1::GetSweepRequest request;
  request.set_sweep_id(id);
  return client.Call(client.sweeps(), &v1::SweepService::Stub::GetSweep, request);
}

absl::StatusOr<v1::Trial> GetTrial(Client& client, const std::string& id) {
  v1::GetTrialRequest request;
  request.set_trial_id(id);
  return client.Call(client.trials(), &v1::TrialService::Stub::GetTrial, request);
}

}  // namespace

absl::StatusOr<v1::ListSweepsResponse> ListSweeps(Client& client) {
  v1::ListSweepsResponse all;
  v1::ListSweepsRequest request;
  request.set_page_size(kPage);
  do {
    auto page = client.Call(client.sweeps(), &v1::SweepService::Stub::ListSweeps, request);
    if (!page.ok()) return page.status();
    request.set_page_token(page->next_page_token());
    for (v1::Sweep& sweep : *page->mutable_sweeps()) *all.add_sweeps() = std::move(sweep);
  } while (!request.page_token().empty());
  return all;
}

absl::StatusOr<v1::ListTrialsResponse> ListTrials(Client& client, const std::string& sweep_id) {
  v1::ListTrialsResponse all;
  v1::ListTrialsRequest request;
  request.set_sweep_id(sweep_id);
  request.set_page_size(kPage);
  do {
    auto page = client.Call(client.trials(), &v1::TrialService::Stub::ListTrials, request);
    if (!page.ok()) return page.status();
    request.set_page_token(page->next_page_token());
    for (v1::Trial& trial : *page->mutable_trials()) *all.add_trials() = std::move(trial);
  } while (!request.page_token().empty());
  return all;
}

absl::StatusOr<v1::Sweep> FindSweep(Client& client, const std::string& name) {
  auto sweep = GetSweep(client, name);
  if (!absl::IsNotFound(sweep.status())) return sweep;
  auto all = ListSweeps(client);
  if (!all.ok()) return all.status();
  std::vector<std::string> known;
  for (v1::Sweep& candidate : *all->mutable_sweeps()) {
    if (candidate.uid() == name) return std::move(candidate);
    known.push_back(candidate.id());
  }
  return NotFound("sweep", name, known, "get sweeps");
}

absl::StatusOr<v1::Trial> FindTrial(Client& client, const std::string& name) {
  std::string id = name;
  if (const size_t slash = id.find('/'); slash != std::string::npos) id[slash] = '-';
  auto trial = GetTrial(client, id);
  if (!absl::IsNotFound(trial.status())) return trial;
  auto all = ListTrials(client, "");
  if (!all.ok()) return all.status();
  std::vector<std::string> known;
  for (const v1::Trial& candidate : all->trials()) known.push_back(candidate.id());
  return NotFound("trial", name, known, "get trials");
}

absl::StatusOr<SweepOrTrial> FindAny(Client& client, const std::string& name) {
  SweepOrTrial found;
  auto sweep = FindSweep(client, name);
  if (sweep.ok()) {
    found.sweep = *std::move(sweep);
    return found;
  }
  if (!absl::IsNotFound(sweep.status())) return sweep.status();
  auto trial = FindTrial(client, name);
  if (trial.ok()) {
    found.trial = *std::move(trial);
    return found;
  }
  if (!absl::IsNotFound(trial.status())) return trial.status();
  // Of the two answers, the one that found something near the name says more.
  const bool sweep_is_near = sweep.status().message().find("did you mean") != absl::string_view::npos;
  const bool trial_is_near = trial.status().message().find("did you mean") != absl::string_view::npos;
  if (sweep_is_near) return sweep.status();
  if (trial_is_near) return trial.status();
  return absl::NotFoundError(
      absl::StrCat("no sweep or trial is called \"", name, "\" (`mixlnctl get sweeps` lists the sweeps)"));
}

absl::StatusOr<std::vector<SweepOrTrial>> FindAll(Client& client, const std::vector<std::string>& names) {
  std::vector<SweepOrTrial> all;
  for (const std::string& name : names) {
    auto found = FindAny(client, name);
    if (!found.ok()) return found.status();
    all.push_back(*std::move(found));
  }
  return all;
}

absl::StatusOr<std::string> FindRetryOf(Client& client, const v1::Trial& trial) {
  if (!IsTerminal(trial.state()) || trial.state() == v1::TRIAL_STATE_SUCCEEDED) return "";
  const auto all = ListTrials(client, trial.sweep_id());
  if (!all.ok()) return all.status();
  for (const v1::Trial& other : all->trials()) {
    if (other.retry_of() == trial.id()) return other.id();
  }
  return "";
}

absl::StatusOr<v1::Worker> FindWorker(Client& client, const std::string& name) {
  const auto list =
      client.Call(client.workers(), &v1::WorkerAdminService::Stub::ListWorkers, v1::ListWorkersRequest());
  if (!list.ok()) return list.status();
  std::vector<v1::Worker> meant;
  std::vector<std::string> known;
  for (const v1::Worker& worker : list->workers()) {
    if (worker.id() == name) return worker;
    if (absl::StartsWith(worker.id(), name) || worker.hostname() == name) meant.push_back(worker);
    known.push_back(worker.hostname());
  }
  if (meant.empty()) return NotFound("worker", name, known, "nodes");
  if (meant.size() == 1) return meant.front();
  std::string ids;
  for (const v1::Worker& worker : meant) absl::StrAppend(&ids, ids.empty() ? "" : ", ", worker.id());
  return absl::InvalidArgumentError(
      absl::StrCat("\"", name, "\" is ", meant.size(), " workers: name one of ", ids));
}

}  // namespace mixln::services::mixlnctl
