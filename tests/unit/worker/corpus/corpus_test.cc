#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "base/file/lock_file.h"
#include "worker/corpus/content_hash.h"
#include "worker/corpus/document_reader.h"
#include "worker/corpus/source.h"
#include "worker/corpus/utf8.h"

namespace mixln::worker::corpus {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Gzip of "one\n" and of "two\n", by Python's gzip.compress(…, mtime=0).
const std::string kGzipOne(
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\xcf\x4b\xe5\x02\x00\x9f\xa8\x17\xf8\x04\x00\x00\x00", 24);
const std::string kGzipTwo(
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x2b\x29\xcf\xe7\x02\x00\x74\x08\x17\x96\x04\x00\x00\x00", 24);

class Corpus : public testing::Test {
 protected:
  Corpus()
      : dir_(fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  ~Corpus() override { fs::remove_all(dir_); }

  std::string Write(const std::string& name, const std::string& bytes) {
    std::ofstream(dir_ / name, std::ios::binary) << bytes;
    return (dir_ / name).string();
  }
  // All documents, or the error's words alone.
  std::vector<std::string> Cut(const std::string& path, Layout layout, Split split) {
    auto reader = DocumentReader::Open(path, layout, split);
    if (!reader.ok()) return {std::string(reader.status().message())};
    std::vector<std::string> documents;
    lines_.clear();
    for (;;) {
      RawDocument document;
      auto more = reader->Next(document);
      if (!more.ok()) return {std::string(more.status().message())};
      if (!*more) return documents;
      documents.push_back(document.bytes);
      lines_.push_back(document.line);
    }
  }
  std::string Complaint(const std::string& path) { return std::string(Look(path).status().message()); }

  fs::path dir_;
  std::vector<uint64_t> lines_;
};

std::string Replaced(std::string text, uint64_t expected_count) {
  EXPECT_EQ(ReplaceInvalidUtf8(text), expected_count);
  return text;
}

TEST(Utf8, OfEveryLengthIsKept) {
  const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 0123456789";
  EXPECT_EQ(Replaced(text, 0), text);
  EXPECT_EQ(ValidUtf8Prefix(text), text.size());
}

TEST(Utf8, MaximalSubpartsAreReplacedOnce) {
  // The Unicode standard's own example (version 15, table 3-8): 61 F1 80 80 E1 80 C2 62 80 63 80 BF 64.
  EXPECT_EQ(Replaced("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64", 6),
            "a\uFFFD\uFFFD\uFFFDb\uFFFDc\uFFFD\uFFFDd");
  // Table 3-9: an overlong slash, a surrogate and beyond the last character, each byte by itself.
  EXPECT_EQ(Replaced("\xC0\xAF\xED\xA0\x80\xF4\x91\x92\x93", 9).size(), 27);
  EXPECT_EQ(Replaced("01234567\xE2\x82", 1), "01234567\uFFFD");  // cut off at the end
}

TEST_F(Corpus, ParagraphsEndAtBlankLines) {
  const std::string path = Write("a.txt", "\xEF\xBB\xBFone\r\nmore\r\n\r\n \t\r\n\r\ntwo\n\n\n");
  EXPECT_THAT(Cut(path, Layout::kText, Split::kParagraph), ElementsAre("one\nmore", "two"));
  EXPECT_THAT(lines_, ElementsAre(1, 6));
}

TEST_F(Corpus, LinesAreDocumentsUnlessBlank) {
  const std::string path = Write("a.txt", "one\n\n  two \nthree");
  EXPECT_THAT(Cut(path, Layout::kText, Split::kLine), ElementsAre("one", "  two", "three"));
  EXPECT_THAT(lines_, ElementsAre(1, 3, 4));
}

TEST_F(Corpus, AFileIsOneDocumentWithItsBlankLines) {
  EXPECT_THAT(Cut(Write("a.txt", "\none\n\ntwo\n"), Layout::kText, Split::kFile), ElementsAre("one\n\ntwo"));
  EXPECT_THAT(Cut(Write("b.txt", " \n\n"), Layout::kText, Split::kFile), IsEmpty());
}

TEST_F(Corpus, DocumentsMayBeLongerThanTheReadersBuffer) {
  const std::string line(3'000'000, 'x');
  EXPECT_THAT(Cut(Write("a.txt", line + "\n" + line + "y"), Layout::kText, Split::kLine),
              ElementsAre(line, line + "y"));
}

TEST_F(Corpus, JsonLinesHoldTextInTheirTextField) {
  uint64_t replaced = 0;
  const auto text = [&](const std::string& json) {
    return TextOf({json, 7}, Layout::kJsonl, "c4.json", replaced);
  };
  EXPECT_EQ(*text(R"({"url": "u", "text": "a\nb \u00e9"})"), "a\nb \u00E9");
  EXPECT_EQ(replaced, 0);
  EXPECT_EQ(*text(R"({"text": "\ud83d\ude00 \ud83d \\ud83d"})"), "\U0001F600 \uFFFD \\ud83d");
  EXPECT_EQ(*text("{\"text\": \"\xFF\"}"), "\uFFFD");
  EXPECT_EQ(replaced, 2);
  for (const char* bad : {"{", "[]", R"({"Text": "a"})", R"({"text": 1})"})
    EXPECT_THAT(std::string(text(bad).status().message()), HasSubstr("c4.json:7: is not a JSON object"))
        << bad;
}

TEST_F(Corpus, GzipMembersFollowOneAnother) {
  EXPECT_THAT(Cut(Write("a.gz", kGzipOne), Layout::kText, Split::kLine), ElementsAre("one"));
  EXPECT_THAT(Cut(Write("b", kGzipOne + kGzipTwo + kGzipOne), Layout::kText, Split::kLine),
              ElementsAre("one", "two", "one"));
}

TEST_F(Corpus, ADamagedOrTruncatedGzipIsNamed) {
  const std::string cut = Write("cut.gz", kGzipOne + kGzipTwo.substr(0, 20));
  EXPECT_THAT(Cut(cut, Layout::kText, Split::kLine), ElementsAre(HasSubstr(cut + " is damaged: gzip")));
  std::string flipped = kGzipOne;
  flipped[17] = static_cast<char>(flipped[17] ^ 1);  // its checksum
  const std::string bad = Write("bad.gz", flipped);
  EXPECT_THAT(Complaint(bad), HasSubstr(bad + " is damaged: gzip"));
}

TEST_F(Corpus, JsonlIsKnownByNameOrByItsFirstLine) {
  EXPECT_EQ(Look(Write("c4.json.gz", kGzipOne))->layout, Layout::kJsonl);
  EXPECT_EQ(Look(Write("a.jsonl", "x"))->layout, Layout::kJsonl);
  EXPECT_EQ(Look(Write("a.txt", "\n{\"text\": \"a\"}\n{"))->layout, Layout::kJsonl);
  EXPECT_EQ(Look(Write("b.txt", "{\"word\": \"a\"}\n"))->layout, Layout::kText);
  EXPECT_EQ(Look(Write("c.txt", "{ not JSON"))->layout, Layout::kText);
}

TEST_F(Corpus, WhatIsNoTextIsRefusedByName) {
  EXPECT_THAT(Complaint(Write("empty.txt", " \n\n")), HasSubstr("empty.txt is empty"));
  EXPECT_THAT(Complaint(Write("image.png", std::string("a\0b", 3))), HasSubstr("byte 1 is NUL"));
  EXPECT_THAT(Complaint(Write("koi8.txt", "\xF0\xD2\xC9\xD7\xC5\xD4")), HasSubstr("is not UTF-8 text"));
  EXPECT_THAT(Complaint((dir_ / "none.txt").string()), HasSubstr("cannot read"));
  EXPECT_THAT(Complaint(dir_.string()), HasSubstr("is not a file"));
  EXPECT_EQ(Look(Write("latin1.txt", "une fen\xEAtre ouverte"))->invalid_utf8, 1);
}

TEST_F(Corpus, SourcesAreSortedAndNamedOnce) {
  const std::string b = Write("b.txt", "b");
  const std::string a = Write("a.txt", "a");
  std::vector<std::string> problems;
  EXPECT_THAT(ExpandSources({b, dir_.string() + "/*.txt", a}, problems), ElementsAre(a, b));
  EXPECT_THAT(problems, IsEmpty());
  ExpandSources({dir_.string() + "/*.json", dir_.string() + "/c.txt"}, problems);
  EXPECT_THAT(problems, ElementsAre(HasSubstr("no file matches"), HasSubstr("there is no file")));
}

TEST_F(Corpus, HashesAreRememberedUntilAFileChanges) {
  const std::string path = Write("a.txt", "hello");
  const auto hash = [&] { return HashFiles({path}, dir_ / "memory", [](uint64_t) {})->at(0).hash; };
  const auto set_time = [&](int hours) {
    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(hours));
  };
  set_time(2);
  // xxhsum -H2 of "hello".
  EXPECT_EQ(hash(), "b5e9c1ad071b3e7fc779cfaa5e523818");
  const auto written = fs::last_write_time(path);
  { std::fstream(path) << "jello"; }  // same size and inode; with the same time nobody can tell
  fs::last_write_time(path, written);
  EXPECT_EQ(hash(), "b5e9c1ad071b3e7fc779cfaa5e523818");
  set_time(1);
  EXPECT_NE(hash(), "b5e9c1ad071b3e7fc779cfaa5e523818");
}

TEST_F(Corpus, WhoWaitsForAnothersHashesTellsOfNoBytes) {
  const std::string path = Write("a.txt", "hello");
  fs::create_directories(dir_ / "memory");
  const std::string name = HashOf(path + '\0') + ".json.lock";
  std::optional<base::LockFile> held = *base::LockFile::TryLock(dir_ / "memory" / name);
  std::vector<uint64_t> told;
  ASSERT_TRUE(HashFiles({path}, dir_ / "memory", [&](uint64_t bytes) {
                told.push_back(bytes);
                if (told.size() == 2) held.reset();
              }).ok());
  EXPECT_THAT(told, ElementsAre(0, 0, 5));
}

}  // namespace
}  // namespace mixln::worker::corpus
