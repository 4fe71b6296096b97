// The audit log: who changed what, and whether it was done. One line of JSON for each change, appended to a
// file that nobody else may read; no request is copied into it but the names of what it is about.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_interceptor.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/file/unique_fd.h"
#include "services/access/gate.h"

namespace mixln::services::coordinatord {

// What one line says; empty fields are left out.
struct AuditEntry {
  std::string who = {};          // "operator/ada"; without TLS nobody is known: "anybody"
  std::string certificate = {};  // its serial number
  std::string from = {};         // the peer's address
  std::string method = {};       // "SweepService/CreateSweep"
  std::string about = {};        // id of the sweep, trial or worker
  std::string request_id = {};   // as the caller gave it
  std::string outcome = {};      // "OK", "NOT_FOUND", ...
};

// Thread-safe.
class AuditLog {
 public:
  // Appends to the file; makes it where there is none.
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(const std::filesystem::path& file);

  // Writes one line at once. A line that cannot be written is said in the program's log.
  void Write(const AuditEntry& entry, absl::Time now);

 private:
  explicit AuditLog(base::UniqueFd file) : file_(std::move(file)) {}

  std::mutex mutex_;
  const base::UniqueFd file_;
};

// An interceptor that writes an entry for each call that changes something, when it ends. `gate`, whose own
// interceptor stands before it, is null without TLS; both outlive the server.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> RecordChanges(AuditLog& log,
                                                                                     access::Gate* gate);

}  // namespace mixln::services::coordinatord
