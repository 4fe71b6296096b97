#include "worker/agent/trial_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include "agent_host.h"

namespace mixln::worker::agent {
namespace {

using base::Seconds;
using base::Time;
using testing::HasSubstr;
using testing::Not;

class TrialMetricsTest : public testing::Test {
 protected:
  TrialMetricsTest() {
    metrics_.Add(key_, MakeReserve(1).labels());
    v1::RankEvent started;
    started.mutable_started()->set_flops_per_token(2e6);
    started.mutable_started()->set_peak_flops(1e9);
    metrics_.Record(key_, started);
    v1::RankEvent event;
    event.set_step(12);
    event.mutable_step_done()->set_tokens_per_second(125);
    event.mutable_step_done()->add_layer_activation_variances(1.5);
    event.mutable_step_done()->add_layer_update_ratios(0.0625);
    event.mutable_step_done()->set_loss(3.5);
    event.mutable_step_done()->set_tokens(768);
    event.mutable_step_done()->add_layer_gradient_norms(0.5);
    event.mutable_step_done()->add_layer_gradient_norms(0.25);
    metrics_.Record(key_, event);
  }
  std::string Text() const { return prometheus::TextSerializer().Serialize(metrics_.Collect()); }

  const session::AttemptKey key_ = session::KeyOf(MakeReserve(1));
  TrialMetrics metrics_{Seconds(300)};
};

constexpr char kLabels[] = R"({sweep="sweep",trial="sweep-0",placement="mix",alpha="0.25",seed="7"})";

TEST_F(TrialMetricsTest, SaysWhatTheRankRecordedLast) {
  const std::string text = Text();
  EXPECT_THAT(text, HasSubstr(std::string("mixln_loss") + kLabels + " 3.5\n"));
  EXPECT_THAT(text, HasSubstr(std::string("mixln_step") + kLabels + " 12\n"));
  EXPECT_THAT(text, HasSubstr(std::string("mixln_tokens_total") + kLabels + " 768\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE mixln_tokens_total counter\n"));
  EXPECT_THAT(text, HasSubstr(R"(seed="7",layer="1"} 0.25)"));
  EXPECT_THAT(text, HasSubstr("mixln_layer_activation_variance{"));
  EXPECT_THAT(text, HasSubstr(R"(seed="7",layer="0"} 1.5)"));
  EXPECT_THAT(text, HasSubstr("mixln_layer_update_ratio{"));
  EXPECT_THAT(text, HasSubstr(R"(seed="7",layer="0"} 0.0625)"));
  // 125 tokens a second of 2 million operations each are a quarter of a thousand million.
  EXPECT_THAT(text, HasSubstr(std::string("mixln_model_flops_utilization") + kLabels + " 0.25\n"));
  EXPECT_THAT(text, Not(HasSubstr("mixln_perplexity"))) << "no evaluation yet";
}

TEST_F(TrialMetricsTest, EveryFamilyHasHelp) {
  for (const auto& family : metrics_.Collect()) EXPECT_FALSE(family.help.empty()) << family.name;
}

TEST_F(TrialMetricsTest, SeriesGoFiveMinutesAfterTheEnd) {
  const Time end{Seconds(100).count()};
  metrics_.End(key_, end);
  metrics_.Tick(end + Seconds(299));
  EXPECT_THAT(Text(), HasSubstr("mixln_loss{"));
  metrics_.Tick(end + Seconds(300));
  EXPECT_THAT(Text(), Not(HasSubstr("mixln_loss{")));
}

TEST_F(TrialMetricsTest, AreHiddenWhileTheLeaseIsOutButTheWorkersOwnAreNot) {
  metrics_.Show(false);
  EXPECT_THAT(Text(), Not(HasSubstr("mixln_loss{")));
  EXPECT_THAT(Text(), HasSubstr("mixln_worker_connected 0"));
  metrics_.Show(true);
  EXPECT_THAT(Text(), HasSubstr("mixln_loss{"));
}

TEST_F(TrialMetricsTest, OfAFencedAttemptGoAtOnceAndDoNotComeBack) {
  metrics_.Drop(key_);
  v1::RankEvent event;
  event.mutable_step_done()->set_loss(3.25);
  metrics_.Record(key_, event);
  EXPECT_THAT(Text(), Not(HasSubstr("mixln_loss{")));
}

TEST_F(TrialMetricsTest, ANewAttemptTakesTheSeriesOver) {
  metrics_.Add(session::KeyOf(MakeReserve(1, 2)), MakeReserve(1).labels());
  EXPECT_THAT(Text(), Not(HasSubstr("mixln_loss{"))) << "two series with the same labels would be an error";
}

TEST_F(TrialMetricsTest, CountsSlotsByState) {
  metrics_.SetWorker(1, 3, true);
  EXPECT_THAT(Text(),
              HasSubstr("mixln_worker_slots{state=\"busy\"} 1\nmixln_worker_slots{state=\"free\"} 3\n"));
}

}  // namespace
}  // namespace mixln::worker::agent
