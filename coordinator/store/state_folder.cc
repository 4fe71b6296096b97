#include "coordinator/store/state_folder.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file/durable.h"

namespace mixln::coordinator::store {
namespace {

struct FileSystem {
  uint32_t type;
  const char* name;
};

// From statfs(2); linux/magic.h has only some of them.
constexpr FileSystem kNetworkFileSystems[] = {
    {NFS_SUPER_MAGIC, "NFS"}, {SMB_SUPER_MAGIC, "SMB"}, {0xFF534D42, "CIFS"},   {0xFE534D42, "SMB2"},
    {AFS_SUPER_MAGIC, "AFS"}, {0x00C36400, "Ceph"},     {0x0BD00BD0, "Lustre"}, {0x47504653, "GPFS"},
    {0x01161970, "GFS2"},     {0x7461636F, "OCFS2"},    {0x19830326, "BeeGFS"}, {CODA_SUPER_MAGIC, "Coda"},
};

absl::Status CannotUse(const std::filesystem::path& folder, const absl::Status& reason) {
  return {reason.code(), absl::StrCat("the state folder ", folder.string(), " cannot be used (",
                                      std::string(reason.message()),
                                      "): make it writable for this user, or name another with --state-dir")};
}

}  // namespace

const char* NetworkFileSystem(int64_t statfs_type) {
  for (const auto& file_system : kNetworkFileSystems) {
    if (file_system.type == static_cast<uint32_t>(statfs_type)) return file_system.name;
  }
  return nullptr;
}

absl::StatusOr<base::LockFile> TakeStateFolder(const std::filesystem::path& folder) {
  if (const auto status = base::MakeFolders(folder); !status.ok()) return CannotUse(folder, status);
  struct statfs info {};
  if (statfs(folder.c_str(), &info) != 0)
    return CannotUse(folder, base::ErrnoStatus(errno, absl::StrCat("statfs ", folder.string())));
  if (const char* name = NetworkFileSystem(info.f_type))
    return absl::FailedPreconditionError(absl::StrCat(
        "the state folder ", folder.string(), " lies on a network file system (", name,
        "), where locks and fsync cannot be relied on: name one on a local disk with --state-dir"));
  auto lock = base::LockFile::TryLock(folder / "lock");
  if (absl::IsAlreadyExists(lock.status()))
    return absl::AlreadyExistsError(
        absl::StrCat("the state folder ", folder.string(),
                     " is used by another coordinator: stop that one, or name another "
                     "folder with --state-dir"));
  if (!lock.ok()) return CannotUse(folder, lock.status());
  return lock;
}

}  // namespace mixln::coordinator::store
