#include "services/coordinatord/event_intake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace mixln::services::coordinatord {
namespace {

using testing::ElementsAre;

// The core and the curve store, which do what they are asked for when the test says so.
class IntakeTest : public testing::Test {
 protected:
  // "s" a step, "c" a checkpoint; numbered on.
  v1::EventBatch Batch(const std::string& kinds) {
    v1::EventBatch batch;
    batch.set_trial_id("t");
    for (const char kind : kinds) {
      v1::RankEvent& event = *batch.add_events();
      event.set_sequence(++sequence_);
      kind == 'c' ? (void)event.mutable_checkpoint_done() : (void)event.mutable_step_done();
    }
    return batch;
  }
  void Add(const std::string& kinds) {
    intake_->Add(Batch(kinds), [this] { ++admitted_; });
  }
  // "t 1-3": its name and the numbers of its events.
  static std::string Words(const v1::EventBatch& batch) {
    return absl::StrCat(batch.trial_id(), " ", batch.events().begin()->sequence(), "-",
                        batch.events().rbegin()->sequence());
  }
  void Answer(bool taken = true) { std::exchange(answered_, nullptr)(taken); }
  void Store() { std::exchange(stored_, nullptr)(); }

  std::vector<std::string> calls_;
  std::function<void(bool)> answered_;
  std::function<void()> stored_;
  int admitted_ = 0;
  uint64_t sequence_ = 0;
  std::shared_ptr<EventIntake> intake_ = std::make_shared<EventIntake>(EventIntake::Effects{
      .take =
          [this](const v1::EventBatch& batch, std::function<void(bool)> answered) {
            calls_.push_back("take " + Words(batch));
            answered_ = std::move(answered);
          },
      .store =
          [this](const v1::EventBatch& batch, std::function<void()> stored) {
            calls_.push_back("store " + Words(batch));
            stored_ = std::move(stored);
          },
      .hurry = [this] { calls_.emplace_back("hurry"); },
  });
};

TEST_F(IntakeTest, ABatchGoesToTheCoreAndThenToTheCurves) {
  Add("sss");
  EXPECT_THAT(calls_, ElementsAre("take t 1-3"));
  Answer();
  EXPECT_THAT(calls_, ElementsAre("take t 1-3", "store t 1-3"));
}

TEST_F(IntakeTest, OneAtATimeInOrderAndTheReaderDoesNotWait) {
  Add("s");
  Add("ss");
  EXPECT_EQ(admitted_, 2);
  EXPECT_THAT(calls_, ElementsAre("take t 1-1"));
  Answer();
  EXPECT_THAT(calls_, ElementsAre("take t 1-1", "store t 1-1", "take t 2-3"))
      << "it does not wait for the disk";
}

TEST_F(IntakeTest, ACheckpointWaitsUntilAllThatWasSaidBeforeIsOnDisk) {
  Add("sscs");
  Answer();
  EXPECT_THAT(calls_, ElementsAre("take t 1-2", "store t 1-2", "hurry"));
  Store();
  EXPECT_THAT(calls_, ElementsAre("take t 1-2", "store t 1-2", "hurry", "take t 3-4"));
}

TEST_F(IntakeTest, ACheckpointOfALaterBatchWaitsToo) {
  Add("s");
  Answer();
  Add("c");
  EXPECT_THAT(calls_, ElementsAre("take t 1-1", "store t 1-1", "hurry"));
  Store();
  EXPECT_EQ(calls_.back(), "take t 2-2");
}

TEST_F(IntakeTest, WhatTheCoreRefusesGoesNoFurtherAndHoldsNothingUp) {
  Add("ss");
  Add("cs");
  Answer(false);
  EXPECT_THAT(calls_, ElementsAre("take t 1-2", "take t 3-4"));
}

TEST_F(IntakeTest, TheReaderWaitsWhenTooMuchDoes) {
  Add("s");
  Add(std::string(4000, 's'));
  EXPECT_EQ(admitted_, 2);
  Add(std::string(200, 's'));
  EXPECT_EQ(admitted_, 2);
  Answer();
  EXPECT_EQ(admitted_, 3);
}

TEST_F(IntakeTest, ABatchWithoutEventsHoldsNothingUp) {
  intake_ = std::make_shared<EventIntake>(EventIntake::Effects{
      .take = [](const v1::EventBatch&, const std::function<void(bool)>& answered) { answered(true); },
      .store = [](const v1::EventBatch&, const std::function<void()>& stored) { stored(); },
      .hurry = [] {},
  });
  Add("");
  Add("s");
  EXPECT_EQ(admitted_, 2);
}

TEST_F(IntakeTest, AfterTheStreamsEndNothingMoreIsTaken) {
  Add("s");
  Add("s");
  intake_->Stop();
  Answer();
  Add("s");
  EXPECT_THAT(calls_, ElementsAre("take t 1-1", "store t 1-1"));
}

}  // namespace
}  // namespace mixln::services::coordinatord
