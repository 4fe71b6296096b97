#include "coordinator/store/curve_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <future>
#include <limits>
#include <memory>
#include <utility>

#include "test_folder.h"

namespace mixln::coordinator::store {
namespace {

using testing::ElementsAre;

// Builds the events of one rank of one attempt, numbered from 1.
class Rank {
 public:
  explicit Rank(uint64_t epoch, int32_t rank = 0) {
    batch_.set_trial_id("alpha-0");
    batch_.mutable_fence()->set_term(1);
    batch_.mutable_fence()->set_epoch(epoch);
    batch_.set_rank(rank);
  }
  Rank& Started(int64_t resume_step) {
    Next(resume_step)->mutable_started()->set_resume_step(resume_step);
    return *this;
  }
  Rank& Step(int64_t step, double loss) {
    Next(step)->mutable_step_done()->set_loss(loss);
    return *this;
  }
  Rank& Eval(int64_t step, double loss, double perplexity, double bits_per_byte) {
    auto* eval = Next(step)->mutable_eval_done();
    eval->set_loss(loss);
    eval->set_perplexity(perplexity);
    eval->set_bits_per_byte(bits_per_byte);
    return *this;
  }
  Rank& Finished(int64_t step) {
    Next(step)->mutable_finished();
    return *this;
  }
  v1::RankEvent* Next(int64_t step) {
    auto* event = batch_.add_events();
    event->set_sequence(++sequence_);
    event->set_step(step);
    return event;
  }
  // The events since the last call.
  v1::EventBatch Take() {
    v1::EventBatch taken = batch_;
    batch_.clear_events();
    return taken;
  }
  const v1::Fence& fence() const { return batch_.fence(); }

 private:
  v1::EventBatch batch_;
  uint64_t sequence_ = 0;
};

class CurveStoreTest : public testing::Test {
 protected:
  void SetUp() override { Open(); }
  void Open(CurveStore::Options options = {}) {
    store_.reset();
    auto store = CurveStore::Open(folder_ / "metrics.db", "c1", std::move(options));
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = std::move(*store);
  }
  // Appends the batch, waits for the commit, and returns the cursor that was reported.
  uint64_t Store(v1::EventBatch batch) {
    uint64_t reported = 0;
    EXPECT_TRUE(store_->Append(std::move(batch), [&](uint64_t cursor) { reported = cursor; }).ok());
    EXPECT_TRUE(store_->Flush().ok());
    return reported;
  }
  v1::Curve Read(const std::string& metric, int32_t max_points = 0) {
    return *store_->Read("alpha-0", metric, max_points);
  }

