// The whole coordinator in one object: state folder, stores, loop, gRPC server and /metrics.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/control/options.h"
#include "services/access/callers.h"
#include "services/access/limiter.h"
#include "services/rpc/tls.h"

namespace mixln::services::coordinatord {

class Coordinator {
 public:
  struct Options {
    // Where to serve gRPC and /metrics: host:port; port 0: any free one. No /metrics when that is empty.
    std::string listen = "127.0.0.1:7410";
    std::string metrics_listen = "127.0.0.1:7411";
    // With these files gRPC is served with TLS. Without, it stays on the loopback unless `insecure_no_tls`;
    // so does /metrics unless `insecure_metrics`.
    rpc::TlsFiles tls = {};
    bool insecure_no_tls = false;
    bool insecure_metrics = false;
    // Who else may come in, and who no longer; need TLS.
    access::Callers::Files access = {};
    access::Limiter::Options limits = {};
    // Folder of the databases, on a local disk; made if there is none.
    std::filesystem::path state_dir = {};
    // Times of the control plane; its version is filled in.
    coordinator::control::Options control = {};
    // Called on some thread when the disk fails and nothing can be relied on any more; must not return.
    std::function<void(const absl::Status&)> fatal = {};
  };

  // Opens the state and serves. Every error is one sentence for people.
  static absl::StatusOr<std::unique_ptr<Coordinator>> Start(const Options& options);
  // Stops serving, ends the streams, and closes the databases, within a few seconds.
  ~Coordinator();
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  // host:port as bound; empty when there is no /metrics.
  const std::string& grpc_address() const { return grpc_address_; }
  const std::string& metrics_address() const { return metrics_address_; }

 private:
  struct Parts;

  Coordinator();
  absl::Status Open(const Options& options);
  absl::Status OpenAccess(const Options& options);
  absl::Status ServeGrpc(const Options& options);
  absl::Status ServeMetrics(const Options& options);

  std::unique_ptr<Parts> parts_;
  std::string grpc_address_;
  std::string metrics_address_;
};

}  // namespace mixln::services::coordinatord
