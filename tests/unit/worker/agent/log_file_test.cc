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
