#include "services/rpc/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mixln::services::rpc {
namespace {

const Exposure kLoopbackOnly{.allowed = false, .remedy = "say please"};
const Exposure kAnywhere{.allowed = true};

TEST(Address, OfTheLoopbackIsReadAndPrinted) {
  for (const char* text : {"127.0.0.1:7410", "localhost:0", "127.3.2.1:65535", "[::1]:7410"})
    EXPECT_EQ(Format(*ParseListen(text, kLoopbackOnly)), text);
}

TEST(Address, OffTheLoopbackIsRefusedWithTheRemedyUnlessAllowed) {
  for (const char* text : {"0.0.0.0:7410", "192.168.0.1:7410", "[::]:7410"}) {
    const auto parsed = ParseListen(text, kLoopbackOnly);
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kFailedPrecondition) << text;
    EXPECT_THAT(std::string(parsed.status().message()),
                testing::AllOf(testing::HasSubstr("without TLS"), testing::HasSubstr("say please")));
    EXPECT_EQ(Format(*ParseListen(text, kAnywhere)), text);
  }
}

TEST(Address, WithoutAPortOrWithAnotherHostsNameIsNone) {
  for (const char* text : {"127.0.0.1", ":7410", "127.0.0.1:", "127.0.0.1:port", "127.0.0.1:65536",
                           "127.0.0.1:-1", "example.org:7410", "*:7410"})
    EXPECT_EQ(ParseListen(text, kAnywhere).status().code(), absl::StatusCode::kInvalidArgument) << text;
}

}  // namespace
}  // namespace mixln::services::rpc
