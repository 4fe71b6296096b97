// A coordinator in the test's own process, on a free port: it answers from plain maps that the test fills.
#pragma once

#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/version/version.h"
#include "mixln/v1/sweep.grpc.pb.h"
#include "mixln/v1/trial.grpc.pb.h"
#include "mixln/v1/worker.grpc.pb.h"

namespace mixln::services::mixlnctl {

class FakeCoordinator final : public v1::SweepService::Service,
                              public v1::TrialService::Service,
                              public v1::WorkerAdminService::Service {
 public:
  FakeCoordinator() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(static_cast<v1::SweepService::Service*>(this));
    builder.RegisterService(static_cast<v1::TrialService::Service*>(this));
    builder.RegisterService(static_cast<v1::WorkerAdminService::Service*>(this));
    server_ = builder.BuildAndStart();
    address = "127.0.0.1:" + std::to_string(port);
  }
  ~FakeCoordinator() override { server_->Shutdown(); }

  // What it knows, and what it was asked.
  std::string address;
  std::string version{base::version::kVersion};
  std::map<std::string, v1::Sweep> sweeps;
  std::map<std::string, v1::Trial> trials;
  std::vector<v1::Worker> workers;
  v1::Results results;
  std::map<std::string, v1::Curve> curves;  // by "<trial> <metric>"
  std::vector<std::vector<v1::WatchSweepResponse>>
      watches;  // each call of WatchSweep takes the first; then it is closed
  std::string log;
  std::vector<size_t> log_breaks;  // each call of ReadLog takes the first, and breaks there
  std::string log_break_words = "Connection reset";
  std::vector<v1::ReadLogRequest> log_reads;
  std::vector<v1::CreateSweepRequest> created;
  int unavailable = 0;  // so many calls of CreateSweep are answered UNAVAILABLE
  std::vector<std::string> cancelled;
  std::vector<std::string> deleted;
  std::vector<std::string> asked;  // other changes: "pause demo", "retry demo-0", "drain w1 disk"

