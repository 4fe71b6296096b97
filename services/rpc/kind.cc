#include "services/rpc/kind.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace mixln::services::rpc {
namespace {

std::string FieldName(const google::protobuf::Message& message, int number) {
  const auto* field = message.GetDescriptor()->FindFieldByNumber(number);
  return field == nullptr ? "nothing" : field->name();
}

}  // namespace

std::string Kind(const v1::CoordinatorMessage& message) {
  return FieldName(message, message.message_case());
}

std::string Kind(const v1::WorkerMessage& message) {
  return message.has_events() ? Kind(message.events()) : FieldName(message, message.message_case());
}

std::string Kind(const v1::EventBatch& batch) {
  std::set<std::string> kinds;
  for (const v1::RankEvent& event : batch.events()) kinds.insert(FieldName(event, event.event_case()));
  return absl::StrCat("events ", absl::StrJoin(kinds, " "));
}

}  // namespace mixln::services::rpc
