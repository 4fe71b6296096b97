#include "worker/agent/artifacts.h"

#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/failpoint/failpoint.h"
#include "base/file/durable.h"
#include "worker/agent/trash.h"

namespace mixln::worker::agent {
namespace {

namespace fs = std::filesystem;
constexpr char kMarker[] = ".mixln-cluster";
constexpr char kId[] = ".mixln-id";

// Writes a line into a file of the root unless there is one: link() makes it appear whole, and only once if
// several workers come at the same time. `unique`: no other worker says it.
absl::Status WriteOnce(const fs::path& root, const std::string& name, const std::string& line,
                       const std::string& unique) {
  const fs::path temporary = root / absl::StrCat(name, ".", unique, ".", getpid());
  if (auto written = base::WriteFileDurably(temporary, line + "\n"); !written.ok()) return written;
  const int failed = link(temporary.c_str(), (root / name).c_str()) == 0 || errno == EEXIST ? 0 : errno;
  unlink(temporary.c_str());
  if (failed != 0) return base::ErrnoStatus(failed, absl::StrCat("cannot mark ", root.string()));
  return base::SyncFolder(root);
}

absl::StatusOr<std::string> ReadLine(const fs::path& path) {
  auto text = base::ReadFile(path);
  if (!text.ok()) return text.status();
  return std::string(absl::StripSuffix(*text, "\n"));
}

// The name of something in the root that is not of a cluster's; empty: there is nothing.
std::string StrangeThingIn(const fs::path& root) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    std::string name = entry.path().filename();
    if (name != "data" && name.rfind(kMarker, 0) != 0 && name.rfind(kId, 0) != 0) return name;
  }
  return "";
}

}  // namespace

absl::StatusOr<std::string> IdentifyArtifacts(const fs::path& root, const std::string& cluster_id,
                                              const std::string& fresh_id) {
  auto id = ReadLine(root / kId);
  if (!absl::IsNotFound(id.status())) return id;
  const auto owner = ReadLine(root / kMarker);
  const bool ours = owner.ok() ? *owner == cluster_id : StrangeThingIn(root).empty();
  if (!ours) return "";  // ClaimArtifacts says it
  if (auto made = base::MakeFolders(root); !made.ok()) return made;
  if (auto written = WriteOnce(root, kId, fresh_id, fresh_id); !written.ok()) return written;
  return ReadLine(root / kId);
}

absl::Status ClaimArtifacts(const fs::path& root, const std::string& cluster_id) {
  if (auto made = base::MakeFolders(root); !made.ok()) return made;
  auto owner = ReadLine(root / kMarker);
  if (absl::IsNotFound(owner.status())) {
    if (const std::string strange = StrangeThingIn(root); !strange.empty())
      return absl::FailedPreconditionError(absl::StrCat(
          "the artifacts folder ", root.string(), " has no marker of a cluster, but is not empty (", strange,
          "): choose an empty folder with --artifacts, or mount the right volume there"));
    if (auto written = WriteOnce(root, kMarker, cluster_id, cluster_id); !written.ok()) return written;
    owner = ReadLine(root / kMarker);
  }
  if (!owner.ok()) return owner.status();
  if (*owner == cluster_id) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the artifacts folder ", root.string(), " belongs to cluster ", *owner,
      ", but the coordinator's cluster is ", cluster_id, ": choose another folder with --artifacts"));
}

absl::Status CheckArtifacts(const fs::path& root) {
  std::error_code error;
  if (fs::exists(root / kMarker, error)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("the artifacts folder ", root.string(),
                                                    " has lost its marker ", kMarker,
                                                    ": is its volume not mounted any more?"));
}

absl::StatusOr<fs::path> ArtifactPath(const fs::path& root, const std::string& relative) {
  const fs::path path(relative);
  bool plain = !path.empty() && path.is_relative();
  for (const fs::path& part : path) plain = plain && part != "." && part != ".." && !part.empty();
  if (!plain)
    return absl::InvalidArgumentError(
        absl::StrCat("\"", relative, "\" is no path below the artifacts folder ", root.string()));
  return root / path;
}

absl::StatusOr<fs::path> AttemptDir(const fs::path& root, const std::string& trial_dir,
                                    const v1::Fence& fence) {
  auto path = ArtifactPath(root, trial_dir);
  if (!path.ok()) return path.status();
  return *path / absl::StrCat(fence.term(), "-", fence.epoch());
}

absl::StatusOr<fs::path> LogPath(const fs::path& root, const std::string& trial_dir, const v1::Fence& fence,
                                 int32_t rank) {
  auto attempt_dir = AttemptDir(root, trial_dir, fence);
  if (!attempt_dir.ok()) return attempt_dir.status();
  return *attempt_dir / "logs" / absl::StrCat("rank-", rank, ".log");
}

absl::Status DeleteArtifact(const fs::path& root, const std::string& relative, const std::string& name) {
  auto path = ArtifactPath(root, relative);
  if (!path.ok()) return path.status();
  fs::path prefix = root;
  for (const fs::path& part : fs::path(relative)) {
    prefix /= part;
    std::error_code error;
    if (fs::is_symlink(fs::symlink_status(prefix, error)))
      return absl::InvalidArgumentError(
          absl::StrCat("not deleting ", path->string(), ": ", prefix.string(), " is a link"));
  }
  const auto failed = [&](const std::error_code& why) {
    return base::ErrnoStatus(why.value(), absl::StrCat("cannot delete ", path->string()));
  };
  const fs::path trash = TrashFolder(root);
  std::error_code error(base::failpoint::Hit("worker.delete", relative), std::generic_category());
  if (error) return failed(error);
  const fs::file_status found = fs::symlink_status(*path, error);
  if (found.type() == fs::file_type::not_found) return absl::OkStatus();
  if (!fs::status_known(found)) return failed(error);
  fs::create_directory(trash, error);
  if (fs::is_symlink(fs::symlink_status(trash, error)))
    return absl::InvalidArgumentError(
        absl::StrCat("not deleting ", path->string(), ": ", trash.string(), " is a link"));
  fs::rename(*path, trash / name, error);
  // There is no room for the trash itself, say, or the folder is a volume of its own.
  if (error) fs::remove_all(*path, error);
  return error ? failed(error) : absl::OkStatus();
}

}  // namespace mixln::worker::agent
