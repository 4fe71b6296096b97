#include "services/access/connections.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "services/access/rules.h"
#include "services/rpc/server.h"

namespace mixln::services::access {
namespace {

namespace intercept = grpc::experimental;

struct Counts {
  explicit Counts(Limiter::Options limits) : limiter(limits) {}
  std::mutex mutex;
  Limiter limiter;
};

class CountedCall : public intercept::Interceptor {
 public:
  CountedCall(Counts& counts, grpc::ServerContextBase* context) : counts_(counts), context_(context) {}
  ~CountedCall() override {
    if (connection_.empty()) return;
    const std::lock_guard lock(counts_.mutex);
    counts_.limiter.End(connection_);
  }

  void Intercept(intercept::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(intercept::InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      const std::string peer = context_->peer();
      const std::lock_guard lock(counts_.mutex);
      const absl::Status status = counts_.limiter.Admit(peer, std::chrono::steady_clock::now());
      if (status.ok()) {
        connection_ = peer;
        counts_.limiter.Begin(connection_);
      } else {
        refusal_ = std::string(status.message());
        methods->GetRecvInitialMetadata()->emplace(rpc::kRefusedKey, refusal_);
      }
    }
    methods->Proceed();
  }

 private:
  Counts& counts_;
  grpc::ServerContextBase* const context_;
  std::string connection_;  // once the call counts
  std::string refusal_;     // the metadata's text
};

class CountedCalls : public intercept::ServerInterceptorFactoryInterface {
 public:
  explicit CountedCalls(Limiter::Options limits) : counts_(limits) {}
  intercept::Interceptor* CreateServerInterceptor(intercept::ServerRpcInfo* info) override {
    const Rule* rule = FindRule(info->method());
    if (rule == nullptr || rule->least == Least::kNobody) return nullptr;
    return new CountedCall(counts_, info->server_context());
  }

 private:
  Counts counts_;
};

}  // namespace

std::unique_ptr<intercept::ServerInterceptorFactoryInterface> LimitConnections(Limiter::Options limits) {
  return std::make_unique<CountedCalls>(limits);
}

}  // namespace mixln::services::access
