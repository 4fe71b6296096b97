// The user's edge of sweeps. It checks and expands what comes in, submits it to the loop, and answers from
// what is committed.
#pragma once

#include <grpcpp/grpcpp.h>

#include "mixln/v1/sweep.grpc.pb.h"
#include "services/coordinatord/loop.h"
#include "services/coordinatord/published.h"

namespace mixln::services::coordinatord {

class SweepService : public v1::SweepService::Service {
 public:
  // Both outlive the service.
  SweepService(Loop& loop, const Published& published) : loop_(loop), published_(published) {}

  grpc::Status CreateSweep(grpc::ServerContext* call, const v1::CreateSweepRequest* request,
                           v1::CreateSweepResponse* response) override;
  grpc::Status GetSweep(grpc::ServerContext* call, const v1::GetSweepRequest* request,
                        v1::Sweep* sweep) override;
  grpc::Status ListSweeps(grpc::ServerContext* call, const v1::ListSweepsRequest* request,
                          v1::ListSweepsResponse* response) override;
  grpc::Status CancelSweep(grpc::ServerContext* call, const v1::CancelSweepRequest* request,
                           v1::Sweep* sweep) override;
  grpc::Status PauseSweep(grpc::ServerContext* call, const v1::PauseSweepRequest* request,
                          v1::Sweep* sweep) override;
  grpc::Status ResumeSweep(grpc::ServerContext* call, const v1::ResumeSweepRequest* request,
                           v1::Sweep* sweep) override;
  grpc::Status RetrySweep(grpc::ServerContext* call, const v1::RetrySweepRequest* request,
                          v1::RetrySweepResponse* response) override;
  grpc::Status DeleteSweep(grpc::ServerContext* call, const v1::DeleteSweepRequest* request,
                           v1::DeleteSweepResponse* response) override;
  grpc::Status GetResults(grpc::ServerContext* call, const v1::GetResultsRequest* request,
                          v1::Results* results) override;
  grpc::Status WatchSweep(grpc::ServerContext* call, const v1::WatchSweepRequest* request,
                          grpc::ServerWriter<v1::WatchSweepResponse>* writer) override;

 private:
  absl::Status Read(const std::string& id, v1::Sweep& sweep) const;
  // Has the event happen, and reads the sweep as it is then.
  grpc::Status Change(grpc::ServerContext& call, coordinator::control::Event event, const std::string& id,
                      v1::Sweep& sweep);

  Loop& loop_;
  const Published& published_;
};

}  // namespace mixln::services::coordinatord
