#include "services/mixlnctl/libtorch.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "services/mixlnctl/program.h"

namespace mixln::services::mixlnctl {

const char kLibTorchRequirement[] = "torch==" MIXLN_TORCH_VERSION;

std::filesystem::path LibTorchFolder(const std::filesystem::path& program_folder) {
  return program_folder.parent_path() / MIXLN_LIBTORCH_FOLDER;
}

absl::Status CheckTrainer(const std::filesystem::path& program_folder) {
  const std::filesystem::path trainer = program_folder / "mixln-trainer";
  if (access(trainer.c_str(), X_OK) != 0) {
    return absl::NotFoundError(absl::StrCat("mixln-trainer is not beside mixlnctl in ",
                                            program_folder.string(), ": build or install it there"));
  }
  const auto said = RunToEnd({trainer.string(), "--version"});
  if (said.ok()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("mixln-trainer does not start: ", std::string(said.status().message()),
                   "\n`mixlnctl setup` brings the LibTorch that it needs"));
}

}  // namespace mixln::services::mixlnctl
