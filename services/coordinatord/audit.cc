#include "services/coordinatord/audit.h"

#include <fcntl.h>
#include <google/protobuf/message.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file/durable.h"
#include "mixln/v1/sweep.pb.h"
#include "services/access/rules.h"

namespace mixln::services::coordinatord {
namespace {

namespace intercept = grpc::experimental;

// Its messages come as bytes; the caller's name says which worker it is.
constexpr char kConnect[] = "/mixln.v1.WorkerSessionService/Connect";

// The field's text, if the message has such a field.
std::string TextField(const google::protobuf::Message& message, const char* name) {
  const auto* field = message.GetDescriptor()->FindFieldByName(name);
  if (field == nullptr || field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_STRING) return "";
  return message.GetReflection()->GetString(message, field);
}

class RecordedCall : public intercept::Interceptor {
 public:
  RecordedCall(AuditLog& log, access::Gate* gate, intercept::ServerRpcInfo* info)
      : log_(log), gate_(gate), info_(info) {}

  void Intercept(intercept::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(intercept::InterceptionHookPoints::POST_RECV_MESSAGE) &&
        info_->method() != std::string(kConnect) && methods->GetRecvMessage() != nullptr)
      Read(*static_cast<const google::protobuf::Message*>(methods->GetRecvMessage()));
    if (methods->QueryInterceptionHookPoint(intercept::InterceptionHookPoints::PRE_SEND_STATUS))
      Write(methods->GetSendStatus());
    methods->Proceed();
  }

 private:
  void Read(const google::protobuf::Message& request) {
    const auto* create = dynamic_cast<const v1::CreateSweepRequest*>(&request);
    only_asked_ = create != nullptr && create->validate_only();
    entry_.request_id = TextField(request, "request_id");
    for (const char* name : {"sweep_id", "trial_id", "worker_id"})
      if (entry_.about.empty()) entry_.about = TextField(request, name);
  }

  void Write(const grpc::Status& status) {
    if (only_asked_) return;
    const auto caller = gate_ == nullptr ? std::nullopt : gate_->CallerOf(info_->server_context());
    entry_.who = caller ? certificate::Format(caller->identity) : "anybody";
    if (caller) entry_.certificate = caller->serial;
    entry_.from = info_->server_context()->peer();
    entry_.method = info_->method();
    entry_.outcome = absl::StatusCodeToString(static_cast<absl::StatusCode>(status.error_code()));
    log_.Write(entry_, absl::Now());
  }

  AuditLog& log_;
  access::Gate* const gate_;
  intercept::ServerRpcInfo* const info_;
  AuditEntry entry_;
  bool only_asked_ = false;  // a sweep that is only checked changes nothing
};

class RecordedCalls : public intercept::ServerInterceptorFactoryInterface {
 public:
  RecordedCalls(AuditLog& log, access::Gate* gate) : log_(log), gate_(gate) {}

  intercept::Interceptor* CreateServerInterceptor(intercept::ServerRpcInfo* info) override {
    const access::Rule* rule = access::FindRule(info->method());
    return rule != nullptr && rule->changes ? new RecordedCall(log_, gate_, info) : nullptr;
  }

 private:
  AuditLog& log_;
  access::Gate* const gate_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(const std::filesystem::path& file) {
  base::UniqueFd fd(open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return base::ErrnoStatus(errno, absl::StrCat("cannot open the audit log ", file.string()));
  return std::unique_ptr<AuditLog>(new AuditLog(std::move(fd)));
}

void AuditLog::Write(const AuditEntry& entry, absl::Time now) {
  nlohmann::ordered_json json{{"time", absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", now, absl::UTCTimeZone())}};
  for (const auto& [key, value] :
       {std::pair{"who", &entry.who}, std::pair{"certificate", &entry.certificate},
        std::pair{"from", &entry.from}, std::pair{"method", &entry.method}, std::pair{"about", &entry.about},
        std::pair{"request_id", &entry.request_id}, std::pair{"outcome", &entry.outcome}})
    if (!value->empty()) json[key] = *value;
  // What a caller sent is no UTF-8 by necessity.
  const std::string line = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  const std::lock_guard lock(mutex_);
  if (write(file_.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    spdlog::error("the audit log cannot be written, so here is its line: {}",
                  line.substr(0, line.size() - 1));
}

std::unique_ptr<intercept::ServerInterceptorFactoryInterface> RecordChanges(AuditLog& log,
                                                                            access::Gate* gate) {
  return std::make_unique<RecordedCalls>(log, gate);
}

}  // namespace mixln::services::coordinatord
