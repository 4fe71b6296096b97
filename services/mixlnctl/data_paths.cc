#include "services/mixlnctl/data_paths.h"

#include <glob.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"

namespace mixln::services::mixlnctl {
namespace {

std::string Absolute(const std::filesystem::path& folder, const std::string& path) {
  return std::filesystem::absolute(folder / path).lexically_normal().string();
}

bool HasWildcard(const std::string& path) {
  return path.find_first_of("*?[") != std::string::npos;
}

// The files that match; a folder does not count.
std::vector<std::string> Match(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> files;
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; ++i) {
      std::error_code error;
      if (!std::filesystem::is_directory(found.gl_pathv[i], error)) files.emplace_back(found.gl_pathv[i]);
    }
  }
  globfree(&found);
  return files;
}

}  // namespace

std::vector<PathProblem> ResolvePaths(const std::filesystem::path& folder, v1::TrialSpec& spec) {
  std::vector<PathProblem> problems;
  v1::DataSpec& data = *spec.mutable_data();
  std::set<std::string> files;
  for (int i = 0; i < data.source_size(); ++i) {
    const std::string path = Absolute(folder, data.source(i));
    const std::string field = absl::StrCat("data.source[", i, "]");
    std::error_code error;
    if (std::filesystem::exists(path, error)) {
      if (std::filesystem::is_directory(path, error)) {
        problems.push_back(
            {field, absl::StrCat(path, " is a folder: name its files, such as ", data.source(i), "/*")});
      }
      files.insert(path);
      continue;
    }
    const auto matches = HasWildcard(path) ? Match(path) : std::vector<std::string>{};
    if (matches.empty()) {
      problems.push_back({field, HasWildcard(path) ? absl::StrCat("no file matches ", path)
                                                   : absl::StrCat("there is no file ", path)});
    }
    files.insert(matches.begin(), matches.end());
  }
  if (problems.empty()) data.mutable_source()->Assign(files.begin(), files.end());
  if (data.has_tokenizer() && !data.tokenizer().model().empty()) {
    const std::string path = Absolute(folder, data.tokenizer().model());
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) {
      problems.push_back({"data.tokenizer.model", absl::StrCat("there is no file ", path)});
    }
    data.mutable_tokenizer()->set_model(path);
  }
  if (!spec.init().from().empty()) {
    const std::string path = Absolute(folder, spec.init().from());
    std::error_code error;
    if (!std::filesystem::is_regular_file(path + "/config.json", error)) {
      problems.push_back(
          {"init.from", absl::StrCat(path, " is no folder of a Hugging Face model: it has no config.json")});
    }
    spec.mutable_init()->set_from(path);
  }
  return problems;
}

}  // namespace mixln::services::mixlnctl
