#include "worker/corpus/content_hash.h"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file/durable.h"
#include "base/file/lock_file.h"
#include "base/file/unique_fd.h"

namespace mixln::worker::corpus {
namespace {

using Json = nlohmann::json;

// A file as young as this may be written again within one tick of its time stamp: it is not remembered.
constexpr int64_t kTooYoungNanoseconds = 2'000'000'000;

std::string Hex(const XXH128_hash_t& hash) {
  return absl::StrFormat("%016x%016x", hash.high64, hash.low64);
}

int64_t Now() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

absl::StatusOr<HashedFile> HashFile(const std::string& path, const std::function<void(uint64_t)>& on_bytes) {
  const auto before = Stamp(path);
  if (!before.ok()) return before.status();
  const base::UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return absl::FailedPreconditionError(absl::StrCat("cannot read ", path, ": ", strerror(errno)));
  posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), XXH3_freeState);
  XXH3_128bits_reset(state.get());
  std::vector<char> buffer(1 << 20);
  for (;;) {
    const ssize_t n = read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base::ErrnoStatus(errno, absl::StrCat("cannot read ", path));
    if (n == 0) break;
    XXH3_128bits_update(state.get(), buffer.data(), static_cast<size_t>(n));
    on_bytes(static_cast<uint64_t>(n));
  }
  const auto after = Stamp(path);
  if (!after.ok()) return after.status();
  if (*after != *before)
    return absl::FailedPreconditionError(absl::StrCat(path, " was changed while it was read: try again"));
  return HashedFile{path, *after, Hex(XXH3_128bits_digest(state.get()))};
}

// What a memory file holds; anything unreadable is forgotten.
std::map<std::string, HashedFile> Recall(const std::filesystem::path& file) {
  std::map<std::string, HashedFile> remembered;
  const auto text = base::ReadFile(file);
  if (!text.ok()) return remembered;
  const Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_array()) return remembered;
  for (const Json& entry : json) {
    if (!entry.is_array() || entry.size() != 5 || !entry[0].is_string() || !entry[1].is_number_unsigned() ||
        !entry[2].is_number_integer() || !entry[3].is_number_unsigned() || !entry[4].is_string())
      continue;
    const FileStamp stamp{entry[1].get<uint64_t>(), entry[2].get<int64_t>(), entry[3].get<uint64_t>()};
    const auto path = entry[0].get<std::string>();
    remembered[path] = HashedFile{path, stamp, entry[4].get<std::string>()};
  }
  return remembered;
}

absl::Status Remember(const std::filesystem::path& file, const std::vector<HashedFile>& hashed) {
  Json json = Json::array();
  for (const HashedFile& entry : hashed)
    if (Now() - entry.stamp.modified_nanoseconds > kTooYoungNanoseconds)
      json.push_back(
          {entry.path, entry.stamp.bytes, entry.stamp.modified_nanoseconds, entry.stamp.inode, entry.hash});
  return base::WriteFileDurably(file, json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

std::string HashOf(std::string_view bytes) {
  return Hex(XXH3_128bits(bytes.data(), bytes.size()));
}

absl::StatusOr<std::vector<HashedFile>> HashFiles(const std::vector<std::string>& paths,
                                                  const std::filesystem::path& memory,
                                                  const std::function<void(uint64_t)>& on_bytes) {
  if (auto status = base::MakeFolders(memory); !status.ok()) return status;
  std::string names;
  for (const std::string& path : paths) names.append(path).push_back('\0');
  const std::filesystem::path file = memory / absl::StrCat(HashOf(names), ".json");
  const auto lock = base::LockFile::Lock(file.string() + ".lock", [&] { on_bytes(0); });
  if (!lock.ok()) return lock.status();

  const std::map<std::string, HashedFile> remembered = Recall(file);
  std::vector<HashedFile> hashed;
  bool all_known = true;
  for (const std::string& path : paths) {
    const auto stamp = Stamp(path);
    if (!stamp.ok()) return stamp.status();
    const auto known = remembered.find(path);
    if (known != remembered.end() && known->second.stamp == *stamp) {
      hashed.push_back(known->second);
      on_bytes(stamp->bytes);
      continue;
    }
    auto file_hash = HashFile(path, on_bytes);
    if (!file_hash.ok()) return file_hash.status();
    hashed.push_back(*std::move(file_hash));
    all_known = false;
  }
  if (!all_known)
    if (auto status = Remember(file, hashed); !status.ok()) return status;
  return hashed;
}

}  // namespace mixln::worker::corpus
