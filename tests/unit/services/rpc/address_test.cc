#include "services/rpc/address.h"

#include <gtest/gtest.h>

namespace mixln::services::rpc {
namespace {

TEST(Address, OfTheLoopbackIsReadAndPrinted) {
  for (const char* text : {"127.0.0.1:7410", "localhost:0", "127.3.2.1:65535", "[::1]:7410"})
    EXPECT_EQ(Format(*ParseLoopback(text)), text);
}

TEST(Address, OffTheLoopbackIsRefusedWithTheReason) {
  for (const char* text : {"0.0.0.0:7410", "192.168.0.1:7410", "[::]:7410", "example.org:7410"}) {
    const auto parsed = ParseLoopback(text);
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kFailedPrecondition) << text;
    EXPECT_NE(std::string(parsed.status().message()).find("no TLS"), std::string::npos);
  }
}

TEST(Address, WithoutAPortIsNone) {
  for (const char* text :
       {"127.0.0.1", ":7410", "127.0.0.1:", "127.0.0.1:port", "127.0.0.1:65536", "127.0.0.1:-1"})
    EXPECT_EQ(ParseLoopback(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
}

}  // namespace
}  // namespace mixln::services::rpc
