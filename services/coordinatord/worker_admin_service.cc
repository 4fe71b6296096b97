#include "services/coordinatord/worker_admin_service.h"

#include <string>

#include "base/version/version.h"
#include "services/rpc/server.h"
#include "services/rpc/status.h"

namespace mixln::services::coordinatord {

grpc::Status WorkerAdminService::ListWorkers(grpc::ServerContext* call,
                                             const v1::ListWorkersRequest* /*request*/,
                                             v1::ListWorkersResponse* response) {
  if (const auto status = rpc::CheckCaller(*call); !status.ok()) return rpc::ToGrpc(status);
  for (const auto& worker : published_.Workers()) *response->add_workers() = *worker;
  return grpc::Status::OK;
}

grpc::Status WorkerAdminService::DrainWorker(grpc::ServerContext* call, const v1::DrainWorkerRequest* request,
                                             v1::Worker* worker) {
  if (const auto status = rpc::CheckCaller(*call); !status.ok()) return rpc::ToGrpc(status);
  const auto status = loop_.Call(coordinator::control::WorkerDrained{
      .worker_id = request->worker_id(), .undo = request->undo(), .reason = request->reason()});
  if (!status.ok()) return rpc::ToGrpc(status);
  for (const auto& row : published_.Workers()) {
    if (row->id() == request->worker_id()) *worker = *row;
  }
  return grpc::Status::OK;
}

grpc::Status WorkerAdminService::GetVersion(grpc::ServerContext* call,
                                            const v1::GetVersionRequest* /*request*/,
                                            v1::GetVersionResponse* response) {
  // Only says this server's version; whether the two fit is the other calls' question.
  rpc::CheckCaller(*call).IgnoreError();
  response->set_version(std::string(base::version::kVersion));
  response->set_term(published_.term());
  response->set_cluster_id(published_.cluster_id());
  return grpc::Status::OK;
}

}  // namespace mixln::services::coordinatord
