#include "services/rpc/kind.h"

#include <gtest/gtest.h>

namespace mixln::services::rpc {
namespace {

TEST(Kind, NamesWhatAMessageSays) {
  v1::CoordinatorMessage message;
  message.mutable_reserve();
  EXPECT_EQ(Kind(message), "reserve");
  v1::WorkerMessage answer;
  EXPECT_EQ(Kind(answer), "nothing");
  answer.mutable_heartbeat();
  EXPECT_EQ(Kind(answer), "heartbeat");
}

TEST(Kind, NamesEachKindOfABatchsEventsOnce) {
  v1::WorkerMessage message;
  v1::EventBatch& batch = *message.mutable_events();
  batch.add_events()->mutable_step_done();
  batch.add_events()->mutable_step_done();
  batch.add_events()->mutable_checkpoint_done();
  EXPECT_EQ(Kind(message), "events checkpoint_done step_done");
  EXPECT_EQ(Kind(batch), Kind(message));
}

}  // namespace
}  // namespace mixln::services::rpc
