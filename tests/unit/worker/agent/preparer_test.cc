#include "worker/agent/preparer.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "agent_host.h"
#include "base/file/durable.h"
#include "worker/agent/process.h"

namespace mixln::worker::agent {
namespace {

constexpr base::Duration kLook = base::Seconds(5);  // more would be taken for a sleep of the agent's own
const session::AttemptKey kKey{"sweep-0", 3, 1};

// A preparer with a script for mixln-prepare, which may show no life for 20 s of a time that only Look lets
// pass.
class PreparerHangs : public testing::Test {
 protected:
  void Request(const std::string& script) {
    const std::filesystem::path program = folder_ / "prepare";
    std::ofstream(program) << "#!/bin/sh\n" << script;
    chmod(program.c_str(), 0755);
    preparer_.emplace(Preparer::Options{program,
                                        folder_ / "requests",
                                        folder_ / "cache",
                                        {},
                                        {.start = base::Seconds(20), .step = base::Seconds(1)}});
    ASSERT_TRUE(preparer_->Request(kKey, {}).ok());
  }
  void Poll() {
    for (const session::Event& event : preparer_->Poll(now_).events) {
      if (const auto* progress = std::get_if<session::PrepareProgress>(&event)) detail_ = progress->detail;
      if (const auto* failed = std::get_if<session::PrepareFailed>(&event)) failed_ = *failed;
    }
  }
  void Look() {
    now_ = now_ + kLook;
    Poll();
  }
  bool Says(const std::string& detail) {
    return Eventually([&] {
      Poll();
      return detail_ == detail;
    });
  }

  TemporaryFolder folder_;
  std::optional<Preparer> preparer_;
  base::Time now_;
  std::string detail_;
  std::optional<session::PrepareFailed> failed_;
};

TEST_F(PreparerHangs, OneThatShowsNoLifeIsEndedAndSaysHowFarItWas) {
  Request(absl::StrCat("echo $$ > ", (folder_ / "pid").string(),
                       "\necho '{\"phase\":\"hashing\",\"fraction\":0.43}'\nexec sleep 1000\n"));
  ASSERT_TRUE(Says("hashing 43%"));
  ASSERT_TRUE(Eventually([&] {
    Look();
    return failed_.has_value();
  }));
  EXPECT_EQ(failed_->cause, v1::FAILURE_CAUSE_HANG);
  EXPECT_THAT(failed_->message,
              testing::MatchesRegex("mixln-prepare hangs at \"hashing 43%\": no sign of life for "
                                    "[0-9]+ s while starting, limit 20 s; .*"));
  EXPECT_TRUE(preparer_->Fds().empty());
  const pid_t pid = std::stoi(*base::ReadFile(folder_ / "pid"));
  EXPECT_TRUE(Eventually([&] {
    Poll();
    return StartTime(pid) == 0;  // reaped
  }));
}

TEST_F(PreparerHangs, AnotherRequestDoesNotWaitForOneThatHung) {
  const std::string runs = folder_ / "runs";
  Request(
      absl::StrCat("[ -e ", runs, " ] && echo '{\"phase\":\"again\"}'\n: > ", runs, "\nexec sleep 1000\n"));
  ASSERT_TRUE(Eventually([&] {
    Look();
    return failed_.has_value();
  }));
  ASSERT_TRUE(preparer_->Request(kKey, {}).ok());
  EXPECT_TRUE(Says("again"));
}

TEST_F(PreparerHangs, AWordIsASignOfLife) {
  const std::string lines = folder_ / "lines";
  ASSERT_EQ(mkfifo(lines.c_str(), 0600), 0);
  Request(absl::StrCat("while read -r n; do echo \"{\\\"phase\\\":\\\"part $n\\\"}\"; done < ", lines, "\n"));
  std::ofstream ask(lines);
  for (int n = 0; n < 10; ++n) {
    ask << n << std::endl;
    ASSERT_TRUE(Says(absl::StrCat("part ", n)));
    Look();
    ASSERT_FALSE(failed_) << failed_->message;
  }
}

TEST_F(PreparerHangs, SoIsTheUseOfCpu) {
  const std::string pid_file = folder_ / "pid";
  Request(absl::StrCat("echo $$ > ", pid_file, ".tmp; mv ", pid_file, ".tmp ", pid_file,
                       "\nwhile :; do :; done\n"));
  ASSERT_TRUE(Eventually([&] { return std::filesystem::exists(pid_file); }));
  const pid_t pid = std::stoi(*base::ReadFile(pid_file));
  for (int look = 0; look < 10; ++look) {
    const uint64_t before = CpuTime(pid);
    ASSERT_TRUE(Eventually([&] { return CpuTime(pid) != before; }));
    Look();
    ASSERT_FALSE(failed_) << failed_->message;
  }
}

}  // namespace
}  // namespace mixln::worker::agent
