#include "worker/prepare/inspect.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "worker/corpus/byte_stream.h"
#include "worker/corpus/source.h"
#include "worker/prepare/model_file.h"

namespace mixln::worker::prepare {
namespace {

// An upper bound of the tokens that the files hold, counted no further than `enough`: no token stands for
// less than a byte, but for the end of each document, of which a line holds one at most.
absl::StatusOr<int64_t> TokensAtMost(const std::vector<std::string>& files, int64_t enough) {
  std::vector<char> buffer(1 << 18);
  int64_t tokens = 0;
  for (const std::string& file : files) {
    auto stream = corpus::ByteStream::Open(file);
    if (!stream.ok()) return stream.status();
    ++tokens;
    while (tokens < enough) {
      auto n = stream->Read(buffer.data(), buffer.size());
      if (!n.ok()) return n.status();
      if (*n == 0) break;
      const auto end = buffer.begin() + static_cast<ptrdiff_t>(*n);
      tokens += static_cast<int64_t>(*n) + std::count(buffer.begin(), end, '\n');
    }
  }
  return tokens;
}

int32_t CheckTokenizer(const v1::TokenizerSpec& tokenizer, std::vector<std::string>& problems) {
  if (tokenizer.model().empty()) {
    if (!tokenizer.has_train())
      problems.emplace_back("data.tokenizer names neither a model nor one to train");
    return tokenizer.train().vocab();
  }
  const auto pieces = CountPieces(tokenizer.model());
  if (!pieces.ok()) problems.emplace_back(pieces.status().message());
  return pieces.value_or(0);
}

}  // namespace

absl::StatusOr<CorpusFacts> Inspect(const v1::DataSpec& data, int64_t tokens_per_batch) {
  std::vector<std::string> problems;
  CorpusFacts facts;
  const std::vector<std::string> files =
      corpus::ExpandSources({data.source().begin(), data.source().end()}, problems);
  bool all_text = true;
  for (const std::string& file : files) {
    const auto look = corpus::Look(file);
    const auto stamp = corpus::Stamp(file);
    if (!look.ok()) problems.emplace_back(look.status().message());
    if (!look.ok() || !stamp.ok()) continue;
    ++facts.files;
    facts.source_bytes += stamp->bytes;
    facts.invalid_utf8 += look->invalid_utf8;
    all_text = all_text && look->layout == corpus::Layout::kText;
  }
  facts.vocab_size = CheckTokenizer(data.tokenizer(), problems);

  if (problems.empty() && files.size() == 1 && all_text && data.split() == v1::DOCUMENT_SPLIT_FILE)
    problems.push_back(
        absl::StrCat(files.front(),
                     " is one document, so none can be held out for evaluation: set data.split to "
                     "paragraph or line, or give more files"));
  if (problems.empty()) {
    const auto tokens = TokensAtMost(files, tokens_per_batch);
    if (!tokens.ok()) {
      problems.emplace_back(tokens.status().message());
    } else if (*tokens < tokens_per_batch) {
      problems.push_back(absl::StrCat("the corpus (", files.front(), files.size() > 1 ? " and others" : "",
                                      ") is too small: it cannot hold more than ", *tokens,
                                      " tokens, and one batch has ", tokens_per_batch,
                                      "; give more text, or a smaller batch or context"));
    }
  }
  if (!problems.empty()) return absl::FailedPreconditionError(absl::StrJoin(problems, "\n"));
  return facts;
}

}  // namespace mixln::worker::prepare
