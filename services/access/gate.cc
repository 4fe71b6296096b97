#include "services/access/gate.h"

#include <chrono>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/access/rules.h"

namespace mixln::services::access {
namespace {

namespace intercept = grpc::experimental;

// How soon a changed file of tokens or revocations counts.
constexpr std::chrono::seconds kReload{2};

class GateProcessor : public grpc::AuthMetadataProcessor {
 public:
  explicit GateProcessor(Gate& gate) : gate_(gate) {}

  bool IsBlocking() const override { return false; }

  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* connection,
                       OutputMetadata* /*consumed*/, OutputMetadata* /*response*/) override {
    const auto path = metadata.find(":path");
    const std::string method =
        path == metadata.end() ? "" : std::string(path->second.data(), path->second.size());
    const absl::Status status = gate_.Admit(method, metadata, *connection);
    if (status.ok()) return grpc::Status::OK;
    return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
  }

 private:
  Gate& gate_;
};

class TrackedCall : public intercept::Interceptor {
 public:
  TrackedCall(Gate& gate, grpc::ServerContextBase* context) : gate_(gate), context_(context) {}
  ~TrackedCall() override { gate_.End(context_); }

  void Intercept(intercept::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(intercept::InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      const auto caller = gate_.callers().Identify(context_->client_metadata(), *context_->auth_context());
      if (caller.ok()) gate_.Begin(context_, *caller);
    }
    methods->Proceed();
  }

 private:
  Gate& gate_;
  grpc::ServerContextBase* const context_;
};

class TrackedCalls : public intercept::ServerInterceptorFactoryInterface {
 public:
  explicit TrackedCalls(Gate& gate) : gate_(gate) {}
  intercept::Interceptor* CreateServerInterceptor(intercept::ServerRpcInfo* info) override {
    return new TrackedCall(gate_, info->server_context());
  }

 private:
  Gate& gate_;
};

}  // namespace

Gate::Gate(Callers& callers, Options options)
    : callers_(callers),
      options_(std::move(options)),
      limiter_(options_.limits),
      watcher_([this] { Watch(); }) {}

Gate::~Gate() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  stopping_.notify_all();
  watcher_.join();
}

std::shared_ptr<grpc::AuthMetadataProcessor> Gate::Processor() {
  return std::make_shared<GateProcessor>(*this);
}

std::unique_ptr<intercept::ServerInterceptorFactoryInterface> Gate::TrackCalls() {
  return std::make_unique<TrackedCalls>(*this);
}

absl::Status Gate::Admit(const std::string& method, const Callers::Metadata& metadata,
                         const grpc::AuthContext& connection) {
  const Rule* rule = FindRule(method);
  if (rule == nullptr) return absl::UnimplementedError(absl::StrCat("there is no method ", method));
  if (rule->least == Least::kNobody) return absl::OkStatus();
  const auto caller = callers_.Identify(metadata, connection);
  if (!caller.ok()) return caller.status();
  const std::string name = certificate::Format(caller->identity);
  {
    const std::lock_guard lock(mutex_);
    if (auto status = limiter_.Admit(name, std::chrono::steady_clock::now()); !status.ok()) return status;
  }
  absl::Status status = callers_.CheckRevoked(*caller);
  if (status.ok() && !May(caller->identity.role, rule->least))
    status = absl::PermissionDeniedError(
        absl::StrCat(name, " may not call ", method, ": ", Who(rule->least), " may"));
  if (!status.ok() && options_.refused) options_.refused(*caller, method, status);
  return status;
}

void Gate::Begin(grpc::ServerContextBase* context, const Caller& caller) {
  const std::lock_guard lock(mutex_);
  if (open_.emplace(context, caller).second) limiter_.Begin(certificate::Format(caller.identity));
}

void Gate::End(grpc::ServerContextBase* context) {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(context);
  if (found == open_.end()) return;
  limiter_.End(certificate::Format(found->second.identity));
  open_.erase(found);
}

std::optional<Caller> Gate::CallerOf(grpc::ServerContextBase* context) {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(context);
  return found == open_.end() ? std::nullopt : std::optional(found->second);
}

void Gate::Watch() {
  bool good = true;
  std::unique_lock lock(mutex_);
  while (!stopping_.wait_for(lock, kReload, [this] { return stopped_; })) {
    lock.unlock();
    const absl::Status status = callers_.Reload();
    if (options_.trouble && status.ok() != good) options_.trouble(status);
    good = status.ok();
    lock.lock();
    // The lock keeps each context alive: its call cannot end before it has passed End.
    for (const auto& [context, caller] : open_)
      if (!callers_.CheckRevoked(caller).ok()) context->TryCancel();
  }
}

}  // namespace mixln::services::access
