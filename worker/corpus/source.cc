#include "worker/corpus/source.h"

#include <glob.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "worker/corpus/byte_stream.h"
#include "worker/corpus/utf8.h"

namespace mixln::worker::corpus {
namespace {

constexpr size_t kLookBytes = 1 << 20;

bool IsNamedJsonl(std::string_view path) {
  for (const std::string_view suffix : {".gz", ".gzip", ".zst", ".zstd"}) {
    if (path.ends_with(suffix)) {
      path.remove_suffix(suffix.size());
      break;
    }
  }
  return path.ends_with(".json") || path.ends_with(".jsonl") || path.ends_with(".ndjson");
}

bool BeginsLikeJsonl(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  if (!text.starts_with('{')) return false;
  const auto line =
      nlohmann::json::parse(text.substr(0, text.find('\n')), nullptr, /*allow_exceptions=*/false);
  return line.is_object() && line.contains("text") && line["text"].is_string();
}

// Bytes of an unfinished character at the end.
size_t TornTailBytes(std::string_view text) {
  for (size_t tail = 1; tail <= 3 && tail <= text.size(); ++tail) {
    const auto byte = static_cast<unsigned char>(text[text.size() - tail]);
    if (byte >= 0xC0) return tail;
    if (byte < 0x80) return 0;
  }
  return 0;
}

}  // namespace

std::vector<std::string> ExpandSources(const std::vector<std::string>& patterns,
                                       std::vector<std::string>& problems) {
  std::vector<std::string> files;
  for (const std::string& pattern : patterns) {
    struct stat about {};
    if (stat(pattern.c_str(), &about) == 0) {  // a path, even one with a star in its name
      files.push_back(pattern);
      continue;
    }
    glob_t found{};
    if (glob(pattern.c_str(), GLOB_BRACE | GLOB_TILDE, nullptr, &found) == 0)
      files.insert(files.end(), found.gl_pathv, found.gl_pathv + found.gl_pathc);
    if (found.gl_pathc == 0)
      problems.push_back(pattern.find_first_of("*?[{") == std::string::npos
                             ? absl::StrCat("there is no file ", pattern)
                             : absl::StrCat("no file matches ", pattern));
    globfree(&found);
  }
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

absl::StatusOr<FileLook> Look(const std::string& path) {
  auto stream = ByteStream::Open(path);
  if (!stream.ok()) return stream.status();
  std::string look(kLookBytes, '\0');
  size_t filled = 0;
  while (filled < look.size()) {
    auto n = stream->Read(look.data() + filled, look.size() - filled);
    if (!n.ok()) return n.status();
    if (*n == 0) break;
    filled += *n;
  }
  look.resize(filled);
  if (look.find_first_not_of(" \t\r\n\f\v") == std::string::npos)
    return absl::FailedPreconditionError(absl::StrCat(path, " is empty"));
  if (const size_t nul = look.find('\0'); nul != std::string::npos)
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is not text: byte ", nul, " is NUL (text must be UTF-8)"));
  // A character that the end of the look cuts in two is no fault.
  if (filled == kLookBytes) look.resize(filled - TornTailBytes(look));
  FileLook seen;
  seen.layout = IsNamedJsonl(path) || BeginsLikeJsonl(look) ? Layout::kJsonl : Layout::kText;
  seen.invalid_utf8 = ReplaceInvalidUtf8(look);
  if (seen.invalid_utf8 > filled / 4)
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is not UTF-8 text: ", seen.invalid_utf8 * 100 / filled,
                     "% of its beginning is not; convert it with iconv"));
  return seen;
}

absl::StatusOr<FileStamp> Stamp(const std::string& path) {
  struct stat about {};
  if (stat(path.c_str(), &about) != 0)
    return absl::FailedPreconditionError(absl::StrCat("cannot read ", path, ": ", strerror(errno)));
  return FileStamp{static_cast<uint64_t>(about.st_size),
                   static_cast<int64_t>(about.st_mtim.tv_sec) * 1'000'000'000 + about.st_mtim.tv_nsec,
                   about.st_ino};
}

}  // namespace mixln::worker::corpus
