// A sweep file as `validate` and `submit` read it: parsed, its paths made absolute, its data looked at; with
// all that is wrong with it at once.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/sweep/problem.h"
#include "mixln/v1/sweep.pb.h"
#include "services/mixlnctl/io.h"

namespace mixln::services::mixlnctl {

struct SweepFileOptions {
  std::string path;  // "-": standard input, whose relative paths start at the working directory
  std::string name;  // instead of the file's metadata.name; empty: that one
  bool allow_large = false;
  bool skip_data_check = false;  // the data is on the workers only: paths are sent as they are written
};

struct SweepFile {
  std::string display_name = {};  // for messages
  std::string text = {};
  std::string name = {};
  v1::SweepSpec spec = {};              // globs of data.source expanded, all paths absolute
  std::vector<v1::Cell> cells = {};     // expanded; empty when there are problems
  std::vector<std::string> notes = {};  // of the expansion, and of the data
  std::vector<coordinator::sweep::Problem> problems = {};  // empty: the sweep is valid
};

// NOT_FOUND and the like when the file cannot be read; problems of its contents are in `problems`.
absl::StatusOr<SweepFile> LoadSweepFile(Io& io, const SweepFileOptions& options);

// The problems in the order of the file, each with its source line and a caret below the column when
// `with_source`.
std::string ProblemText(const SweepFile& file, const Style& style, bool with_source);

// The line and column (from 1) of a field such as "spec.data.source[1]" in a file that parses as YAML; of the
// nearest field around it that is there.
struct Position {
  int line = 1;
  int column = 1;
};
Position FindField(const std::string& text, const std::string& path);

}  // namespace mixln::services::mixlnctl
