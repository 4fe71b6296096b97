// A connection to the coordinator: typed stubs, a deadline on every call, and errors that say what to do.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "mixln/v1/sweep.grpc.pb.h"
#include "mixln/v1/trial.grpc.pb.h"
#include "mixln/v1/worker.grpc.pb.h"
#include "services/mixlnctl/config.h"
#include "services/rpc/client.h"

namespace mixln::services::mixlnctl {

inline constexpr double kConnectSeconds = 2;  // to know that nobody answers
inline constexpr double kCallSeconds = 10;    // for a call, and for all retries of one

class Client {
 public:
  // Connects, or says within kConnectSeconds that it cannot: UNAVAILABLE with the reason and what to do.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(const Target& target);

  v1::SweepService::Stub& sweeps() { return *sweeps_; }
  v1::TrialService::Stub& trials() { return *trials_; }
  v1::WorkerAdminService::Stub& workers() { return *workers_; }
  const Target& target() const { return target_; }

  // One call of a unary method, such as Call(client.sweeps(), &v1::SweepService::Stub::GetSweep, request).
  // Errors carry the server's code and are in words for people.
  template <class Stub, class Service, class Request, class Response>
  absl::StatusOr<Response> Call(Stub& stub,
                                grpc::Status (Service::*method)(grpc::ClientContext*, const Request&,
                                                                Response*),
                                const Request& request) {
    grpc::ClientContext context;
    rpc::Prepare(context, kCallSeconds);
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (!status.ok()) return Error(status);
    if (absl::Status version = rpc::CheckServerVersion(context); !version.ok()) return version;
    return response;
  }

  // As Call, for a request that may be repeated: tried again while the coordinator is away, for kCallSeconds.
  template <class Stub, class Service, class Request, class Response>
  absl::StatusOr<Response> CallUntilAnswered(Stub& stub,
                                             grpc::Status (Service::*method)(grpc::ClientContext*,
                                                                             const Request&, Response*),
                                             const Request& request) {
    Retries retries;
    while (true) {
      auto response = Call(stub, method, request);
      if (!absl::IsUnavailable(response.status()) || !retries.Wait()) return response;
    }
  }

  // The error of a call as a status for people; a coordinator that is not there is explained.
  absl::Status Error(const grpc::Status& status) const;

 private:
  // Waits between two tries, longer each time, until kCallSeconds are over.
  class Retries {
   public:
    Retries();
    bool Wait();

   private:
    std::chrono::steady_clock::time_point end_;
    int count_ = 0;
  };

  Client(Target target, std::shared_ptr<grpc::Channel> channel);

  Target target_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::SweepService::Stub> sweeps_;
  std::unique_ptr<v1::TrialService::Stub> trials_;
  std::unique_ptr<v1::WorkerAdminService::Stub> workers_;
};

}  // namespace mixln::services::mixlnctl
