// A user's machine for tests: streams that can be read, an environment, and a folder that is gone afterwards.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "services/mixlnctl/app.h"
#include "services/mixlnctl/io.h"

namespace mixln::services::mixlnctl {

struct FakeWorld {
  FakeWorld() : FakeWorld("/tmp/mixlnctl-test-XXXXXX") {}
  explicit FakeWorld(std::string pattern) : folder(mkdtemp(pattern.data())) {}
  ~FakeWorld() { std::filesystem::remove_all(folder); }
  FakeWorld(const FakeWorld&) = delete;
  FakeWorld& operator=(const FakeWorld&) = delete;

  // Runs a command line; the exit code. What it printed is in `Out()` and `Err()`.
  int Run(const std::vector<std::string>& arguments) {
    out.str("");
    err.str("");
    return mixlnctl::Run(arguments, io);
  }
  std::string Out() const { return out.str(); }
  std::string Err() const { return err.str(); }

  // Writes a file below the folder; its path.
  std::string Write(const std::string& name, const std::string& text) {
    const auto path = folder / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path.string();
  }

  std::filesystem::path folder;
  std::map<std::string, std::string> variables{{"HOME", folder.string()},
                                               {"XDG_STATE_HOME", (folder / "state").string()},
                                               {"XDG_CONFIG_HOME", (folder / "config").string()}};
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  Io io{.in = in,
        .out = out,
        .err = err,
        .out_style = {},
        .err_style = {},
        .env =
            [this](const char* name) {
              const auto found = variables.find(name);
              return found == variables.end() ? "" : found->second;
            },
        .program_folder = folder / "bin"};
};

}  // namespace mixln::services::mixlnctl
