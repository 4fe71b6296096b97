// The user's edge of trials: reads, changes, curves and logs.
#pragma once

#include <grpcpp/grpcpp.h>

#include <string>

#include "coordinator/store/curve_store.h"
#include "mixln/v1/trial.grpc.pb.h"
#include "services/coordinatord/log_relay.h"
#include "services/coordinatord/loop.h"
#include "services/coordinatord/published.h"
#include "services/coordinatord/sessions.h"

namespace mixln::services::coordinatord {

// What the service works with; all outlive it.
struct TrialContext {
  Loop& loop;
  const Published& published;
  coordinator::store::CurveStore& curves;
  const Sessions& sessions;
  LogRelay& logs;
};

class TrialService : public v1::TrialService::Service {
 public:
  explicit TrialService(TrialContext context) : context_(context) {}

  grpc::Status GetTrial(grpc::ServerContext* call, const v1::GetTrialRequest* request,
                        v1::Trial* trial) override;
  grpc::Status ListTrials(grpc::ServerContext* call, const v1::ListTrialsRequest* request,
                          v1::ListTrialsResponse* response) override;
  grpc::Status CancelTrial(grpc::ServerContext* call, const v1::CancelTrialRequest* request,
                           v1::Trial* trial) override;
  grpc::Status PauseTrial(grpc::ServerContext* call, const v1::PauseTrialRequest* request,
                          v1::Trial* trial) override;
  grpc::Status ResumeTrial(grpc::ServerContext* call, const v1::ResumeTrialRequest* request,
                           v1::Trial* trial) override;
  grpc::Status RetryTrial(grpc::ServerContext* call, const v1::RetryTrialRequest* request,
                          v1::Trial* trial) override;
  grpc::Status GetCurve(grpc::ServerContext* call, const v1::GetCurveRequest* request,
                        v1::Curve* curve) override;
  grpc::Status ReadLog(grpc::ServerContext* call, const v1::ReadLogRequest* request,
                       grpc::ServerWriter<v1::ReadLogResponse>* writer) override;

 private:
  absl::Status Read(const std::string& id, v1::Trial& trial) const;
  // As Read; for a trial that was tried again, the one that does so.
  absl::Status ReadRetry(const std::string& id, v1::Trial& trial) const;
  // Has the event happen, and reads the trial as it is then.
  using Reading = absl::Status (TrialService::*)(const std::string& id, v1::Trial& trial) const;
  grpc::Status Change(grpc::ServerContext& call, coordinator::control::Event event, const std::string& id,
                      v1::Trial& trial, Reading read = &TrialService::Read);
  absl::Status Relay(grpc::ServerContext& call, const v1::ReadLogRequest& request,
                     grpc::ServerWriter<v1::ReadLogResponse>& writer);

  const TrialContext context_;
};

}  // namespace mixln::services::coordinatord
