// The user's edge of workers, and the coordinator's release.
#pragma once

#include <grpcpp/grpcpp.h>

#include "mixln/v1/worker.grpc.pb.h"
#include "services/coordinatord/loop.h"
#include "services/coordinatord/published.h"

namespace mixln::services::coordinatord {

class WorkerAdminService : public v1::WorkerAdminService::Service {
 public:
  // Both outlive the service.
  WorkerAdminService(Loop& loop, const Published& published) : loop_(loop), published_(published) {}

  grpc::Status ListWorkers(grpc::ServerContext* call, const v1::ListWorkersRequest* request,
                           v1::ListWorkersResponse* response) override;
  grpc::Status DrainWorker(grpc::ServerContext* call, const v1::DrainWorkerRequest* request,
                           v1::Worker* worker) override;
  // Answers a caller of any version, so that it can say which one is here.
  grpc::Status GetVersion(grpc::ServerContext* call, const v1::GetVersionRequest* request,
                          v1::GetVersionResponse* response) override;

 private:
  Loop& loop_;
  const Published& published_;
};

}  // namespace mixln::services::coordinatord
