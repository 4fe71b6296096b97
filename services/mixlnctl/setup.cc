// `setup`: brings LibTorch, which the packages leave out.
#include <CLI/CLI.hpp>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "base/file/durable.h"
#include "base/file/lock_file.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/libtorch.h"
#include "services/mixlnctl/program.h"
#include "services/mixlnctl/session.h"

namespace mixln::services::mixlnctl {
namespace {

namespace fs = std::filesystem;

constexpr uintmax_t kNeededBytes = 8'000'000'000;  // 5.0 GB stay; pip unpacks the largest wheel beside itself

absl::Status CheckSpace(const fs::path& folder) {
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  if (error || space.available >= kNeededBytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("LibTorch needs ", kNeededBytes / 1'000'000'000, " GB at ",
                                                   folder.string(), ", and only ",
                                                   space.available / 1'000'000, " MB are free there"));
}

// The folder with libtorch_cpu.so in the environment, relative to the environment's parent; the Python
// release is part of it.
absl::StatusOr<fs::path> Libraries(const fs::path& folder) {
  std::error_code error;
  for (const auto& python : fs::directory_iterator(folder / "venv" / "lib", error)) {
    const fs::path libraries = python.path() / "site-packages" / "torch" / "lib";
    if (fs::exists(libraries / "libtorch_cpu.so", error)) return libraries.lexically_relative(folder);
  }
  return absl::InternalError(absl::StrCat(
      kLibTorchRequirement, " was installed, but has no libtorch_cpu.so below ", (folder / "venv").string()));
}

// The link is made last: where it is, LibTorch is whole.
absl::Status Link(const fs::path& target, const fs::path& link) {
  const fs::path made = link.string() + ".tmp";
  std::error_code error;
  fs::remove(made, error);
  fs::create_directory_symlink(target, made, error);
  if (!error) fs::rename(made, link, error);
  return error ? base::ErrnoStatus(error.value(), absl::StrCat("cannot link ", link.string()))
               : absl::OkStatus();
}

absl::Status Install(Io& io, const fs::path& folder) {
  const fs::path venv = folder / "venv";
  if (auto enough = CheckSpace(folder); !enough.ok()) return enough;
  io.err << "making a private Python environment in " << venv.string() << std::endl;
  if (auto made = RunInView({"python3", "-m", "venv", "--clear", venv.string()}); !made.ok()) {
    return absl::Status(made.code(),
                        absl::StrCat(std::string(made.message()),
                                     "\nIs python3-venv installed? `apt-get install python3-venv`"));
  }
  io.err << "installing " << kLibTorchRequirement
         << " into it: 2.5 GB to download and 5 GB on disk, a minute or more" << std::endl;
  if (auto got = RunInView({(venv / "bin" / "python").string(), "-m", "pip", "install",
                            "--disable-pip-version-check", "--no-cache-dir", "--no-compile",
                            "--only-binary=:all:", kLibTorchRequirement});
      !got.ok()) {
    return absl::Status(
        got.code(), absl::StrCat(std::string(got.message()), "\npip could not install ", kLibTorchRequirement,
                                 ", see above; `mixlnctl setup` tries again"));
  }
  auto libraries = Libraries(folder);
  return libraries.ok() ? Link(*libraries, folder / "lib") : libraries.status();
}

absl::StatusOr<int> Setup(Session& session) {
  Io& io = session.io;
  const absl::Status before = CheckTrainer(io.program_folder);
  if (before.ok()) {
    io.err << "mixln-trainer finds LibTorch: nothing to do\n";
    return kOk;
  }
  if (absl::IsNotFound(before)) return before;
  const fs::path folder = LibTorchFolder(io.program_folder);
  if (auto made = base::MakeFolders(folder); !made.ok()) {
    return absl::Status(made.code(),
                        absl::StrCat(std::string(made.message()), ": run `sudo mixlnctl setup`"));
  }
  auto lock = base::LockFile::Lock(folder / "lock");  // two at once would write into one environment
  if (!lock.ok()) return lock.status();
  if (auto installed = Install(io, folder); !installed.ok()) return installed;
  if (auto starts = CheckTrainer(io.program_folder); !starts.ok()) return starts;
  io.err << "ready: mixln-trainer finds LibTorch in " << folder.string() << "\nnext:\n  mixlnctl up\n";
  return kOk;
}

}  // namespace

void AddSetupCommand(CLI::App& app, Session& session) {
  CLI::App* setup =
      app.add_subcommand("setup",
                         "Bring LibTorch, which an installed mixln-trainer needs and no package holds")
          ->group("Start");
  setup->footer(
      "It comes with pip, as pip is set up on this machine, into a private environment below the folder "
      "where MixLN is installed.\n"
      "Once is enough; after an upgrade of MixLN that needs another LibTorch, `mixlnctl up` asks for it.");
  setup->callback([&session] { session.action = [&session] { return Setup(session); }; });
}

}  // namespace mixln::services::mixlnctl
