#include "worker/agent/log_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "agent_host.h"

namespace mixln::worker::agent {
namespace {

class LogFileTest : public testing::Test {
 protected:
  LogFileTest() { std::ofstream(path_) << "one\ntwo\nthree\n"; }
  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "log";
};

TEST_F(LogFileTest, GivesTheLastLinesOrAllFromAnOffset) {
  v1::LogRequest request;
  EXPECT_EQ(ReadLogChunk(path_, request).data(), "one\ntwo\nthree\n");
  request.set_tail_lines(2);
  const v1::LogChunk chunk = ReadLogChunk(path_, request);
  EXPECT_EQ(chunk.data(), "two\nthree\n");
  EXPECT_EQ(chunk.next_offset(), 14);
  EXPECT_TRUE(chunk.end());
  request.set_offset(14);
  EXPECT_EQ(ReadLogChunk(path_, request).data(), "");
}

TEST_F(LogFileTest, ALongLogComesInPieces) {
  std::ofstream(path_) << std::string(300'000, 'x');
  v1::LogRequest request;
  const v1::LogChunk first = ReadLogChunk(path_, request);
  EXPECT_FALSE(first.end());
  request.set_offset(first.next_offset());
  const v1::LogChunk second = ReadLogChunk(path_, request);
  EXPECT_TRUE(second.end());
  EXPECT_EQ(first.data().size() + second.data().size(), 300'000u);
}

TEST_F(LogFileTest, ATimeFindsItsFirstLine) {
  setenv("TZ", "UTC", 1);
  tzset();
  std::ofstream(path_) << "before any time\n2026-11-24 03:42:18 step 1\nits second line\n"
                       << std::string(300'000, 'x') << "\n2026-11-24 03:42:20 step 2\nunfinished";
  const auto since = [&](int64_t seconds) {
    v1::LogRequest request;
    request.mutable_since()->set_seconds(seconds);
    return ReadLogChunk(path_, request);
  };
  constexpr int64_t kStep1 = 1'795'491'738;  // date -u -d '2026-11-24 03:42:18' +%s
  EXPECT_EQ(since(kStep1 - 60).data().substr(0, 26), "2026-11-24 03:42:18 step 1");
  EXPECT_EQ(since(kStep1).data().substr(0, 26), "2026-11-24 03:42:18 step 1");
  EXPECT_EQ(since(kStep1 + 1).data(), "2026-11-24 03:42:20 step 2\nunfinished");
  EXPECT_EQ(since(kStep1 + 3).data(), "");
  EXPECT_TRUE(since(kStep1 + 3).end());
  v1::LogRequest both;
  both.mutable_since()->set_seconds(kStep1);
  both.set_tail_lines(1);
  EXPECT_EQ(ReadLogChunk(path_, both).data(), "unfinished") << "the shorter of the two";
}

TEST_F(LogFileTest, AMissingLogIsSaid) {
  EXPECT_FALSE(ReadLogChunk(folder_ / "none", {}).error().empty());
}

TEST_F(LogFileTest, LastWordsAreBoundedAndPrintable) {
  EXPECT_EQ(LastLines(path_, 2, 100), "two\nthree");
  EXPECT_EQ(LastLines(path_, 9, 6), "three");
  std::ofstream(path_) << "caf\xc3\xa9\x01\n";
  EXPECT_EQ(LastLines(path_, 1, 100), "caf???");
}

}  // namespace
}  // namespace mixln::worker::agent
