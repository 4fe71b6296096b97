#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file/lock_file.h"
#include "worker/shards/shard_reader.h"
#include "worker/tokenize/encode_corpus.h"
#include "worker/tokenize/ordered_pipeline.h"
#include "worker/tokenize/prepare_dataset.h"
#include "worker/tokenize/request.h"
#include "worker/tokenize/sentencepiece.h"
#include "worker/tokenize/split_rule.h"
#include "worker/tokenize/train_tokenizer.h"

namespace mixln::worker::tokenize {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

// Paragraphs of words drawn by a fixed rule, enough for a small vocabulary.
std::string Story(int paragraphs) {
  const std::vector<std::string> words = {"the", "cat", "sat", "on",    "a",    "mat",   "while",    "dogs",
                                          "ran", "far", "and", "birds", "sang", "songs", "caf\u00E9"};
  std::string story;
  uint32_t state = 1;
  for (int p = 0; p < paragraphs; ++p) {
    for (int w = 0; w < 12; ++w) {
      state = state * 1664525 + 1013904223;
      story += words[(state >> 16) % words.size()] + (w % 6 == 5 ? "\n" : " ");
    }
    story += "\n";
  }
  return story;
}

class Tokenize : public testing::Test {
 protected:
  Tokenize()
      : dir_(fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(dir_);
    fs::create_directories(dir_);
    options_.cache = dir_ / "cache";
    request_.vocab = 300;
    request_.validation_fraction = 0.1;
  }
  ~Tokenize() override { fs::remove_all(dir_); }

  std::string Write(const std::string& name, const std::string& bytes) {
    std::ofstream(dir_ / name, std::ios::binary) << bytes;
    return (dir_ / name).string();
  }
  shards::Dataset Prepare() {
    auto prepared = PrepareDataset(request_, options_);
    EXPECT_TRUE(prepared.ok()) << prepared.status();
    return prepared.ok() ? prepared->dataset : shards::Dataset();
  }
  std::string Complaint() { return std::string(PrepareDataset(request_, options_).status().message()); }

