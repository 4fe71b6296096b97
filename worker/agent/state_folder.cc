#include "worker/agent/state_folder.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file/durable.h"

namespace mixln::worker::agent {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string RandomId() {
  std::random_device device;
  std::string id;
  for (int i = 0; i < 4; ++i) absl::StrAppendFormat(&id, "%08x", device());
  return id;
}

absl::StatusOr<AttemptRecord> ReadRecord(const fs::path& path) {
  const auto text = base::ReadFile(path);
  if (!text.ok()) return text.status();
  const json value = json::parse(*text, nullptr, false);
  AttemptRecord record;
  const auto bad = [&] {
    return absl::DataLossError(
        absl::StrCat(path.string(), " is no attempt's record; if no trainer of it runs any more, remove ",
                     path.parent_path().string()));
  };
  if (!value.is_object() || !value.contains("reserve")) return bad();
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  if (!google::protobuf::util::JsonStringToMessage(value["reserve"].dump(), &record.reserve, options).ok())
    return bad();
  record.started = value.value("started", false);
  record.over = value.value("over", false);
  if (value.contains("stop")) {
    const json& stop = value["stop"];
    record.stop = session::StopRequest{static_cast<v1::StopMode>(stop.value("mode", 2)),
                                       static_cast<session::StopOrigin>(stop.value("origin", 0)),
                                       stop.value("reason", "")};
  }
  return record;
}

}  // namespace

bool IsPlainName(const std::string& name) {
  if (name.empty() || name.front() == '.' || name.size() > 200) return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

absl::StatusOr<StateFolder> StateFolder::Open(const fs::path& root) {
  if (auto made = base::MakeFolders(root / "attempts"); !made.ok()) return made;
  auto lock = base::LockFile::TryLock(root / "worker.lock");
  if (absl::IsAlreadyExists(lock.status()))
    return absl::AlreadyExistsError(absl::StrCat("another mixln-worker uses the state folder ", root.string(),
                                                 "; give this one its own with --state-dir"));
  if (!lock.ok()) return lock.status();
  StateFolder state(fs::absolute(root), std::move(*lock));
  const auto text = base::ReadFile(root / "worker.json");
  if (text.ok()) {
    const json value = json::parse(*text, nullptr, false);
    if (!value.is_object() || !value.contains("worker_id"))
      return absl::DataLossError(
          absl::StrCat((root / "worker.json").string(), " is damaged; choose another --state-dir"));
    state.worker_id_ = value["worker_id"];
    state.instance_ = value.value("instance", uint64_t{0});
    state.cluster_id_ = value.value("cluster_id", "");
    state.highest_term_ = value.value("highest_term", uint64_t{0});
  } else if (absl::IsNotFound(text.status())) {
    state.worker_id_ = RandomId();
  } else {
    return text.status();
  }
  ++state.instance_;
  if (auto written = state.Write(); !written.ok()) return written;
  return state;
}

absl::Status StateFolder::Write() const {
  const json value{{"worker_id", worker_id_},
                   {"instance", instance_},
                   {"cluster_id", cluster_id_},
                   {"highest_term", highest_term_}};
  return base::WriteFileDurably(root_ / "worker.json", value.dump(2) + "\n");
}

absl::Status StateFolder::KeepTerm(const std::string& cluster_id, uint64_t term) {
  cluster_id_ = cluster_id;
  highest_term_ = std::max(highest_term_, term);
  return Write();
}

fs::path StateFolder::AttemptFolder(const session::AttemptKey& key) const {
  return root_ / "attempts" / key.trial_id / absl::StrCat(key.term, "-", key.epoch);
}

void StateFolder::Note(const AttemptRecord& record) {
  attempts_[session::KeyOf(record.reserve)] = {.trial_dir = record.reserve.trial_dir(), .over = record.over};
}

absl::Status StateFolder::KeepAttempt(const AttemptRecord& record) {
  if (!IsPlainName(record.reserve.trial_id()))
    return absl::InvalidArgumentError(
        absl::StrCat("\"", record.reserve.trial_id(), "\" cannot be a trial's id"));
  const fs::path folder = AttemptFolder(session::KeyOf(record.reserve));
  if (auto made = base::MakeFolders(folder); !made.ok()) return made;
  std::string reserve;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  if (!google::protobuf::util::MessageToJsonString(record.reserve, &reserve, options).ok())
    return absl::InvalidArgumentError("a reservation cannot be written as JSON");
  json value{{"reserve", json::parse(reserve)}, {"started", record.started}, {"over", record.over}};
  if (record.stop)
    value["stop"] = {{"mode", static_cast<int>(record.stop->mode)},
                     {"origin", static_cast<int>(record.stop->origin)},
                     {"reason", record.stop->reason}};
  Note(record);
  return base::WriteFileDurably(folder / "attempt.json", value.dump(2) + "\n");
}

absl::StatusOr<std::vector<AttemptRecord>> StateFolder::LoadAttempts() {
  std::vector<AttemptRecord> records;
  std::error_code error;
  for (const auto& trial : fs::directory_iterator(root_ / "attempts", error)) {
    for (const auto& attempt : fs::directory_iterator(trial.path(), error)) {
      const fs::path path = attempt.path() / "attempt.json";
      if (!fs::exists(path, error))
        continue;  // a folder whose record was never written: nothing was started in it
      auto record = ReadRecord(path);
      if (!record.ok()) return record.status();
      Note(*record);
      records.push_back(std::move(*record));
    }
  }
  std::sort(records.begin(), records.end(), [](const AttemptRecord& a, const AttemptRecord& b) {
    return session::KeyOf(a.reserve) < session::KeyOf(b.reserve);
  });
  return records;
}

std::vector<session::AttemptKey> StateFolder::AttemptsBelow(const std::string& path) const {
  std::vector<session::AttemptKey> keys;
  for (const auto& [key, attempt] : attempts_) {
    if (attempt.trial_dir == path || attempt.trial_dir.rfind(path + "/", 0) == 0) keys.push_back(key);
  }
  return keys;
}

void StateFolder::RemoveOldAttempts(size_t keep) {
  std::vector<session::AttemptKey> over;
  for (const auto& [key, attempt] : attempts_) {
    if (attempt.over) over.push_back(key);
  }
  // Epochs grow over the whole cluster, so they are an order in time.
  std::sort(over.begin(), over.end(), [](const auto& a, const auto& b) { return a.epoch > b.epoch; });
  for (size_t i = keep; i < over.size(); ++i) RemoveAttempt(over[i]);
}

void StateFolder::RemoveAttempt(const session::AttemptKey& key) {
  attempts_.erase(key);
  const fs::path folder = AttemptFolder(key);
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  fs::remove(folder.parent_path(), ignored);  // if it was the trial's last
}

}  // namespace mixln::worker::agent
