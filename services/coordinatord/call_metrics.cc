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
  CallCounter(Metrics& metrics, std::string method) : metrics_(metrics), method_(std::move(method)) {}

  void Intercept(intercept::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(intercept::InterceptionHookPoints::PRE_SEND_STATUS)) {
      const auto code = static_cast<absl::StatusCode>(methods->GetSendStatus().error_code());
      metrics_.ObserveCall(method_, absl::StatusCodeToString(code),
                           std::chrono::duration<double>(Clock::now() - begin_).count());
    }
    methods->Proceed();
  }

 private:
  Metrics& metrics_;
  const std::string method_;
  const Clock::time_point begin_ = Clock::now();
};

class Factory : public intercept::ServerInterceptorFactoryInterface {
 public:
  explicit Factory(Metrics& metrics) : metrics_(metrics) {}
  intercept::Interceptor* CreateServerInterceptor(intercept::ServerRpcInfo* info) override {
    return new CallCounter(metrics_, info->method());
  }

 private:
  Metrics& metrics_;
};

}  // namespace

std::unique_ptr<intercept::ServerInterceptorFactoryInterface> CountCalls(Metrics& metrics) {
  return std::make_unique<Factory>(metrics);
}

}  // namespace mixln::services::coordinatord