  grpc::Status CreateSweep(grpc::ServerContext* context, const v1::CreateSweepRequest* request,
                           v1::CreateSweepResponse* response) override {
    SayVersion(context);
    created.push_back(*request);
    if (unavailable-- > 0) return {grpc::StatusCode::UNAVAILABLE, "the disk is busy"};
    const auto known = sweeps.find(request->sweep_id());
    if (known != sweeps.end() &&
        known->second.spec().SerializeAsString() != request->spec().SerializeAsString()) {
      return {grpc::StatusCode::ALREADY_EXISTS, "sweep " + request->sweep_id() + " exists with another spec"};
    }
    response->set_created(known == sweeps.end());
    v1::Sweep& sweep = sweeps[request->sweep_id()];
    sweep.set_id(request->sweep_id());
    *sweep.mutable_spec() = request->spec();
    *response->mutable_sweep() = sweep;
    return grpc::Status::OK;
  }
  grpc::Status GetSweep(grpc::ServerContext* context, const v1::GetSweepRequest* request,
                        v1::Sweep* sweep) override {
    SayVersion(context);
    return Find(sweeps, request->sweep_id(), sweep);
  }
  grpc::Status ListSweeps(grpc::ServerContext* context, const v1::ListSweepsRequest*,
                          v1::ListSweepsResponse* response) override {
    SayVersion(context);
    for (const auto& [id, sweep] : sweeps) *response->add_sweeps() = sweep;
    return grpc::Status::OK;
  }
  grpc::Status CancelSweep(grpc::ServerContext* context, const v1::CancelSweepRequest* request,
                           v1::Sweep* sweep) override {
    SayVersion(context);
    cancelled.push_back(request->sweep_id());
    return Find(sweeps, request->sweep_id(), sweep);
  }
  grpc::Status PauseSweep(grpc::ServerContext* context, const v1::PauseSweepRequest* request,
                          v1::Sweep* sweep) override {
    SayVersion(context);
    asked.push_back("pause " + request->sweep_id());
    return Find(sweeps, request->sweep_id(), sweep);
  }
  grpc::Status ResumeSweep(grpc::ServerContext* context, const v1::ResumeSweepRequest* request,
                           v1::Sweep* sweep) override {
    SayVersion(context);
    asked.push_back("resume " + request->sweep_id());
    return Find(sweeps, request->sweep_id(), sweep);
  }
  grpc::Status RetrySweep(grpc::ServerContext* context, const v1::RetrySweepRequest* request,
                          v1::RetrySweepResponse* response) override {
    SayVersion(context);
    asked.push_back("retry " + request->sweep_id());
    response->add_trial_ids(request->sweep_id() + "-7");
    return grpc::Status::OK;
  }
  grpc::Status PauseTrial(grpc::ServerContext* context, const v1::PauseTrialRequest* request,
                          v1::Trial* trial) override {
    SayVersion(context);
    asked.push_back("pause " + request->trial_id());
    return Find(trials, request->trial_id(), trial);
  }
  grpc::Status ResumeTrial(grpc::ServerContext* context, const v1::ResumeTrialRequest* request,
                           v1::Trial* trial) override {
    SayVersion(context);
    asked.push_back("resume " + request->trial_id());
    return Find(trials, request->trial_id(), trial);
  }
  grpc::Status RetryTrial(grpc::ServerContext* context, const v1::RetryTrialRequest* request,
                          v1::Trial* trial) override {
    SayVersion(context);
    asked.push_back("retry " + request->trial_id());
    trial->set_id(request->trial_id() + "-again");
    trial->set_state(v1::TRIAL_STATE_PENDING);
    return grpc::Status::OK;
  }
  grpc::Status DrainWorker(grpc::ServerContext* context, const v1::DrainWorkerRequest* request,
                           v1::Worker* worker) override {
    SayVersion(context);
    asked.push_back((request->undo() ? "undrain " : "drain ") + request->worker_id() +
                    (request->reason().empty() ? "" : " " + request->reason()));
    for (const v1::Worker& known : workers) {
      if (known.id() == request->worker_id()) *worker = known;
    }
    return grpc::Status::OK;
  }
  grpc::Status DeleteSweep(grpc::ServerContext* context, const v1::DeleteSweepRequest* request,
                           v1::DeleteSweepResponse*) override {
    SayVersion(context);
    deleted.push_back(request->sweep_id());
    return grpc::Status::OK;
  }
  grpc::Status GetResults(grpc::ServerContext* context, const v1::GetResultsRequest*,
                          v1::Results* response) override {
    SayVersion(context);
    *response = results;
    return grpc::Status::OK;
  }
  grpc::Status WatchSweep(grpc::ServerContext* context, const v1::WatchSweepRequest* request,
                          grpc::ServerWriter<v1::WatchSweepResponse>* writer) override {
    SayVersion(context);
    if (!sweeps.contains(request->sweep_id())) return {grpc::StatusCode::NOT_FOUND, "no such sweep"};
    if (watches.empty()) {  // nothing more happens
      writer->SendInitialMetadata();
      while (!context->IsCancelled()) {
        std::this_thread::yield();
      }
      return grpc::Status::CANCELLED;
    }
    const auto changes = watches.front();
    watches.erase(watches.begin());
    for (const auto& change : changes) writer->Write(change);
    return {grpc::StatusCode::UNAVAILABLE, "Connection reset"};
  }
  grpc::Status GetTrial(grpc::ServerContext* context, const v1::GetTrialRequest* request,
                        v1::Trial* trial) override {
    SayVersion(context);
    return Find(trials, request->trial_id(), trial);
  }
  grpc::Status GetCurve(grpc::ServerContext* context, const v1::GetCurveRequest* request,
                        v1::Curve* curve) override {
    SayVersion(context);
    if (const auto known = curves.find(request->trial_id() + " " + request->metric()); known != curves.end())
      *curve = known->second;
    return grpc::Status::OK;
  }
  grpc::Status ListTrials(grpc::ServerContext* context, const v1::ListTrialsRequest* request,
                          v1::ListTrialsResponse* response) override {
    SayVersion(context);
    // One a page, so that clients must ask on.
    auto at = request->page_token().empty() ? trials.begin() : trials.find(request->page_token());
    while (at != trials.end() && !request->sweep_id().empty() && at->second.sweep_id() != request->sweep_id())
      ++at;
    if (at == trials.end()) return grpc::Status::OK;
    *response->add_trials() = at->second;
    if (++at != trials.end()) response->set_next_page_token(at->first);
    return grpc::Status::OK;
  }
  grpc::Status CancelTrial(grpc::ServerContext* context, const v1::CancelTrialRequest* request,
                           v1::Trial* trial) override {
    SayVersion(context);
    cancelled.push_back(request->trial_id());
    return Find(trials, request->trial_id(), trial);
  }
  grpc::Status ReadLog(grpc::ServerContext* context, const v1::ReadLogRequest* request,
                       grpc::ServerWriter<v1::ReadLogResponse>* writer) override {
    SayVersion(context);
    log_reads.push_back(*request);
    const auto offset = static_cast<size_t>(request->offset());
    const size_t end = log_breaks.empty() ? log.size() : log_breaks.front();
    v1::ReadLogResponse piece;
    piece.set_data(log.substr(offset, end - offset));
    piece.set_next_offset(static_cast<int64_t>(end));
    writer->Write(piece);
    if (log_breaks.empty()) return grpc::Status::OK;
    log_breaks.erase(log_breaks.begin());
    return {grpc::StatusCode::UNAVAILABLE, log_break_words};
  }
  grpc::Status ListWorkers(grpc::ServerContext* context, const v1::ListWorkersRequest*,
                           v1::ListWorkersResponse* response) override {
    SayVersion(context);
    response->mutable_workers()->Assign(workers.begin(), workers.end());
    return grpc::Status::OK;
  }
  grpc::Status GetVersion(grpc::ServerContext* context, const v1::GetVersionRequest*,
                          v1::GetVersionResponse* response) override {
    SayVersion(context);
    response->set_version(version);
    response->set_cluster_id("c1");
    response->set_term(7);
    return grpc::Status::OK;
  }

 private:
  void SayVersion(grpc::ServerContext* context) const {
    context->AddInitialMetadata("mixln-version", version);
  }

  template <class Message>
  static grpc::Status Find(const std::map<std::string, Message>& all, const std::string& id, Message* found) {
    const auto at = all.find(id);
    if (at == all.end()) return {grpc::StatusCode::NOT_FOUND, "there is no " + id};
    *found = at->second;
    return grpc::Status::OK;
  }

  std::unique_ptr<grpc::Server> server_;
};

}  // namespace mixln::services::mixlnctl
