// Reads a sweep file. The messages of proto/mixln/v1/spec.proto are its schema: their field names are the
// file's keys, their enum values are written in lower case without the prefix. docs/sweep-file.md is the
// reference for users.
#pragma once

#include <string>
#include <vector>

#include "coordinator/sweep/problem.h"
#include "mixln/v1/sweep.pb.h"

namespace mixln::coordinator::sweep {

struct ParseResult {
  std::string name;  // metadata.name
  v1::SweepSpec
      spec;  // what the file says and the defaults for what it does not; presets are not yet resolved
  std::vector<Problem> problems;  // all of them, in the order of the file; empty: the spec is valid
};

// Parses and validates (validate.h) the text of a sweep file. `file_name` is for messages only. Never throws,
// whatever the text; `name` and `spec` are to be used only when there is no problem. Paths in data.source and
// data.tokenizer.model are kept as written.
ParseResult Parse(const std::string& text, const std::string& file_name, bool allow_large);

}  // namespace mixln::coordinator::sweep
