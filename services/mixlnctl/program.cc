#include "services/mixlnctl/program.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/file/durable.h"
#include "base/file/unique_fd.h"

extern char** environ;

namespace mixln::services::mixlnctl {
namespace {

// Starts the program with both its streams on `output`; its pid.
absl::StatusOr<pid_t> Start(std::vector<std::string>& words, int output) {
  const std::vector<char*> argv = Argv(words);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, argv[0], &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) return base::ErrnoStatus(error, absl::StrCat("cannot start ", words[0]));
  return pid;
}

// Waits for the end. OK for exit code 0; else FAILED_PRECONDITION that says how `name` ended.
absl::Status End(pid_t pid, const std::string& name) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(WIFEXITED(status)
                                           ? absl::StrCat(name, " exited with code ", WEXITSTATUS(status))
                                           : absl::StrCat(name, " was ended by signal ", WTERMSIG(status)));
}

}  // namespace

std::vector<char*> Argv(std::vector<std::string>& words) {
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  return argv;
}

absl::StatusOr<std::string> RunToEnd(std::vector<std::string> words) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return base::ErrnoStatus(errno, "cannot make a pipe");
  const base::UniqueFd read_end(ends[0]);
  base::UniqueFd write_end(ends[1]);
  auto pid = Start(words, write_end.get());
  if (!pid.ok()) return pid.status();
  write_end = base::UniqueFd();
  std::string said;
  char buffer[4096];
  for (ssize_t count = 0; (count = read(read_end.get(), buffer, sizeof buffer)) != 0;) {
    if (count > 0) said.append(buffer, static_cast<size_t>(count));
    if (count < 0 && errno != EINTR) break;
  }
  absl::StripTrailingAsciiWhitespace(&said);
  const absl::Status end = End(*pid, words[0]);
  if (end.ok()) return said;
  return said.empty() ? end : absl::FailedPreconditionError(said);
}

absl::Status RunInView(std::vector<std::string> words) {
  auto pid = Start(words, STDERR_FILENO);
  return pid.ok() ? End(*pid, words[0]) : pid.status();
}

}  // namespace mixln::services::mixlnctl