  const TestFolder folder_;
  std::unique_ptr<CurveStore> store_;
};

TEST_F(CurveStoreTest, StepsAndEvaluationsBecomeCurves) {
  Rank rank(1);
  rank.Started(0).Step(1, 5.5).Step(2, 5.25).Eval(2, 5.0, 148.4, 2.5);
  auto* done = rank.Next(3)->mutable_step_done();
  done->set_lr(0.5);
  done->set_gradient_norm(2.0);
  done->set_tokens_per_second(1000);
  done->add_layer_gradient_norms(0.25);
  done->add_layer_gradient_norms(0.75);
  done->add_layer_activation_variances(1.5);
  done->add_layer_update_ratios(0.001);
  done->add_layer_update_ratios(0.002);
  EXPECT_EQ(Store(rank.Take()), 5U);
  EXPECT_THAT(Read("loss").steps(), ElementsAre(1, 2, 3));
  EXPECT_THAT(Read("loss").values(), ElementsAre(5.5, 5.25, 0.0));
  EXPECT_THAT(Read("eval_loss").values(), ElementsAre(5.0));
  EXPECT_THAT(Read("perplexity").values(), ElementsAre(148.4));
  EXPECT_THAT(Read("bits_per_byte").values(), ElementsAre(2.5));
  EXPECT_THAT(Read("lr").values(), ElementsAre(0.0, 0.0, 0.5));
  EXPECT_THAT(Read("gradient_norm").values(), ElementsAre(0.0, 0.0, 2.0));
  EXPECT_THAT(Read("tokens_per_second").values(), ElementsAre(0.0, 0.0, 1000.0));
  EXPECT_THAT(Read("layer_gradient_norm/2").steps(), ElementsAre(3));
  EXPECT_THAT(Read("layer_gradient_norm/2").values(), ElementsAre(0.75));
  EXPECT_THAT(Read("layer_activation_variance/1").values(), ElementsAre(1.5));
  EXPECT_THAT(Read("layer_update_ratio/2").values(), ElementsAre(0.002));
}

TEST_F(CurveStoreTest, AnAttemptSupersedesWhatIsLaterThanItsStart) {
  Store(Rank(1).Started(0).Step(1, 5).Step(2, 4).Step(3, 3).Eval(3, 3, 20, 1).Take());
  Store(Rank(2).Started(1).Step(2, 40).Take());
  EXPECT_THAT(Read("loss").steps(), ElementsAre(1, 2));
  EXPECT_THAT(Read("loss").values(), ElementsAre(5.0, 40.0));
  EXPECT_EQ(Read("eval_loss").steps_size(), 0);
}

TEST_F(CurveStoreTest, ABatchThatComesTwiceCountsOnce) {
  Rank first(1);
  first.Started(0).Step(1, 5);
  const auto batch = first.Take();
  Store(batch);
  Store(first.Step(2, 4).Take());
  // Its `started` would erase step 2 if it were applied again.
  EXPECT_EQ(Store(batch), 3U);
  EXPECT_THAT(Read("loss").steps(), ElementsAre(1, 2));
}

TEST_F(CurveStoreTest, OfABatchThatOverlapsOnlyTheNewEventsCount) {
  Rank rank(1);
  auto batch = rank.Started(0).Step(1, 5).Take();
  Store(batch);
  batch.MergeFrom(rank.Step(2, 4).Take());
  EXPECT_EQ(Store(batch), 3U);
  EXPECT_THAT(Read("loss").values(), ElementsAre(5.0, 4.0));
}

TEST_F(CurveStoreTest, NothingIsTakenAfterAGap) {
  Rank rank(1);
  Store(rank.Started(0).Take());
  rank.Step(1, 5).Take();  // lost on the way
  EXPECT_EQ(Store(rank.Step(2, 4).Take()), 1U);
  EXPECT_EQ(Read("loss").steps_size(), 0);
}

TEST_F(CurveStoreTest, CursorsAreKeptByFenceAndRankAndSurviveAReopening) {
  Rank rank(1);
  Store(rank.Started(0).Step(1, 5).Take());
  Store(Rank(1, 1).Started(0).Take());
  Open();
  EXPECT_EQ(*store_->Cursor("alpha-0", rank.fence(), 0), 2U);
  EXPECT_EQ(*store_->Cursor("alpha-0", rank.fence(), 1), 1U);
  EXPECT_EQ(*store_->Cursor("alpha-0", Rank(2).fence(), 0), 0U);
  EXPECT_EQ(*store_->Cursor("alpha-1", rank.fence(), 0), 0U);
}

TEST_F(CurveStoreTest, OnlyRankZeroWritesCurves) {
  Store(Rank(1).Started(0).Step(1, 5).Take());
  Store(Rank(1, 1).Started(0).Step(1, 7).Take());
  EXPECT_THAT(Read("loss").values(), ElementsAre(5.0));
}

TEST_F(CurveStoreTest, InfinityAndNotANumberComeBackAsThemselves) {
  Store(Rank(1).Started(0).Step(1, std::numeric_limits<double>::infinity()).Step(2, std::nan("")).Take());
  EXPECT_EQ(Read("loss").values(0), std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(Read("loss").values(1)));
}

TEST_F(CurveStoreTest, ThinningKeepsBothEndsAndSpreadsTheRest) {
  Rank rank(1);
  rank.Started(0);
  for (int step = 1; step <= 9; ++step) rank.Step(step, step);
  Store(rank.Take());
  EXPECT_THAT(Read("loss", 3).steps(), ElementsAre(1, 5, 9));
  EXPECT_THAT(Read("loss", 1).steps(), ElementsAre(9));
  EXPECT_EQ(Read("loss", 9).steps_size(), 9);
}

TEST_F(CurveStoreTest, ADeletedTrialHasNoCurveAndNoCursor) {
  Rank rank(1);
  Store(rank.Started(0).Step(1, 5).Take());
  EXPECT_THAT(*store_->TrialIds(), ElementsAre("alpha-0"));
  store_->Delete({"alpha-0"});
  ASSERT_TRUE(store_->Flush().ok());
  EXPECT_TRUE(store_->TrialIds()->empty());
  EXPECT_EQ(Read("loss").steps_size(), 0);
  EXPECT_EQ(*store_->Cursor("alpha-0", rank.fence(), 0), 0U);
  // The name may be used again.
  EXPECT_EQ(Store(Rank(9).Started(0).Step(1, 2).Take()), 2U);
  EXPECT_THAT(Read("loss").values(), ElementsAre(2.0));
}

TEST_F(CurveStoreTest, TheEndOfAnAttemptDoesNotWaitForTheNextCommit) {
  Open({.commit_seconds = 3600});
  std::promise<uint64_t> stored;
  ASSERT_TRUE(
      store_
          ->Append(Rank(1).Started(0).Finished(0).Take(), [&](uint64_t cursor) { stored.set_value(cursor); })
          .ok());
  EXPECT_EQ(stored.get_future().get(), 2U);
}

TEST_F(CurveStoreTest, InAHurryNothingWaitsForTheNextCommit) {
  Open({.commit_seconds = 3600});
  std::promise<uint64_t> stored;
  ASSERT_TRUE(
      store_->Append(Rank(1).Started(0).Take(), [&](uint64_t cursor) { stored.set_value(cursor); }).ok());
  auto done = stored.get_future();
  EXPECT_EQ(done.wait_for(std::chrono::milliseconds(0)), std::future_status::timeout);
  store_->Hurry();
  EXPECT_EQ(done.get(), 1u);
}

TEST_F(CurveStoreTest, ClosingCommitsWhatIsQueued) {
  Open({.commit_seconds = 3600});
  ASSERT_TRUE(store_->Append(Rank(1).Started(0).Step(1, 5).Take(), [](uint64_t) {}).ok());
  Open();
  EXPECT_THAT(Read("loss").values(), ElementsAre(5.0));
}

TEST_F(CurveStoreTest, MoreThanTheQueueHoldsIsRefused) {
  Open({.commit_seconds = 3600, .queue_bytes = 10});
  EXPECT_EQ(store_->Append(Rank(1).Started(0).Take(), [](uint64_t) {}).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(IsMetric, KnowsTheNamesThatAreRecorded) {
  EXPECT_TRUE(IsMetric("loss"));
  EXPECT_TRUE(IsMetric("bits_per_byte"));
  EXPECT_TRUE(IsMetric("layer_gradient_norm/12"));
  EXPECT_TRUE(IsMetric("layer_activation_variance/1"));
  EXPECT_TRUE(IsMetric("layer_update_ratio/1"));
  EXPECT_FALSE(IsMetric("layer_gradient_norm/0"));
  EXPECT_FALSE(IsMetric("layer_gradient_norm"));
  EXPECT_FALSE(IsMetric("los"));
}

TEST_F(CurveStoreTest, AnotherClustersCurvesAreRefusedAndStay) {
  Rank rank(1);
  Store(rank.Started(0).Step(1, 2.0).Take());
  store_.reset();
  const auto other = CurveStore::Open(folder_ / "metrics.db", "c2", {});
  EXPECT_EQ(other.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(other.status().message()), testing::HasSubstr("of cluster c1"));
  Open();
  EXPECT_THAT(*store_->TrialIds(), ElementsAre("alpha-0"));
}

}  // namespace
}  // namespace mixln::coordinator::store
