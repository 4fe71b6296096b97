#include "services/mixlnctl/data_check.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "worker/prepare/inspect.h"

namespace mixln::services::mixlnctl {

DataFindings CheckData(const v1::DataSpec& data, int64_t tokens_per_batch) {
  DataFindings findings;
  const auto facts = worker::prepare::Inspect(data, tokens_per_batch);
  if (!facts.ok()) {
    findings.problems = absl::StrSplit(std::string(facts.status().message()), '\n', absl::SkipEmpty());
    return findings;
  }
  if (facts->invalid_utf8 > 0) {
    findings.notes.push_back(
        absl::StrCat(facts->invalid_utf8,
                     " invalid UTF-8 sequences at the beginnings of the files; each is replaced by U+FFFD"));
  }
  return findings;
}

}  // namespace mixln::services::mixlnctl
