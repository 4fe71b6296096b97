#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <set>

#include "worker/shards/dataset.h"
#include "worker/shards/shard_writer.h"
#include "worker/trainer/data/evaluation_set.h"
#include "worker/trainer/data/permutation.h"
#include "worker/trainer/data/training_set.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Permutation, IsABijectionOfEverySmallSet) {
  for (uint64_t size : {1, 2, 3, 4, 5, 16, 17, 100, 1023, 1024, 1025}) {
    std::set<uint64_t> images;
    for (uint64_t i = 0; i < size; ++i) {
      const uint64_t image = Permute(42, size, i);
      EXPECT_LT(image, size);
      images.insert(image);
    }
    EXPECT_EQ(images.size(), size);
  }
}

TEST(Permutation, SpreadsNeighboursOverTheWholeSet) {
  // The mean distance of two independent uniform draws from [0, n) is n / 3; its standard error over 999
  // pairs is below 0.01 n.
  constexpr uint64_t kSize = 1'000'003;
  double distance = 0;
  for (uint64_t i = 0; i + 1 < 1000; ++i) {
    distance +=
        std::abs(static_cast<double>(Permute(7, kSize, i)) - static_cast<double>(Permute(7, kSize, i + 1)));
  }
  EXPECT_NEAR(distance / 999 / kSize, 1.0 / 3, 0.03);
}

TEST(Permutation, DependsOnTheKey) {
  int same = 0;
  for (uint64_t i = 0; i < 1000; ++i) same += Permute(1, 1000, i) == Permute(2, 1000, i);
  EXPECT_LT(same, 10);  // one is expected
}

TEST(Order, TwoEpochsHaveEveryWindowOnceEachInAnotherOrder) {
  constexpr int64_t kWindows = 37;
  std::vector<std::vector<int64_t>> epochs(2);
  for (int64_t i = 0; i < 2 * kWindows; ++i) {
    const Position position = PositionOf(i, 1, kWindows);
    epochs[static_cast<size_t>(position.epoch)].push_back(WindowAt(5, position, kWindows));
  }
  EXPECT_NE(epochs[0], epochs[1]);
  std::vector<int64_t> all(kWindows);
  std::iota(all.begin(), all.end(), 0);
  for (auto& epoch : epochs) {
    std::sort(epoch.begin(), epoch.end());
    EXPECT_EQ(epoch, all);
  }
}

// A data set on disk, written with the shard writer: 10 token ids, documents as given, a shard for each list.
class DataTest : public testing::Test {
 protected:
  using Documents = std::vector<std::vector<int>>;

  DataTest() : folder_(testing::TempDir() + "/data-" + std::to_string(getpid())) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    dataset_.vocab_size = 10;
    dataset_.dir = folder_;
    EXPECT_TRUE(shards::SaveUnigram(folder_, {0, 4, 0, 1, 2, 3, 0, 0, 0, 0}).ok());
    EXPECT_TRUE(shards::SaveTokenBytes(folder_, {0, 0, 1, 2, 3, 4, 5, 6, 7, 8}).ok());
    spec_.data.reading = config::Reading::kPacked;
    spec_.data.context = 4;
    spec_.train.batch.sequences = 2;
    spec_.train.seed = 1;
  }
  ~DataTest() override { std::filesystem::remove_all(folder_); }

  void Write(shards::Split& split, const std::string& name, const std::vector<Documents>& shard_contents) {
    for (const Documents& documents : shard_contents) {
      const std::string file = name + std::to_string(split.shards.size()) + ".tokens";
      auto writer = shards::ShardWriter::Create(folder_, file, dataset_.bytes_per_token());
      ASSERT_TRUE(writer.ok()) << writer.status();
      for (const auto& document : documents) ASSERT_TRUE(writer->Add(document).ok());
      auto info = writer->Finish();
      ASSERT_TRUE(info.ok()) << info.status();
      split.tokens += info->tokens;
      split.documents += info->documents;
      split.shards.push_back(*info);
    }
  }

  template <typename Set>
  std::string Refusal() {
    try {
      Set(dataset_, spec_);
      return "";
    } catch (const error::DataError& problem) {
      return problem.what();
    }
  }

  std::string folder_;
  shards::Dataset dataset_;
  config::Spec spec_;
};

TEST_F(DataTest, PackedWindowsCrossDocumentsAndShards) {
  Write(dataset_.train, "train", {{{2, 3, 1}, {4, 5, 1}}, {{6, 7, 8, 9, 1}}});
  // The stream is 2 3 1 4 5 1 6 7 8 9 1: windows of 5 at a stride of 4.
  const TrainingSet set(dataset_, spec_);
  ASSERT_EQ(set.windows(), 2);
  std::vector<Range> batch = set.Batch(0);
  std::sort(batch.begin(), batch.end(), [](const Range& a, const Range& b) { return a.first < b.first; });
  const Rows rows = set.Read(batch);
  EXPECT_EQ(rows.width, 5);
  EXPECT_THAT(rows.tokens, ElementsAre(2, 3, 1, 4, 5, 5, 1, 6, 7, 8));
  EXPECT_TRUE(rows.mask.empty());
}

