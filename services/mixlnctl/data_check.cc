#include "services/mixlnctl/data_check.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "worker/prepare/inspect.h"
#include "worker/prepare/model_file.h"

namespace mixln::services::mixlnctl {

DataFindings CheckData(const v1::DataSpec& data, int64_t tokens_per_batch, int32_t vocab_size) {
  DataFindings findings;
  std::string tokenizer_problem;
  if (const std::string& model = data.tokenizer().model(); !model.empty()) {
    if (const auto pieces = worker::prepare::CountPieces(model); !pieces.ok()) {
      tokenizer_problem = std::string(pieces.status().message());
      findings.problems.push_back({"data.tokenizer.model", tokenizer_problem});
    } else if (vocab_size > 0 && vocab_size != *pieces) {
      findings.problems.push_back(
          {"model.vocab_size",
           absl::StrCat("vocabulary of ", vocab_size, " is not that of the tokenizer, ", *pieces,
                        ": leave it out, or give another data.tokenizer.model")});
    }
  }
  const auto facts = worker::prepare::Inspect(data, tokens_per_batch);
  if (!facts.ok()) {
    for (const auto line : absl::StrSplit(std::string(facts.status().message()), '\n', absl::SkipEmpty()))
      if (line != tokenizer_problem) findings.problems.push_back({"data.source", std::string(line)});
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
