#include "services/coordinatord/trial_service.h"

#include <chrono>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "coordinator/control/reserve.h"
#include "services/coordinatord/page.h"
#include "services/rpc/server.h"
#include "services/rpc/status.h"

namespace mixln::services::coordinatord {

namespace control = coordinator::control;

namespace {

constexpr std::chrono::milliseconds kLogAnswerLimit{10'000};
constexpr std::chrono::milliseconds kFollowInterval{500};

absl::Status NoTrial(const std::string& id) {
  return absl::NotFoundError(absl::StrCat("there is no trial ", id, ": `mixlnctl get trials` lists them"));
}

// Grid order, sweep after sweep.
std::string ListKey(const TrialRow& row) {
  return absl::StrFormat("%s/%010d/%s", row->sweep_id(), row->index(), row->id());
}

// The attempt of this epoch, or the last one for 0; null when there is none.
const v1::Attempt* FindAttempt(const v1::Trial& trial, uint64_t epoch) {
  const v1::Attempt* found = nullptr;
  for (const auto& attempt : trial.attempts()) {
    if (epoch == 0 || attempt.fence().epoch() == epoch) found = &attempt;
  }
  return found;
}

}  // namespace

absl::Status TrialService::Read(const std::string& id, v1::Trial& trial) const {
  const TrialRow row = context_.published.Trial(id);
  if (row == nullptr) return NoTrial(id);
  trial = *row;
  return absl::OkStatus();
}

absl::Status TrialService::ReadRetry(const std::string& id, v1::Trial& trial) const {
  if (auto status = Read(id, trial); !status.ok()) return status;
  for (const auto& row : context_.published.Trials(trial.sweep_id())) {
    if (row->retry_of() == id) trial = *row;
  }
  return absl::OkStatus();
}

grpc::Status TrialService::GetTrial(grpc::ServerContext* call, const v1::GetTrialRequest* request,
                                    v1::Trial* trial) {
  if (const auto status = rpc::CheckCaller(*call); !status.ok()) return rpc::ToGrpc(status);
  return rpc::ToGrpc(Read(request->trial_id(), *trial));
}

grpc::Status TrialService::ListTrials(grpc::ServerContext* call, const v1::ListTrialsRequest* request,
                                      v1::ListTrialsResponse* response) {
  if (const auto status = rpc::CheckCaller(*call); !status.ok()) return rpc::ToGrpc(status);
  if (!request->sweep_id().empty() && context_.published.Sweep(request->sweep_id()) == nullptr)
    return rpc::ToGrpc(absl::NotFoundError(absl::StrCat("there is no sweep ", request->sweep_id())));
  auto page = TakePage(context_.published.Trials(request->sweep_id()), ListKey, request->page_size(),
                       request->page_token());
  for (const auto& row : page.items) *response->add_trials() = *row;
  response->set_next_page_token(std::move(page.next_token));
  return grpc::Status::OK;
}

grpc::Status TrialService::Change(grpc::ServerContext& call, control::Event event, const std::string& id,
                                  v1::Trial& trial, Reading read) {
  if (const auto status = rpc::CheckCaller(call); !status.ok()) return rpc::ToGrpc(status);
  const auto status = context_.loop.Call(std::move(event));
  return rpc::ToGrpc(status.ok() ? (this->*read)(id, trial) : status);
}

grpc::Status TrialService::CancelTrial(grpc::ServerContext* call, const v1::CancelTrialRequest* request,
                                       v1::Trial* trial) {
  const std::string& id = request->trial_id();
  return Change(*call, control::TrialCancelled{.trial_id = id}, id, *trial);
}

grpc::Status TrialService::PauseTrial(grpc::ServerContext* call, const v1::PauseTrialRequest* request,
                                      v1::Trial* trial) {
  const std::string& id = request->trial_id();
  return Change(*call, control::TrialPaused{.trial_id = id}, id, *trial);
}

grpc::Status TrialService::ResumeTrial(grpc::ServerContext* call, const v1::ResumeTrialRequest* request,
                                       v1::Trial* trial) {
  const std::string& id = request->trial_id();
  return Change(*call, control::TrialResumed{.trial_id = id}, id, *trial, &TrialService::ReadRetry);
}

grpc::Status TrialService::RetryTrial(grpc::ServerContext* call, const v1::RetryTrialRequest* request,
                                      v1::Trial* trial) {
  const std::string& id = request->trial_id();
  return Change(*call, control::TrialRetried{.trial_id = id}, id, *trial, &TrialService::ReadRetry);
}

grpc::Status TrialService::GetCurve(grpc::ServerContext* call, const v1::GetCurveRequest* request,
                                    v1::Curve* curve) {
  if (const auto status = rpc::CheckCaller(*call); !status.ok()) return rpc::ToGrpc(status);
  if (context_.published.Trial(request->trial_id()) == nullptr)
    return rpc::ToGrpc(NoTrial(request->trial_id()));
  if (!coordinator::store::IsMetric(request->metric()))
    return rpc::InvalidArgument(absl::StrCat("there is no metric ", request->metric()),
                                {{"metric",
                                  "must be one of loss, eval_loss, perplexity, bits_per_byte, lr, "
                                  "gradient_norm, tokens_per_second, layer_gradient_norm/<layer>, "
                                  "layer_activation_variance/<layer> or layer_update_ratio/<layer>"}});
  auto read = context_.curves.Read(request->trial_id(), request->metric(), request->max_points());
  if (!read.ok()) return rpc::ToGrpc(read.status());
  *curve = std::move(*read);
  return grpc::Status::OK;
}

grpc::Status TrialService::ReadLog(grpc::ServerContext* call, const v1::ReadLogRequest* request,
                                   grpc::ServerWriter<v1::ReadLogResponse>* writer) {
  if (const auto status = rpc::CheckCaller(*call); !status.ok()) return rpc::ToGrpc(status);
  return rpc::ToGrpc(Relay(*call, *request, *writer));
}

absl::Status TrialService::Relay(grpc::ServerContext& call, const v1::ReadLogRequest& request,
                                 grpc::ServerWriter<v1::ReadLogResponse>& writer) {
  const TrialRow trial = context_.published.Trial(request.trial_id());
  if (trial == nullptr) return NoTrial(request.trial_id());
  const v1::Attempt* attempt = FindAttempt(*trial, request.epoch());
  if (attempt == nullptr && request.epoch() != 0)
    return absl::NotFoundError(
        absl::StrCat("trial ", trial->id(), " has no attempt of epoch ", request.epoch()));
  if (attempt == nullptr)
    return absl::FailedPreconditionError(absl::StrCat("trial ", trial->id(), " has not been started yet"));
  std::string worker_id;
  for (const auto& rank : attempt->ranks()) {
    if (rank.rank() == request.rank()) worker_id = rank.worker_id();
  }
  if (worker_id.empty())
    return absl::NotFoundError(absl::StrCat("that attempt has no rank ", request.rank(),
                                            ": it has ranks 0 to ", attempt->ranks_size() - 1));
  v1::LogRequest ask;
  ask.set_trial_id(trial->id());
  *ask.mutable_fence() = attempt->fence();
  ask.set_rank(request.rank());
  ask.set_tail_lines(request.tail_lines());
  if (request.has_since()) *ask.mutable_since() = request.since();
  ask.set_offset(request.offset());
  const SweepRow sweep = context_.published.Sweep(trial->sweep_id());
  if (sweep == nullptr) return NoTrial(request.trial_id());  // deleted just now
  ask.set_trial_dir(control::TrialDir(*sweep, *trial));
  for (bool first = true; !call.IsCancelled();) {
    // Asked before the log is read: what an ended attempt wrote is all there.
    const TrialRow now = context_.published.Trial(request.trial_id());
    const v1::Attempt* same = now == nullptr ? nullptr : FindAttempt(*now, attempt->fence().epoch());
    const bool ended = same == nullptr || same->has_end_time();
    // The rank's own worker, or, when that is gone, another one that sees the artifacts.
    const std::string reader = context_.sessions.ThisOrAnother(worker_id);
    const auto send = [&](const v1::LogRequest& numbered) {
      v1::CoordinatorMessage message;
      *message.mutable_log_request() = numbered;
      return context_.sessions.SendToWorker(reader, std::move(message));
    };
    const auto chunk = context_.logs.Ask(reader, ask, send, kLogAnswerLimit);
    if (!chunk.ok()) return chunk.status();
    if (!chunk->error().empty()) {
      // The rank's log appears with the rank.
      if (!request.follow() || ended)
        return absl::NotFoundError(reader == worker_id
                                       ? chunk->error()
                                       : absl::StrCat("the worker ", worker_id,
                                                      ", where this rank ran, is not connected, and another "
                                                      "one does not see its log: ",
                                                      chunk->error()));
    } else {
      ask.set_offset(chunk->next_offset());
      v1::ReadLogResponse response;
      response.set_data(chunk->data());
      response.set_next_offset(chunk->next_offset());
      // The first one says where the log is, be it empty.
      if ((first || !response.data().empty()) && !writer.Write(response)) break;
      first = false;
    }
    if (!chunk->end()) continue;
    if (!request.follow() || ended) return absl::OkStatus();
    if (!context_.published.Wait(std::numeric_limits<int64_t>::max(), kFollowInterval))
      return absl::UnavailableError("the coordinator is shutting down: read on soon");
  }
  return absl::CancelledError("the caller has gone");
}

}  // namespace mixln::services::coordinatord
