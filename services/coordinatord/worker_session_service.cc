#include "services/coordinatord/worker_session_service.h"

#include "services/coordinatord/worker_stream.h"

namespace mixln::services::coordinatord {

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* WorkerSessionService::Connect(
    grpc::CallbackServerContext* call) {
  return WorkerStream::Open(context_, *call);
}

}  // namespace mixln::services::coordinatord