TEST_F(DataTest, PaddedRowsAreOneDocumentEachCutOrPaddedAndMasked) {
  spec_.data.reading = config::Reading::kPadded;
  Write(dataset_.train, "train", {{{2, 3, 1}, {6, 7, 8, 9, 1}}});
  const TrainingSet set(dataset_, spec_);
  ASSERT_EQ(set.windows(), 2);
  std::vector<Range> batch = set.Batch(0);
  std::sort(batch.begin(), batch.end(), [](const Range& a, const Range& b) { return a.first < b.first; });
  const Rows rows = set.Read(batch);
  EXPECT_EQ(rows.width, 4);  // the context: inputs are the first 3, targets the last 3
  EXPECT_THAT(rows.tokens, ElementsAre(2, 3, 1, 0, 6, 7, 8, 9));
  EXPECT_THAT(rows.mask, ElementsAre(1, 1, 0, 1, 1, 1));
  EXPECT_EQ(Targets(batch[0]) + Targets(batch[1]), 2 + 3);
}

TEST_F(DataTest, TheOrderDoesNotDependOnHowABatchIsShared) {
  spec_.data.context = 1;
  std::vector<int> document(100, 2);
  for (size_t i = 0; i < document.size(); ++i) document[i] = static_cast<int>(i % 10);
  Write(dataset_.train, "train", {{document}});
  // 12 windows drawn as 2 steps of 6 or 6 steps of 2 are the same windows in the same order.
  std::vector<Range> by_six;
  std::vector<Range> by_two;
  spec_.train.batch.sequences = 6;
  const TrainingSet six(dataset_, spec_);
  for (int64_t step = 0; step < 40; ++step) {
    for (const Range& range : six.Batch(step)) by_six.push_back(range);
  }
  spec_.train.batch.sequences = 2;
  const TrainingSet two(dataset_, spec_);
  for (int64_t step = 0; step < 120; ++step) {
    for (const Range& range : two.Batch(step)) by_two.push_back(range);
  }
  EXPECT_EQ(by_six, by_two);
  // 99 windows: the first epoch ends inside a batch of either size.
  std::set<int64_t> first_epoch;
  for (size_t i = 0; i < 99; ++i) first_epoch.insert(by_six[i].first);
  EXPECT_EQ(first_epoch.size(), 99U);
}

// Batches do not end where epochs do: one has the end of the first and the beginning of the second.
TEST_F(DataTest, BatchesOfTwoEpochsHaveEveryWindowOnceInEach) {
  std::vector<std::vector<int>> documents(23, {2, 3, 4, 1});
  Write(dataset_.train, "train", {documents, {{5, 6, 7, 8, 9, 9, 9, 1}, {4, 1}}});
  spec_.train.batch.sequences = 10;
  for (const config::Reading reading : {config::Reading::kPacked, config::Reading::kPadded}) {
    spec_.data.reading = reading;
    const TrainingSet set(dataset_, spec_);
    ASSERT_EQ(set.windows(), 25);  // 102 tokens: (102 - 1) / 4; or the documents
    std::vector<int64_t> drawn;
    for (int64_t step = 0; step < 5; ++step) {
      for (const Range& range : set.Batch(step)) drawn.push_back(range.first);
    }
    const auto middle = drawn.begin() + 25;
    EXPECT_EQ(std::set<int64_t>(drawn.begin(), middle).size(), 25U);
    EXPECT_EQ(std::set<int64_t>(middle, drawn.end()).size(), 25U);
  }
}

TEST_F(DataTest, AnotherSeedIsAnotherOrder) {
  spec_.data.context = 1;
  Write(dataset_.train, "train", {{std::vector<int>(100, 2)}});
  const std::vector<Range> one = TrainingSet(dataset_, spec_).Batch(0);
  spec_.train.seed = 2;
  EXPECT_NE(one, TrainingSet(dataset_, spec_).Batch(0));
}

TEST_F(DataTest, ASetTooSmallForOneBatchIsRefusedWithItsNumbers) {
  Write(dataset_.train, "train", {{{2, 3, 1}, {4, 5, 1}}});
  EXPECT_THAT(Refusal<TrainingSet>(),
              HasSubstr("has 6 tokens in 2 documents: 1 windows of 5 tokens, fewer than one "
                        "batch of 2"));
  dataset_.train = {};
  EXPECT_THAT(Refusal<TrainingSet>(), HasSubstr("has 0 tokens in 0 documents"));
}

TEST_F(DataTest, EvaluationReadsEveryTargetOnce) {
  Write(dataset_.validation, "validation", {{{2, 3, 4, 1}, {5, 6, 1}}});
  const EvaluationSet set(dataset_, spec_);
  EXPECT_EQ(set.targets(), 6);  // all tokens but the first
  EXPECT_THAT(set.ranges(), ElementsAre(Range{0, 5}, Range{4, 3}));
  const Rows rows = set.Read(set.ranges());
  EXPECT_THAT(rows.tokens, ElementsAre(2, 3, 4, 1, 5, 5, 6, 1, 0, 0));
  EXPECT_THAT(rows.mask, ElementsAre(1, 1, 1, 1, 1, 1, 0, 0));
}

