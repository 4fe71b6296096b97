// `export`: a checkpoint as a folder that Hugging Face's transformers loads.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "services/mixlnctl/daemon.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/lookup.h"
#include "services/mixlnctl/program.h"
#include "services/mixlnctl/session.h"

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
