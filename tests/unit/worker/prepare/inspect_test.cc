#include "worker/prepare/inspect.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace mixln::worker::prepare {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class Inspection : public testing::Test {
 protected:
  Inspection()
      : dir_(fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(dir_);
    fs::create_directories(dir_);
    data_.set_split(v1::DOCUMENT_SPLIT_PARAGRAPH);
    data_.mutable_tokenizer()->mutable_train()->set_vocab(512);
  }
  ~Inspection() override { fs::remove_all(dir_); }

  std::string Write(const std::string& name, const std::string& bytes) {
    std::ofstream(dir_ / name, std::ios::binary) << bytes;
    return (dir_ / name).string();
  }
  std::string Problems(int64_t tokens_per_batch = 1) {
    return std::string(Inspect(data_, tokens_per_batch).status().message());
  }

  fs::path dir_;
  v1::DataSpec data_;
};

TEST_F(Inspection, SaysWhatIsThere) {
  data_.add_source(Write("a.txt", "some text\n\nand \xFF more\n"));
  const auto facts = Inspect(data_, 16);
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->files, 1);
  EXPECT_EQ(facts->source_bytes, 22);
  EXPECT_EQ(facts->vocab_size, 512);
  EXPECT_EQ(facts->invalid_utf8, 1);
}

TEST_F(Inspection, NamesAllProblemsAtOnce) {
  data_.add_source((dir_ / "none.txt").string());
  data_.add_source(Write("empty.txt", ""));
  data_.add_source(Write("binary.txt", std::string(100, '\0')));
  data_.mutable_tokenizer()->set_model(Write("spiece.model", "no model"));
  EXPECT_THAT(Problems(), AllOf(HasSubstr("there is no file " + (dir_ / "none.txt").string() + "\n"),
                                HasSubstr("empty.txt is empty\n"), HasSubstr("binary.txt is not text"),
                                HasSubstr("spiece.model is not a SentencePiece model")));
}

TEST_F(Inspection, RefusesACorpusThatCannotFillABatch) {
  // Four letters and, for each of the two lines and the file, one end of document at most.
  data_.add_source(Write("a.txt", "ab\ncd\n"));
  EXPECT_TRUE(Inspect(data_, 9).ok());
  EXPECT_THAT(Problems(10), HasSubstr("cannot hold more than 9 tokens, and one batch has 10"));
}

TEST_F(Inspection, RefusesASingleDocument) {
  data_.set_split(v1::DOCUMENT_SPLIT_FILE);
  data_.add_source(Write("a.txt", "a whole file"));
  EXPECT_THAT(Problems(), HasSubstr("is one document, so none can be held out"));
  data_.add_source(Write("b.txt", "another"));
  EXPECT_TRUE(Inspect(data_, 1).ok());
}

TEST_F(Inspection, CountsThePiecesOfAModelFile) {
  // A sentencepiece.ModelProto by hand: pieces {"<unk>"}, {"a", score 0}, and an empty trainer_spec.
  const std::string model(
      "\x0A\x07\x0A\x05<unk>\x0A\x08\x0A\x01"
      "a\x15\0\0\0\0\x12\0",
      21);
  data_.add_source(Write("a.txt", "some text"));
  data_.mutable_tokenizer()->set_model(Write("spiece.model", model));
  const auto facts = Inspect(data_, 1);
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->vocab_size, 2);
}

}  // namespace
}  // namespace mixln::worker::prepare
