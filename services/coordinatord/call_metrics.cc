#include "services/coordinatord/call_metrics.h"

#include <chrono>
#include <string>

#include "absl/status/status.h"

namespace mixln::services::coordinatord {
namespace {

using Clock = std::chrono::steady_clock;
namespace intercept = grpc::experimental;

class CallCounter : public intercept::Interceptor {
 public:
  CallCounter(Metrics& metrics, const grpc::experimental::ServerRpcInfo& call)
      : metrics_(metrics),
        method_(call.method()),
        unary_(call.type() == grpc::experimental::ServerRpcInfo::Type::UNARY) {}

  void Intercept(intercept::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(intercept::InterceptionHookPoints::PRE_SEND_STATUS)) {
      const auto code = static_cast<absl::StatusCode>(methods->GetSendStatus().error_code());
      metrics_.ObserveCall(method_, absl::StatusCodeToString(code),
                           std::chrono::duration<double>(Clock::now() - begin_).count());
      // Streams count theirs by kind.
      if (unary_ && code == absl::StatusCode::kInvalidArgument) metrics_.CountRefused("invalid_request");
    }
    methods->Proceed();
  }

 private:
  Metrics& metrics_;
  const std::string method_;
  const bool unary_;
  const Clock::time_point begin_ = Clock::now();
};

class Factory : public intercept::ServerInterceptorFactoryInterface {
 public:
  explicit Factory(Metrics& metrics) : metrics_(metrics) {}
  intercept::Interceptor* CreateServerInterceptor(intercept::ServerRpcInfo* info) override {
    return new CallCounter(metrics_, *info);
  }

 private:
  Metrics& metrics_;
};

}  // namespace

std::unique_ptr<intercept::ServerInterceptorFactoryInterface> CountCalls(Metrics& metrics) {
  return std::make_unique<Factory>(metrics);
}

}  // namespace mixln::services::coordinatord