  fs::path dir_;
  PrepareOptions options_;
  Request request_;
};

// The documents' tokens of a split.
std::vector<std::vector<uint32_t>> Documents(const shards::Dataset& dataset, const shards::Split& split) {
  std::vector<std::vector<uint32_t>> documents;
  for (const shards::ShardInfo& info : split.shards) {
    auto shard = shards::ShardReader::Open(dataset.dir, info, dataset.bytes_per_token());
    EXPECT_TRUE(shard.ok() && shard->Verify().ok());
    for (uint64_t d = 0; d < shard->documents(); ++d) {
      documents.emplace_back();
      for (uint64_t i = shard->offset(d); i < shard->offset(d + 1); ++i)
        documents.back().push_back(shard->token(i));
    }
  }
  return documents;
}

TEST_F(Tokenize, TokensStandForExactlyTheBytesOfTheText) {
  request_.source = {Write("a.txt", Story(200) + "tabs\tand \xF0\x9F\x98\x80 too\n")};
  const shards::Dataset dataset = Prepare();
  const auto bytes = *shards::LoadTokenBytes(dataset);
  EXPECT_EQ(bytes[0], 0);
  EXPECT_EQ(bytes[1], 0);
  for (const shards::Split* split : {&dataset.train, &dataset.validation}) {
    uint64_t total = 0;
    for (const auto& document : Documents(dataset, *split)) {
      EXPECT_EQ(document.back(), 1) << "ends with eos";
      for (const uint32_t id : document) total += bytes[id];
    }
    EXPECT_EQ(total, split->text_bytes);
    EXPECT_GT(split->documents, 0);
  }
}

TEST_F(Tokenize, UnigramCountsTheTrainingTokens) {
  request_.source = {Write("a.txt", Story(200))};
  const shards::Dataset dataset = Prepare();
  std::vector<uint64_t> counts(300);
  for (const auto& document : Documents(dataset, dataset.train))
    for (const uint32_t id : document) ++counts[id];
  EXPECT_EQ(*shards::LoadUnigram(dataset), counts);
}

TEST_F(Tokenize, EqualDocumentsAreKeptOnce) {
  request_.source = {Write("a.txt", Story(150)),
                     Write("b.txt", "a new one\n\n" + Story(150) + "a new one\n")};
  const shards::Dataset both = Prepare();
  request_.source = {Write("c.txt", Story(150) + "a new one\n")};
  const shards::Dataset once = Prepare();
  EXPECT_EQ(both.train.documents + both.validation.documents,
            once.train.documents + once.validation.documents);
  EXPECT_EQ(both.duplicates_removed, once.duplicates_removed + 151);
}

TEST_F(Tokenize, InvalidUtf8IsReplacedAndCounted) {
  request_.source = {Write("a.txt", Story(100) + "bad \xFF byte\n\nand \xE2\x82 more\n")};
  EXPECT_EQ(Prepare().invalid_utf8_replaced, 2);
}

TEST_F(Tokenize, AnswersDoNotDependOnThreads) {
  request_.source = {Write("a.txt", Story(20'000))};
  options_.cache = dir_ / "one";
  const shards::Dataset one = Prepare();
  options_.cache = dir_ / "five";
  options_.threads = 5;
  const shards::Dataset five = Prepare();
  EXPECT_EQ(one.dir.filename(), five.dir.filename());
  EXPECT_EQ(one.train.shards.at(0).xxh3_64, five.train.shards.at(0).xxh3_64);
  EXPECT_EQ(one.validation.shards.at(0).xxh3_64, five.validation.shards.at(0).xxh3_64);
}

TEST_F(Tokenize, TheSecondCallFindsTheFirstOnes) {
  request_.source = {Write("a.txt", Story(100))};
  const shards::Dataset first = Prepare();
  auto second = PrepareDataset(request_, options_);
  ASSERT_TRUE(second.ok());
  EXPECT_TRUE(second->from_cache);
  EXPECT_EQ(second->dataset.dir, first.dir);
  request_.validation_fraction = 0.2;
  EXPECT_NE(Prepare().dir, first.dir);
  request_.validation_fraction = 0.1;
  fs::resize_file(first.dir / "train-00000.tokens", 100);  // damaged: made again
  EXPECT_FALSE(PrepareDataset(request_, options_)->from_cache);
  EXPECT_TRUE(PrepareDataset(request_, options_)->from_cache);
}

TEST_F(Tokenize, WhoWaitsForAnotherSaysSoAgainAndAgain) {
  request_.source = {Write("a.txt", Story(100))};
  const fs::path dir = Prepare().dir;
  fs::remove_all(dir);
  std::optional<base::LockFile> held = *base::LockFile::TryLock(options_.cache / ".locks" / dir.filename());
  int waiting = 0;
  options_.on_progress = [&](const Progress& progress) {
    if (progress.phase == "waiting" && ++waiting == 2) held.reset();
  };
  EXPECT_EQ(Prepare().dir, dir);
  EXPECT_EQ(waiting, 2);
}

TEST_F(Tokenize, SmallSplitsGoIntoManyShards) {
  request_.source = {Write("a.txt", Story(300))};
  const shards::Dataset whole = Prepare();
  std::string error;
  std::ifstream file(whole.dir / "tokenizer.model", std::ios::binary);
  const auto tokenizer = SentencePiece::Parse(std::string(std::istreambuf_iterator<char>(file), {}), error);
  ASSERT_NE(tokenizer, nullptr) << error;
  fs::create_directories(dir_ / "small");
  auto cut =
      EncodeCorpus({{request_.source[0], corpus::Layout::kText}}, corpus::Split::kParagraph, *tokenizer,
                   SplitRule(0.1), dir_ / "small", {.threads = 2, .shard_tokens = 100}, [](uint64_t) {});
  ASSERT_TRUE(cut.ok()) << cut.status();
  cut->dataset.dir = dir_ / "small";
  EXPECT_GT(cut->dataset.train.shards.size(), 10);
  EXPECT_EQ(Documents(cut->dataset, cut->dataset.train), Documents(whole, whole.train));
}

TEST_F(Tokenize, ALongDocumentIsEncodedAsIfItWereShort) {
  request_.source = {Write("a.txt", Story(200))};
  const shards::Dataset dataset = Prepare();
  std::string error;
  std::ifstream file(dataset.dir / "tokenizer.model", std::ios::binary);
  const auto tokenizer = SentencePiece::Parse(std::string(std::istreambuf_iterator<char>(file), {}), error);
  const std::string text = Story(40'000);
  ASSERT_GT(text.size(), 2u << 20);
  std::vector<int> whole;
  tokenizer->Encode(text, whole);
  std::vector<int> pieces;
  EncodeDocument(*tokenizer, text, pieces);
  EXPECT_EQ(pieces, whole);
  std::string unbroken = text;
  std::replace(unbroken.begin(), unbroken.end(), '\n', ' ');
  whole.clear();
  pieces.clear();
  tokenizer->Encode(unbroken, whole);
  EncodeDocument(*tokenizer, unbroken, pieces);
  EXPECT_EQ(pieces, whole);
}

TEST_F(Tokenize, AVocabularyThatTheTextCannotFillIsExplained) {
  request_.source = {Write("a.txt", Story(100))};
  request_.vocab = 20'000;
  EXPECT_THAT(
      Complaint(),
      HasSubstr("do not fill a vocabulary of 20000 pieces: set data.tokenizer.train.vocab to at most"));
  request_.vocab = 260;
  EXPECT_THAT(Complaint(), HasSubstr("more different characters than a vocabulary of 260"));
  request_.vocab = 200;
  EXPECT_THAT(Complaint(), HasSubstr("at least 259"));
}

TEST_F(Tokenize, OneDocumentCannotBeSplit) {
  request_.source = {Write("a.txt", Story(100))};
  request_.split = corpus::Split::kFile;
  EXPECT_THAT(Complaint(), HasSubstr("is one document, so none can be held out"));
  for (const auto& entry : fs::directory_iterator(options_.cache))
    EXPECT_TRUE(entry.path().filename().string().starts_with(".")) << entry.path();
}

TEST(SplitRules, DependOnTheDocumentAlone) {
  const SplitRule rule(0.25);
  int held_out = 0;
  for (int i = 0; i < 10'000; ++i)
    held_out += rule.IsValidation(HashDocument(absl::StrCat("document ", i))) ? 1 : 0;
  EXPECT_NEAR(held_out, 2500, 4 * 43.3);  // four standard deviations of a binomial
}

TEST(SplitRules, LeaveNoSideEmpty) {
  for (const double fraction : {1e-9, 0.5}) {
    for (int first = 0; first < 20; ++first) {
      SplitRule rule(fraction);
      const auto count = [&] {
        SeenDocuments seen;
        for (int i = 0; i < 2; ++i) rule.Assign(HashDocument(absl::StrCat("document ", 2 * first + i)), seen);
        return seen;
      };
      if (rule.Repair(count())) {
        EXPECT_FALSE(rule.Repair(count()));
      }
      EXPECT_EQ(count().train, 1);
      EXPECT_EQ(count().validation, 1);
    }
  }
}

TEST(OrderedPipelines, KeepTheOrderWhateverTheThreads) {
  int next = 0;
  std::vector<int> squares;
  const auto status = OrderedPipeline<int, int>(
      8, [&](int& i) { return (i = next++) < 1000; }, [](int i) { return i * i; },
      [&](int square) {
        squares.push_back(square);
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok());
  ASSERT_EQ(squares.size(), 1000);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(squares[static_cast<size_t>(i)], i * i);
}

TEST(OrderedPipelines, ReportTheFirstErrorAndStop) {
  int next = 0;
  int consumed = 0;
  const auto status = OrderedPipeline<int, int>(
      8,
      [&](int& i) -> absl::StatusOr<bool> {
        i = next++;
        return true;
      },
      [](int i) -> absl::StatusOr<int> {
        if (i >= 100) return absl::DataLossError(absl::StrCat("item ", i));
        return i;
      },
      [&](int) {
        ++consumed;
        return absl::OkStatus();
      });
  EXPECT_EQ(status.message(), "item 100");
  EXPECT_EQ(consumed, 100);
  EXPECT_LT(next, 200);
}

TEST(Requests, AreReadFromADataSpecAsProtobufPrintsIt) {
  const auto request = ParseRequest(
      R"({"source": ["/a/*.txt"], "tokenizer": {"model": "", "train": {"vocab": 4096}}, "reading": "READING_PACKED",
          "context": 256, "validation_fraction": 0.01, "split": "DOCUMENT_SPLIT_LINE"})");
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_THAT(request->source, ElementsAre("/a/*.txt"));
  EXPECT_EQ(request->vocab, 4096);
  EXPECT_EQ(request->split, corpus::Split::kLine);
}

TEST(Requests, NameTheFieldThatIsWrong) {
  const auto complaint = [](const std::string& fields) {
    return std::string(ParseRequest("{" + fields + "}").status().message());
  };
  const std::string good =
      R"("source": ["/a"], "tokenizer": {"train": {"vocab": 4096}}, "validation_fraction": 0.1, "split": "DOCUMENT_SPLIT_FILE")";
  EXPECT_EQ(complaint(good), "");
  EXPECT_THAT(complaint(good + R"(, "documents": 1)"), HasSubstr("unknown field documents"));
  EXPECT_THAT(complaint(R"("source": "/a")"), HasSubstr("data.source must be a list"));
  EXPECT_THAT(complaint(R"("split": "DOCUMENT_SPLIT_UNSPECIFIED")"),
              HasSubstr("data.split must be file, line"));
  EXPECT_THAT(complaint(R"("source": ["/a"], "split": "DOCUMENT_SPLIT_FILE")"),
              HasSubstr("data.tokenizer must be either"));
  EXPECT_THAT(complaint(R"("source": ["/a"], "tokenizer": {"model": "m"}, "split": "DOCUMENT_SPLIT_FILE")"),
              HasSubstr("validation_fraction must be above 0"));
}

}  // namespace
}  // namespace mixln::worker::tokenize
