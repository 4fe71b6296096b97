// Lets calls in, or not: every call passes here before its service sees it, whatever the service.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_interceptor.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "services/access/callers.h"
#include "services/access/limiter.h"

namespace mixln::services::access {

class Gate {
 public:
  struct Options {
    Limiter::Options limits = {};
    // Told of each call that a role or a revocation forbids: caller, method, reason. The limits come first,
    // so that nobody can make it many.
    std::function<void(const Caller&, const std::string&, const absl::Status&)> refused = {};
    // Told when a file of `callers` cannot be read any more, and with OK when it can again.
    std::function<void(const absl::Status&)> trouble = {};
  };

  // `callers` outlives the gate, the gate outlives the server.
  Gate(Callers& callers, Options options);
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Refuses what the rules, the limits or a revocation forbid; for the server's credentials.
  std::shared_ptr<grpc::AuthMetadataProcessor> Processor();

  // Keeps the open calls, so that a revocation ends them within seconds. Must be the server's first
  // interceptor: a call is then known for as long as all its interceptors live.
  std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> TrackCalls();

  // Whether a call may go on to its service. UNIMPLEMENTED: there is no such method.
  absl::Status Admit(const std::string& method, const Callers::Metadata& metadata,
                     const grpc::AuthContext& connection);

  // A call that has begun and one that ends; `context` is its key, and lives in between.
  void Begin(grpc::ServerContextBase* context, const Caller& caller);
  void End(grpc::ServerContextBase* context);

  // Who makes a call that has begun; nothing for one that nobody is asked for.
  std::optional<Caller> CallerOf(grpc::ServerContextBase* context);

  const Callers& callers() const { return callers_; }

 private:
  void Watch();

  Callers& callers_;
  const Options options_;
  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stopped_ = false;
  Limiter limiter_;
  std::map<grpc::ServerContextBase*, Caller> open_;
  std::thread watcher_;
};

}  // namespace mixln::services::access
