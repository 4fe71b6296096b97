// Where the ranks of one attempt find each other, and leave each other small texts.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "base/time/time.h"

namespace mixln::worker::trainer::fsdp {

struct RankOptions {
  int rank = 0;
  int world_size = 1;
  std::string rendezvous;  // host:port where rank 0 listens
  int listening_fd = -1;   // rank 0: its socket, already listening there; -1: it makes one
  std::string address;     // an address of this host that the other ranks can reach
  std::string group;       // of this attempt only: an old rank with another one is never heard
  // For all to come together, and for any one collective: far above what a rank may fall behind, as its only
  // use is that a hang that nothing else ends comes to an end.
  base::Duration timeout = base::Seconds(300);
};

struct Store;

// Any thread may use it.
class Rendezvous {
 public:
  // Finds rank 0 over TCP. Throws error::ConfigError for an address that is none, error::PeerLostError when
  // rank 0 is not there in time.
  explicit Rendezvous(RankOptions options);
  // Over a store that is there.
  Rendezvous(RankOptions options, std::unique_ptr<Store> store);
  ~Rendezvous();

  const RankOptions& options() const { return options_; }
  const Store& store() const { return *store_; }

  // Sets a text by name, for all ranks. Throws error::PeerLostError when rank 0 is gone, as the others do.
  void Publish(const std::string& name, const std::string& text);
  // Waits until the name has been set; for so long at most. Throws once Abandon was called, too.
  std::string Get(const std::string& name, std::optional<base::Duration> timeout = {});
  // This rank is about to end: nobody is to wait any longer.
  void Abandon() { abandoned_ = true; }

 private:
  RankOptions options_;
  std::unique_ptr<Store> store_;
  std::atomic<bool> abandoned_ = false;
};

// What the ranks that do not find each other say: throws error::PeerLostError.
[[noreturn]] void ThrowNotTogether(const RankOptions& options, const std::exception& problem);

}  // namespace mixln::worker::trainer::fsdp
