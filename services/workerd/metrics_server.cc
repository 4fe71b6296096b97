#include "services/workerd/metrics_server.h"

#include <arpa/inet.h>

#include <exception>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace mixln::services::workerd {

absl::StatusOr<MetricsServer> ServeMetrics(const std::string& listen,
                                           const std::shared_ptr<prometheus::Collectable>& series) {
  const size_t colon = listen.rfind(':');
  int port = -1;
  if (colon == std::string::npos || !absl::SimpleAtoi(listen.substr(colon + 1), &port) || port < 0 ||
      port > 65535)
    return absl::InvalidArgumentError(absl::StrCat(
        "--metrics-listen ", listen, ": an address is a host and a port, such as 127.0.0.1:7412"));
  std::string host = listen.substr(0, colon);
  if (host == "localhost") host = "127.0.0.1";
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) != 1 || (ntohl(v4.s_addr) >> 24) != 127)
    return absl::FailedPreconditionError(absl::StrCat("--metrics-listen ", listen,
                                                      ": this release has no TLS yet, so it listens on the "
                                                      "loopback only (127.0.0.1); scrape it from elsewhere "
                                                      "through an SSH tunnel"));
  MetricsServer server;
  try {
    server.exposer = std::make_unique<prometheus::Exposer>(absl::StrCat(host, ":", port), /*num_threads=*/2);
  } catch (const std::exception& error) {
    return absl::UnavailableError(
        absl::StrCat("cannot serve metrics on ", listen,
                     ": is the port in use, perhaps by another worker? Name another one with "
                     "--metrics-listen, or port 0 for any free one (",
                     error.what(), ")"));
  }
  server.exposer->RegisterCollectable(series);
  server.address = absl::StrCat(host, ":", server.exposer->GetListeningPorts().at(0));
  return server;
}

}  // namespace mixln::services::workerd
