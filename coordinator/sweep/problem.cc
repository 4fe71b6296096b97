#include "coordinator/sweep/problem.h"

#include "absl/strings/str_cat.h"

namespace mixln::coordinator::sweep {

std::string Format(const Problem& problem) {
  std::string text;
  if (!problem.file.empty()) absl::StrAppend(&text, problem.file, ":");
  if (problem.line > 0) absl::StrAppend(&text, problem.line, ":", problem.column, ":");
  if (!text.empty()) text += ' ';
  if (!problem.path.empty()) absl::StrAppend(&text, problem.path, ": ");
  return text + problem.message;
}

}  // namespace mixln::coordinator::sweep
