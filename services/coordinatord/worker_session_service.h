// The workers' edge: one bidirectional stream from each, turned into events for the loop.
#pragma once

#include <grpcpp/grpcpp.h>

#include "coordinator/store/curve_store.h"
#include "mixln/v1/session.grpc.pb.h"
#include "services/access/callers.h"
#include "services/coordinatord/log_relay.h"
#include "services/coordinatord/loop.h"
#include "services/coordinatord/sessions.h"

namespace mixln::services::coordinatord {

// What a stream works with; all outlive the server.
struct SessionContext {
  Loop& loop;
  Sessions& sessions;
  coordinator::store::CurveStore& curves;
  LogRelay& logs;
  const access::Callers* callers;  // null without TLS: a worker is who it says
};

class WorkerSessionService : public v1::WorkerSessionService::CallbackService {
 public:
  explicit WorkerSessionService(SessionContext context) : context_(context) {}

  grpc::ServerBidiReactor<v1::WorkerMessage, v1::CoordinatorMessage>* Connect(
      grpc::CallbackServerContext* call) override;

 private:
  const SessionContext context_;
};

}  // namespace mixln::services::coordinatord
