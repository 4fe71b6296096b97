#include "worker/trainer/file/patient_write.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <thread>

#include "base/failpoint/failpoint.h"
#include "base/file/unique_fd.h"
#include "worker/pulse/pulse.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::file {

WriteOptions::WriteOptions()
    : write(::write), wait([] {
        pulse::Beat();
        std::this_thread::sleep_for(std::chrono::seconds(1));
      }) {}

ssize_t Patiently(const char* verb, const std::string& name, const WriteOptions& options,
                  const std::function<ssize_t()>& call) {
  bool said = false;
  while (true) {
    const ssize_t result = base::failpoint::Call(std::string("file.") + verb, name, call);
    if (result >= 0) {
      if (said) std::fprintf(stderr, "there is room again: going on with %s\n", name.c_str());
      return result;
    }
    if (errno == EINTR) continue;
    const std::string problem = std::string("cannot ") + verb + " " + name + ": " + std::strerror(errno);
    if (errno != ENOSPC && errno != EDQUOT) throw error::InputOutputError(problem);
    if (!said) std::fprintf(stderr, "%s; waiting until there is room\n", problem.c_str());
    said = true;
    options.wait();
  }
}

void WriteAll(int fd, std::string_view bytes, const std::string& name, const WriteOptions& options) {
  while (!bytes.empty()) {
    const ssize_t written =
        Patiently("write", name, options, [&] { return options.write(fd, bytes.data(), bytes.size()); });
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void Sync(int fd, const std::string& name, const WriteOptions& options) {
  Patiently("sync", name, options, [&] { return static_cast<ssize_t>(fsync(fd)); });
}

void MakeFolders(const std::string& folder, const WriteOptions& options) {
  const std::filesystem::path path(folder);
  if (folder.empty() || std::filesystem::is_directory(path)) return;
  const std::string parent = path.parent_path().string();
  if (parent != folder) MakeFolders(parent, options);
  Patiently("make folder", folder, options,
            [&]() -> ssize_t { return mkdir(folder.c_str(), 0755) == 0 || errno == EEXIST ? 0 : -1; });
  SyncFolder(parent.empty() ? "." : parent, options);
}

void SyncFolder(const std::string& folder, const WriteOptions& options) {
  base::UniqueFd fd(static_cast<int>(Patiently("open folder", folder, options, [&] {
    return static_cast<ssize_t>(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  })));
  Sync(fd.get(), folder, options);
}

}  // namespace mixln::worker::trainer::file
