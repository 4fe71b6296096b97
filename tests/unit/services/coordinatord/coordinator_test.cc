// Starting, stopping, health and metrics of a whole coordinator.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "base/file/unique_fd.h"
#include "coordinator/store/curve_store.h"
#include "coordinator_fixture.h"

namespace mixln::services::coordinatord {
namespace {

using testing::HasSubstr;

TEST_F(CoordinatorTest, ItsAddressesAndFolderAreItsOwn) {
  const auto same_folder = Coordinator::Start(OptionsOf(folder_));
  EXPECT_THAT(std::string(same_folder.status().message()), HasSubstr("is used by another coordinator"));
  auto options = OptionsOf(folder_ / "other");
  options.listen = coordinator_->grpc_address();
  EXPECT_THAT(std::string(Coordinator::Start(options).status().message()), HasSubstr("the port is in use"));
}

TEST_F(CoordinatorTest, CurvesWithoutATrialAreForgottenAtTheNextStart) {
  coordinator_.reset();
  {
    auto curves = *coordinator::store::CurveStore::Open(folder_ / "metrics.db", ClusterId(), {});
    v1::EventBatch batch;
    batch.set_trial_id("alpha-0");
    batch.add_events()->set_sequence(1);
    ASSERT_TRUE(curves->Append(batch, [](uint64_t) {}).ok());
  }
  Start();
  coordinator_.reset();
  EXPECT_TRUE(
      (*coordinator::store::CurveStore::Open(folder_ / "metrics.db", ClusterId(), {}))->TrialIds()->empty());
}

// A call of any method, as bytes.
grpc::Status CallRaw(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                     grpc::ByteBuffer& answer) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  rpc::Prepare(context, 60);
  grpc::CompletionQueue queue;
  grpc::Slice nothing;
  const auto call = stub.PrepareUnaryCall(&context, method, grpc::ByteBuffer(&nothing, 1), &queue);
  call->StartCall();
  grpc::Status status;
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  return status;
}

TEST_F(CoordinatorTest, IsHealthy) {
  grpc::ByteBuffer answer;
  ASSERT_TRUE(CallRaw(channel_, "/grpc.health.v1.Health/Check", answer).ok());
  grpc::Slice bytes;
  ASSERT_TRUE(answer.DumpToSingleSlice(&bytes).ok());
  // HealthCheckResponse with field 1, status, = 1, SERVING.
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), "\x08\x01");
}

// What an HTTP server answers to GET /metrics.
std::string Scrape(const std::string& address) {
  const base::UniqueFd fd(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  where.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&where), sizeof where), 0);
  constexpr char kRequest[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  EXPECT_GT(write(fd.get(), kRequest, sizeof kRequest - 1), 0);
  std::string text;
  char buffer[4096];
  for (ssize_t n = 0; (n = read(fd.get(), buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(n));
  return text;
}

TEST_F(CoordinatorTest, ItsMetricsCountTrialsSlotsAndCalls) {
  coordinator_.reset();
  auto options = OptionsOf(folder_);
  options.metrics_listen = "127.0.0.1:0";
  coordinator_ = std::move(*Coordinator::Start(options));
  channel_ = rpc::Connect(coordinator_->grpc_address());
  sweeps_ = v1::SweepService::NewStub(channel_);
  Create();
  Worker worker(channel_, 1);
  worker.TrainToTheEnd();
  worker.Read(v1::CoordinatorMessage::kEventAck);
  const std::string text = Scrape(coordinator_->metrics_address());
  EXPECT_THAT(text, HasSubstr("mixln_trials{state=\"running\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("mixln_trials{state=\"pending\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("mixln_slots{state=\"taken\"} "));
  EXPECT_THAT(text, HasSubstr("mixln_queue_wait_seconds_count 1\n"));
  EXPECT_THAT(text, HasSubstr("mixln_commit_seconds_count{database=\"curves\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("mixln_grpc_server_handled_total{code=\"OK\",method=\"/mixln.v1.SweepService/"
                              "CreateSweep\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("mixln_build_info{version=\"0.1.0\"} 1\n"));
}

TEST_F(CoordinatorTest, StoppingEndsOpenStreamsAtOnce) {
  Create();
  Worker worker(channel_, 1);
  worker.Greet();
  worker.Read(v1::CoordinatorMessage::kWelcome);
  grpc::ClientContext context;
  rpc::Prepare(context, 60);
  v1::WatchSweepRequest watch;
  watch.set_sweep_id("alpha");
  const auto reader = sweeps_->WatchSweep(&context, watch);
  v1::WatchSweepResponse response;
  ASSERT_TRUE(reader->Read(&response));
  coordinator_.reset();
  while (reader->Read(&response)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(worker.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace mixln::services::coordinatord
