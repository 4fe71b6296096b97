#include "worker/trainer/events/control_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>

namespace mixln::worker::trainer::events {
namespace {

constexpr base::Time kStart{1'000'000};

TEST(Requests, ARankThatNeverHeardAnythingGoesOn) {
  Requests requests;
  requests.OnTick(kStart + base::Seconds(1e6));
  EXPECT_EQ(requests.stop_reason(), "");
}

TEST(Requests, Promise7FiveMinutesOfSilenceAfterTheLastWordStop) {
  Requests requests;
  requests.OnDatagram("alive", kStart);
  requests.OnDatagram("alive", kStart + base::Seconds(100));
  requests.OnTick(kStart + base::Seconds(399.9));
  EXPECT_EQ(requests.stop_reason(), "");
  requests.OnTick(kStart + base::Seconds(400));
  EXPECT_EQ(requests.stop_reason(), "the agent has been silent for 5 minutes");
}

TEST(Requests, ACheckpointIsTakenOnce) {
  Requests requests;
  EXPECT_FALSE(requests.TakeCheckpoint());
  requests.OnDatagram("checkpoint", kStart);
  EXPECT_TRUE(requests.TakeCheckpoint());
  EXPECT_FALSE(requests.TakeCheckpoint());
  EXPECT_EQ(requests.stop_reason(), "");
}

TEST(ControlSocket, HearsDatagramsAndSignals) {
  const std::filesystem::path folder = testing::TempDir() + "/control-" + std::to_string(getpid());
  std::filesystem::create_directories(folder);
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder);  // the rank binds a relative name
  { ControlSocket left_by_a_killed_rank("control"); }
  {
    ControlSocket socket("control");
    const int agent = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::string("control").copy(address.sun_path, sizeof address.sun_path - 1);
    const auto send = [&](const std::string& word) {
      return sendto(agent, word.data(), word.size(), 0, reinterpret_cast<const sockaddr*>(&address),
                    sizeof address);
    };
    EXPECT_EQ(socket.Poll(kStart).stop_reason(), "");
    EXPECT_EQ(send("alive"), 5);
    EXPECT_EQ(send("checkpoint"), 10);
    EXPECT_TRUE(socket.Poll(kStart).TakeCheckpoint());
    EXPECT_EQ(send("stop"), 4);
    EXPECT_EQ(socket.Poll(kStart).stop_reason(), "the agent asked for it");
    close(agent);
  }
  EXPECT_FALSE(std::filesystem::exists("control"));
  {
    ControlSocket socket("control");
    raise(SIGTERM);
    EXPECT_EQ(socket.Poll(kStart).stop_reason(), "a signal asked for it");
  }
  std::filesystem::current_path(before);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace mixln::worker::trainer::events
