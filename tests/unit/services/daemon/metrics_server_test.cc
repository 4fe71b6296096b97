#include "services/daemon/metrics_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/registry.h>

namespace mixln::services::daemon {
namespace {

const rpc::Exposure kLoopback = MetricsExposure(/*insecure_metrics=*/false);
const auto kSeries = std::make_shared<prometheus::Registry>();

TEST(MetricsServer, SaysThePortThatTheSystemChose) {
  const auto server = ServeMetrics("127.0.0.1:0", kLoopback, {kSeries});
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_THAT(server->address, testing::MatchesRegex("127\\.0\\.0\\.1:[1-9][0-9]*"));
}

TEST(MetricsServer, KnowsTheLoopbackByNameAndSaysThatItHasNoIpv6) {
  EXPECT_TRUE(ServeMetrics("localhost:0", kLoopback, {kSeries}).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(ServeMetrics("[::1]:0", kLoopback, {kSeries}).status()));
}

TEST(MetricsServer, APortInUseIsExplained) {
  const auto first = ServeMetrics("127.0.0.1:0", kLoopback, {kSeries});
  ASSERT_TRUE(first.ok());
  const auto second = ServeMetrics(first->address, kLoopback, {kSeries});
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()),
              testing::AllOf(testing::HasSubstr(first->address), testing::HasSubstr("in use")));
}

TEST(MetricsServer, ListensOffTheLoopbackOnlyWhenToldTo) {
  EXPECT_TRUE(ServeMetrics("0.0.0.0:0", MetricsExposure(/*insecure_metrics=*/true), {kSeries}).ok());
  for (const char* address : {"0.0.0.0:0", "192.168.0.1:7412"})
    EXPECT_TRUE(absl::IsFailedPrecondition(ServeMetrics(address, kLoopback, {kSeries}).status())) << address;
}

TEST(MetricsServer, RefusesWhatIsNoAddress) {
  for (const char* address : {"", "7412", "127.0.0.1:", "127.0.0.1:70000"})
    EXPECT_TRUE(absl::IsInvalidArgument(ServeMetrics(address, kLoopback, {kSeries}).status())) << address;
}

}  // namespace
}  // namespace mixln::services::daemon
