// `export`: a checkpoint as a folder that Hugging Face's transformers loads.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <ostream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/file/durable.h"
#include "base/file/unique_fd.h"
#include "services/mixlnctl/daemon.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/lookup.h"
#include "services/mixlnctl/session.h"

extern char** environ;

namespace mixln::services::mixlnctl {
namespace {

struct ExportCommandOptions {
  std::string trial;
  std::string to;
  int64_t step = -1;  // -1: the last
  std::string dtype = "fp32";
  std::string artifacts;
};

absl::StatusOr<v1::Checkpoint> ChooseCheckpoint(const v1::Trial& trial, int64_t step) {
  std::string known;
  const v1::Checkpoint* chosen = nullptr;
  for (const v1::Checkpoint& checkpoint : trial.checkpoints()) {
    if (checkpoint.bad()) continue;
    absl::StrAppend(&known, known.empty() ? "" : ", ", checkpoint.step());
    if (step < 0 || checkpoint.step() == step) chosen = &checkpoint;
  }
  if (chosen != nullptr) return *chosen;
  if (known.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("trial ", trial.id(), " has no checkpoint to export"));
  }
  return absl::NotFoundError(
      absl::StrCat("trial ", trial.id(), " has no checkpoint of step ", step, ": it has those of ", known));
}

std::filesystem::path ArtifactsRoot(const Io& io, const std::string& given) {
  if (!given.empty()) return given;
  if (const std::string variable = io.env("MIXLN_ARTIFACTS"); !variable.empty()) return variable;
  return DefaultStateFolder(io) / "artifacts";
}

// Runs a program to its end; what it wrote to both its streams, or FAILED_PRECONDITION with it when it did
// not exit with 0.
absl::StatusOr<std::string> RunToEnd(std::vector<std::string> words) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return base::ErrnoStatus(errno, "cannot make a pipe");
  const base::UniqueFd read_end(ends[0]);
  base::UniqueFd write_end(ends[1]);
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, write_end.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, write_end.get(), STDERR_FILENO);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, argv[0], &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) return base::ErrnoStatus(error, absl::StrCat("cannot start ", words[0]));
  write_end = base::UniqueFd();
  std::string said;
  char buffer[4096];
  for (ssize_t count = 0; (count = read(read_end.get(), buffer, sizeof buffer)) != 0;) {
    if (count > 0) said.append(buffer, static_cast<size_t>(count));
    if (count < 0 && errno != EINTR) break;
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  absl::StripTrailingAsciiWhitespace(&said);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return said;
  if (said.empty()) said = absl::StrCat(words[0], " ended without a word");
  return absl::FailedPreconditionError(said);
}

absl::StatusOr<int> Export(Session& session, const ExportCommandOptions& options) {
  Io& io = session.io;
  auto client = session.Connect();
  if (!client.ok()) return client.status();
  auto trial = FindTrial(**client, options.trial);
  if (!trial.ok()) return trial.status();
  auto checkpoint = ChooseCheckpoint(*trial, options.step);
  if (!checkpoint.ok()) return checkpoint.status();
  const std::filesystem::path root = ArtifactsRoot(io, options.artifacts);
  const std::filesystem::path folder = root / checkpoint->path();
  std::error_code error;
  if (!std::filesystem::exists(folder / "manifest.json", error)) {
    return absl::NotFoundError(absl::StrCat(
        "the checkpoint ", checkpoint->path(), " is not below ", root.string(),
        ": run this where the workers' artifacts root is visible, and name it with --artifacts DIR"));
  }
  const std::filesystem::path trainer = io.program_folder / "mixln-trainer";
  if (access(trainer.c_str(), X_OK) != 0) {
    return absl::NotFoundError(absl::StrCat("mixln-trainer, which exports, is not beside mixlnctl in ",
                                            io.program_folder.string(), ": build or install it there"));
  }
  auto said = RunToEnd({trainer.string(), "export", "--dtype", options.dtype, folder.string(),
                        std::filesystem::absolute(options.to).lexically_normal().string()});
  if (!said.ok()) return said.status();
  io.out << *said << "\n";
  return kOk;
}

}  // namespace

void AddExportCommand(CLI::App& app, Session& session) {
  auto options = std::make_shared<ExportCommandOptions>();
  CLI::App* command =
      app.add_subcommand("export", "Turn a checkpoint into a model that transformers loads")->group("Look");
  command->add_option("trial", options->trial, "The trial")->type_name("TRIAL")->required();
  command->add_option("--to", options->to, "The folder to make")->type_name("FOLDER")->required();
  command->add_option("--step", options->step, "The checkpoint's step (default: the last checkpoint)")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
  command->add_option("--dtype", options->dtype, "Type of the weights")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->type_name("fp32|bf16")
      ->capture_default_str();
  command
      ->add_option("--artifacts", options->artifacts,
                   "The workers' artifacts root (default: MIXLN_ARTIFACTS, else that of `mixlnctl up`)")
      ->type_name("DIR");
  command->callback(
      [&session, options] { session.action = [&session, options] { return Export(session, *options); }; });
}

}  // namespace mixln::services::mixlnctl
