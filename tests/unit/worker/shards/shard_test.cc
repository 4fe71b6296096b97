#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/file/durable.h"
#include "worker/shards/dataset.h"
#include "worker/shards/shard_reader.h"
#include "worker/shards/shard_writer.h"

namespace mixln::worker::shards {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

// The example of docs/data.md by hand: documents {5, 1} and {258, 7, 1} in two bytes a token.
const std::string kByHand = std::string("MIXLNTOK") + std::string("\x01\0\0\0\x02\0\0\0", 8) +
                            std::string("\x05\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0", 16) + std::string(32, '\0') +
                            std::string("\x05\0\x01\0\x02\x01\x07\0\x01\0", 10) + std::string(6, '\0') +
                            std::string("\0\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0", 24);

class Shards : public testing::Test {
 protected:
  Shards()
      : dir_(fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  ~Shards() override { fs::remove_all(dir_); }

  ShardInfo WriteTwoDocuments(uint32_t bytes_per_token) {
    auto writer = ShardWriter::Create(dir_, "train-00000.tokens", bytes_per_token);
    EXPECT_TRUE(writer->Add(std::vector<int>{5, 1}).ok());
    EXPECT_TRUE(writer->Add(std::vector<int>{258, 7, 1}).ok());
    return *writer->Finish();
  }
  void Overwrite(const std::string& bytes) {
    ASSERT_TRUE(base::WriteFileDurably(dir_ / "train-00000.tokens", bytes).ok());
  }
  std::string Complaint(const ShardInfo& info, uint32_t bytes_per_token = 2) {
    auto shard = ShardReader::Open(dir_, info, bytes_per_token);
    EXPECT_EQ(shard.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(shard.status().message()), HasSubstr((dir_ / info.file).string()));
    return std::string(shard.status().message());
  }

  fs::path dir_;
};

TEST_F(Shards, AreTheBytesOfTheContract) {
  const ShardInfo info = WriteTwoDocuments(2);
  EXPECT_EQ(*base::ReadFile(dir_ / info.file), kByHand);
  EXPECT_EQ(info.tokens, 5);
  EXPECT_EQ(info.documents, 2);
}

TEST_F(Shards, AreReadFromBytesMadeByHand) {
  Overwrite(kByHand);
  // The checksum is by xxhsum -H3 of the same bytes.
  auto shard = ShardReader::Open(dir_, {"train-00000.tokens", 5, 2, "75126be98ec49492"}, 2);
  ASSERT_TRUE(shard.ok()) << shard.status();
  EXPECT_TRUE(shard->Verify().ok()) << shard->Verify();
  EXPECT_THAT(shard->tokens_u16(), ElementsAre(5, 1, 258, 7, 1));
  EXPECT_THAT(shard->offsets(), ElementsAre(0, 2, 5));
  EXPECT_EQ(shard->token(2), 258);
}

TEST_F(Shards, HoldLargeIdsInFourBytes) {
  auto writer = ShardWriter::Create(dir_, "a.tokens", 4);
  ASSERT_TRUE(writer->Add(std::vector<int>{100'000, 1}).ok());
  const ShardInfo info = *writer->Finish();
  auto shard = ShardReader::Open(dir_, info, 4);
  ASSERT_TRUE(shard.ok()) << shard.status();
  EXPECT_THAT(shard->tokens_u32(), ElementsAre(100'000, 1));
  EXPECT_EQ(shard->token(0), 100'000);
}

TEST_F(Shards, SurviveABufferThatIsFlushedManyTimes) {
  auto writer = ShardWriter::Create(dir_, "a.tokens", 2);
  std::vector<int> document(1000);
  for (int d = 0; d < 3000; ++d) {
    for (int i = 0; i < 1000; ++i) document[static_cast<size_t>(i)] = (d * 7 + i) % 60'000;
    ASSERT_TRUE(writer->Add(document).ok());
  }
  auto shard = ShardReader::Open(dir_, *writer->Finish(), 2);
  ASSERT_TRUE(shard.ok()) << shard.status();
  ASSERT_TRUE(shard->Verify().ok());
  for (uint64_t d = 0; d < 3000; d += 271)
    EXPECT_EQ(shard->token(shard->offset(d) + 999), (d * 7 + 999) % 60'000);
}

TEST_F(Shards, NameATruncatedFileAtAnyLength) {
  const ShardInfo info = WriteTwoDocuments(2);
  for (size_t bytes = 0; bytes < kByHand.size(); ++bytes) {
    Overwrite(kByHand.substr(0, bytes));
    EXPECT_THAT(Complaint(info), HasSubstr("truncated")) << bytes;
  }
}

TEST_F(Shards, NoticeEveryFlippedByte) {
  const ShardInfo info = WriteTwoDocuments(2);
  for (size_t at = 0; at < kByHand.size(); ++at) {
    std::string damaged = kByHand;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    Overwrite(damaged);
    auto shard = ShardReader::Open(dir_, info, 2);
    const absl::Status status = shard.ok() ? shard->Verify() : shard.status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << at;
  }
}

TEST_F(Shards, RefuseAnotherTokenWidthThanTheVocabularys) {
  EXPECT_THAT(Complaint(WriteTwoDocuments(2), 4), HasSubstr("2 bytes a token"));
}

TEST_F(Shards, OfAMissingFileAreNotFound) {
  EXPECT_EQ(ShardReader::Open(dir_, {"none.tokens", 1, 1, ""}, 2).status().code(),
            absl::StatusCode::kNotFound);
}

Dataset Example() {
  Dataset dataset;
  dataset.vocab_size = 300;
  dataset.train = {5, 2, 11, {{"train-00000.tokens", 5, 2, "0123456789abcdef"}}};
  dataset.validation = {3, 1, 7, {{"validation-00000.tokens", 3, 1, "fedcba9876543210"}}};
  dataset.duplicates_removed = 4;
  dataset.invalid_utf8_replaced = 6;
  dataset.sources = {{"/corpus/\xFF.txt", 12}};  // a path need not be UTF-8
  return dataset;
}

TEST_F(Shards, DatasetIsReadAsItWasWritten) {
  ASSERT_TRUE(Example().Save(dir_).ok());
  auto read = Dataset::Load(dir_);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->dir, dir_);
  EXPECT_EQ(read->vocab_size, 300);
  EXPECT_EQ(read->train.text_bytes, 11);
  EXPECT_EQ(read->validation.shards.at(0).xxh3_64, "fedcba9876543210");
  EXPECT_EQ(read->duplicates_removed, 4);
  EXPECT_EQ(read->invalid_utf8_replaced, 6);
  EXPECT_EQ(read->sources.at(0).bytes, 12);
}

TEST_F(Shards, DatasetNamesTheFieldThatIsWrong) {
  Dataset dataset = Example();
  dataset.train.tokens = 6;
  ASSERT_TRUE(dataset.Save(dir_).ok());
  EXPECT_THAT(std::string(Dataset::Load(dir_).status().message()), HasSubstr("train counts 6 tokens"));
  std::ofstream(dir_ / "dataset.json") << R"({"format_version": 1, "vocab_size": "300"})";
  EXPECT_THAT(std::string(Dataset::Load(dir_).status().message()), HasSubstr("vocab_size is not a 32-bit"));
  std::ofstream(dir_ / "dataset.json") << R"({"format_version": 2})";
  EXPECT_THAT(std::string(Dataset::Load(dir_).status().message()), HasSubstr("format version 2"));
  std::ofstream(dir_ / "dataset.json") << "{";
  EXPECT_EQ(Dataset::Load(dir_).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(Shards, TablesHaveOneNumberForEachToken) {
  Dataset dataset = Example();
  dataset.dir = dir_;
  dataset.vocab_size = 3;
  ASSERT_TRUE(SaveUnigram(dir_, {7, 8, uint64_t{1} << 40}).ok());
  ASSERT_TRUE(SaveTokenBytes(dir_, {0, 0, 513}).ok());
  EXPECT_EQ(base::ReadFile(dir_ / "token_bytes.u16")->substr(4), "\x01\x02");  // little-endian
  EXPECT_THAT(*LoadUnigram(dataset), ElementsAre(7, 8, uint64_t{1} << 40));
  EXPECT_THAT(*LoadTokenBytes(dataset), ElementsAre(0, 0, 513));
  dataset.vocab_size = 4;
  EXPECT_THAT(std::string(LoadUnigram(dataset).status().message()), HasSubstr("should have 32"));
}

}  // namespace
}  // namespace mixln::worker::shards
