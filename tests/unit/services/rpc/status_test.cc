#include "services/rpc/status.h"

#include <gtest/gtest.h>

#include "services/rpc/client.h"

namespace mixln::services::rpc {
namespace {

TEST(Status, CodeAndMessageSurviveTheWayOutAndBack) {
  const absl::Status status = absl::NotFoundError("no sweep alpha");
  EXPECT_EQ(FromGrpc(ToGrpc(status)), status);
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
}

TEST(Status, ViolationsAreReadBackOneOnALine) {
  const auto status =
      InvalidArgument("2 problems in sweep alpha",
                      {{"spec.base.norm.alpha", "1.5 is not in [0, 1]"}, {"", "too many cells"}});
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Explain(status),
            "2 problems in sweep alpha\n  spec.base.norm.alpha: 1.5 is not in [0, 1]\n  too many cells");
}

TEST(Status, AnErrorWithoutDetailsIsItsMessage) {
  EXPECT_EQ(Explain({grpc::StatusCode::NOT_FOUND, "no sweep alpha"}), "no sweep alpha");
}

}  // namespace
}  // namespace mixln::services::rpc
