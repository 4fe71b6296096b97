#include "worker/trainer/events/event_log.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "mixln/v1/rank.pb.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::events {
namespace {

class EventLogTest : public testing::Test {
 protected:
  EventLogTest() : folder_(testing::TempDir() + "/events-" + std::to_string(getpid())) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    path_ = folder_ + "/events.jsonl";
  }
  ~EventLogTest() override { std::filesystem::remove_all(folder_); }

  std::string Contents() const {
    std::ostringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }
  // The file as protobuf, the independent reader, understands it.
  std::vector<v1::RankEvent> Events() const {
    std::vector<v1::RankEvent> events;
    std::istringstream lines(Contents());
    for (std::string line; std::getline(lines, line);) {
      const auto status = google::protobuf::util::JsonStringToMessage(line, &events.emplace_back());
      EXPECT_TRUE(status.ok()) << line << ": " << status.ToString();
    }
    return events;
  }

  std::string folder_;
  std::string path_;
};

TEST_F(EventLogTest, WritesWhatProtobufReads) {
  EventLog log(path_);
  log.Append(1700000000.25, 0, Started{1000, 5, "cpu avx2, 2 threads", 5'000'000'000, 412.5, 3.5e8, 2e11});
  log.Append(2, 6, StepDone{3.25, 1e-3, 0.5, 4096, 12345.5, {0.1, 0.2}, {0.5, 1.5}, 3.5, {1e-3, 2e-3}});
  log.Append(3, 6, EvalDone{2.5, std::exp(2.5), 1.5, 9000});
  log.Append(4, 6, CheckpointDone{"checkpoints/step-000000006", 77});
  log.Append(5, 6, Finished{12.5});
  log.Append(6, 7, Failed{"FAILURE_CAUSE_DIVERGED", "the loss of step 7 is \"nan\""});

  const auto events = Events();
  ASSERT_EQ(events.size(), 6U);
  EXPECT_EQ(events[0].sequence(), 1U);
  EXPECT_EQ(events[0].time_seconds(), 1700000000.25);
  EXPECT_EQ(events[0].started().parameters(), 1000);
  EXPECT_EQ(events[0].started().resume_step(), 5);
  EXPECT_EQ(events[0].started().device(), "cpu avx2, 2 threads");
  EXPECT_EQ(events[0].started().train_tokens(), 5'000'000'000);
  EXPECT_EQ(events[0].started().unigram_perplexity(), 412.5);
  EXPECT_EQ(events[0].started().flops_per_token(), 3.5e8);
  EXPECT_EQ(events[0].started().peak_flops(), 2e11);
  EXPECT_EQ(events[1].step(), 6);
  EXPECT_EQ(events[1].step_done().loss(), 3.25);
  EXPECT_EQ(events[1].step_done().lr(), 1e-3);
  EXPECT_EQ(events[1].step_done().gradient_norm(), 0.5);
  EXPECT_EQ(events[1].step_done().tokens(), 4096);
  EXPECT_EQ(events[1].step_done().tokens_per_second(), 12345.5);
  EXPECT_EQ(events[1].step_done().unigram_loss(), 3.5);
  EXPECT_THAT(events[1].step_done().layer_gradient_norms(), testing::ElementsAre(0.1, 0.2));
  EXPECT_THAT(events[1].step_done().layer_activation_variances(), testing::ElementsAre(0.5, 1.5));
  EXPECT_THAT(events[1].step_done().layer_update_ratios(), testing::ElementsAre(1e-3, 2e-3));
  EXPECT_EQ(events[2].eval_done().perplexity(), std::exp(2.5));
  EXPECT_EQ(events[2].eval_done().bits_per_byte(), 1.5);
  EXPECT_EQ(events[2].eval_done().tokens(), 9000);
  EXPECT_EQ(events[3].checkpoint_done().path(), "checkpoints/step-000000006");
  EXPECT_EQ(events[3].checkpoint_done().size_bytes(), 77);
  EXPECT_EQ(events[4].finished().train_seconds(), 12.5);
  EXPECT_EQ(events[5].failed().cause(), v1::FAILURE_CAUSE_DIVERGED);
  EXPECT_EQ(events[5].failed().message(), "the loss of step 7 is \"nan\"");
}

TEST_F(EventLogTest, NotANumberAndInfinitiesSurvive) {
  EventLog log(path_);
  const double infinity = std::numeric_limits<double>::infinity();
  log.Append(1, 1, StepDone{std::nan(""), 0, infinity, 0, -infinity, {}, {}, 0, {}});
  const auto step = Events().at(0).step_done();
  EXPECT_TRUE(std::isnan(step.loss()));
  EXPECT_EQ(step.gradient_norm(), infinity);
  EXPECT_EQ(step.tokens_per_second(), -infinity);
}

TEST_F(EventLogTest, CountsOnOverAnExistingFile) {
  for (int restart = 0; restart < 3; ++restart) {
    EventLog log(path_);
    log.Append(0, 1, Finished{});
    log.Append(0, 2, Finished{});
  }
  const auto events = Events();
  ASSERT_EQ(events.size(), 6U);
  for (size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events[i].sequence(), i + 1);
}

TEST_F(EventLogTest, CutsATornLastLineOffBeforeItAppends) {
  EventLog(path_).Append(0, 1, Finished{});
  std::ofstream(path_, std::ios::app) << R"({"sequence":"2","step":"2","fini)";
  EventLog(path_).Append(0, 3, Finished{});
  const auto events = Events();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[1].sequence(), 2U);
  EXPECT_EQ(events[1].step(), 3);
}

TEST_F(EventLogTest, AFileOfNothingButATornLineStartsAnew) {
  std::ofstream(path_) << R"({"sequen)" << std::string(200'000, ' ');  // longer than one block of the search
  EventLog log(path_);
  EXPECT_EQ(log.sequence(), 0U);
  EXPECT_EQ(Contents(), "");
}

TEST_F(EventLogTest, RefusesAFileThatIsNoEventLog) {
  std::ofstream(path_) << "hello\n";
  EXPECT_THROW(EventLog{path_}, error::InputOutputError);
}

TEST_F(EventLogTest, WaitsOutAFullDiskAndWritesTheLineOnce) {
  // A disk with room for 10 bytes at a time, that is full every other call.
  int calls = 0;
  int waits = 0;
  file::WriteOptions options;
  options.write = [&](int fd, const void* data, size_t size) -> ssize_t {
    if (++calls % 2 == 0) {
      errno = ENOSPC;
      return -1;
    }
    return write(fd, data, std::min<size_t>(size, 10));
  };
  options.wait = [&] { ++waits; };
  {
    EventLog log(path_, options);
    log.Append(0, 1, EvalDone{1, 2, 3, 4});
    log.Append(0, 2, Finished{1});
  }
  EXPECT_GT(waits, 2);
  const std::string patient = Contents();
  std::filesystem::remove(path_);
  EventLog log(path_);
  log.Append(0, 1, EvalDone{1, 2, 3, 4});
  log.Append(0, 2, Finished{1});
  EXPECT_EQ(patient, Contents());
}

TEST_F(EventLogTest, OtherErrorsEndTheRank) {
  file::WriteOptions options;
  options.write = [](int, const void*, size_t) -> ssize_t {
    errno = EIO;
    return -1;
  };
  EventLog log(path_, options);
  EXPECT_THROW(log.Append(0, 1, Finished{}), error::InputOutputError);
  EXPECT_THROW(EventLog{"/no/such/folder/events.jsonl"}, error::InputOutputError);
}

}  // namespace
}  // namespace mixln::worker::trainer::events