TEST_F(DataTest, EvaluationReadsAtMostTheTokensAskedFor) {
  Write(dataset_.validation, "validation", {{{2, 3, 4, 1}, {5, 6, 1}}});
  spec_.eval.tokens = 5;
  EXPECT_THAT(EvaluationSet(dataset_, spec_).ranges(), ElementsAre(Range{0, 5}, Range{4, 2}));
  spec_.data.reading = config::Reading::kPadded;
  spec_.eval.tokens = 4;
  EXPECT_THAT(EvaluationSet(dataset_, spec_).ranges(), ElementsAre(Range{0, 4}, Range{4, 2}));
}

TEST_F(DataTest, UnigramPerplexityAndBytesAreThoseOfTheTargets) {
  Write(dataset_.validation, "validation", {{{2, 3, 4, 1}}});
  const EvaluationSet set(dataset_, spec_);
  // Targets 3, 4, 1 with counts 1, 2, 4 of 10 tokens over 10 ids: (2/20 * 3/20 * 5/20)^(-1/3).
  EXPECT_NEAR(set.unigram_perplexity(), std::pow(2 * 3 * 5 / 8000.0, -1.0 / 3), 1e-12);
  EXPECT_EQ(set.target_bytes(), 2 + 3 + 0);
  EXPECT_DOUBLE_EQ(BitsPerByte(std::log(2.0) * 10, 5), 2);
}

TEST_F(DataTest, AnEmptyValidationSetIsRefused) {
  EXPECT_THAT(Refusal<EvaluationSet>(), HasSubstr("nothing to predict"));
}

TEST_F(DataTest, AShardCutShortIsNamed) {
  Write(dataset_.train, "train", {{{2, 3, 1}, {6, 7, 8, 9, 1}, {2, 2, 2, 1}}});
  std::filesystem::resize_file(folder_ + "/train0.tokens", 90);
  EXPECT_THAT(Refusal<TrainingSet>(), HasSubstr("train0.tokens"));
}

TEST_F(DataTest, AMissingOrDamagedFileSaysOnceWhatToDo) {
  const auto expect = [&](const std::string& refusal, const std::string& file) {
    EXPECT_THAT(refusal, HasSubstr(file));
    const std::string advice = "prepare the data again";
    const size_t said = refusal.find(advice);
    EXPECT_EQ(said, refusal.size() - advice.size()) << refusal;
  };
  Write(dataset_.train, "train", {{{2, 3, 1}, {6, 7, 8, 9, 1}, {2, 2, 2, 1}}});
  Write(dataset_.validation, "validation", {{{2, 3, 4, 1}}});
  std::filesystem::resize_file(folder_ + "/train0.tokens", 90);
  expect(Refusal<TrainingSet>(), "train0.tokens");
  std::filesystem::remove(folder_ + "/train0.tokens");
  expect(Refusal<TrainingSet>(), "train0.tokens");
  std::filesystem::resize_file(folder_ + "/token_bytes.u16", 3);
  expect(Refusal<EvaluationSet>(), "token_bytes.u16");
  std::filesystem::resize_file(folder_ + "/unigram.u64", 3);
  expect(Refusal<EvaluationSet>(), "unigram.u64");
}

// As a disk or network that fails, which a retry may cure; root meets it, too.
TEST_F(DataTest, AFileThatTheSystemDoesNotLetReadIsNoBadData) {
  Write(dataset_.train, "train", {{{2, 3, 1}, {6, 7, 8, 9, 1}, {2, 2, 2, 1}}});
  Write(dataset_.validation, "validation", {{{2, 3, 4, 1}}});
  for (const std::string file : {"token_bytes.u16", "unigram.u64", "validation0.tokens"}) {
    std::filesystem::remove(folder_ + "/" + file);
    std::filesystem::create_symlink(file, folder_ + "/" + file);  // to itself
    try {
      EvaluationSet(dataset_, spec_);
      FAIL() << file;
    } catch (const error::InputOutputError& problem) {
      EXPECT_THAT(problem.what(), HasSubstr(file + ": Too many levels of symbolic links"));
    }
  }
}

TEST_F(DataTest, ATokenOutsideTheVocabularyIsNamed) {
  Write(dataset_.train, "train", {{{2, 3, 1}, {6, 7, 8, 9, 11, 4, 1}}});
  const TrainingSet set(dataset_, spec_);
  try {
    set.Read(set.Batch(0));
    FAIL();
  } catch (const error::DataError& problem) {
    EXPECT_THAT(problem.what(), HasSubstr("train0.tokens: token 7 is 11, but the vocabulary has 10"));
  }
}

}  // namespace
}  // namespace mixln::worker::trainer::data
