#include "services/rpc/tls.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file/durable.h"

namespace mixln::services::rpc {
namespace {

namespace tls = grpc::experimental;

constexpr unsigned kReloadSeconds = 10;

std::shared_ptr<tls::CertificateProviderInterface> Watch(const TlsFiles& files) {
  return std::make_shared<tls::FileWatcherCertificateProvider>(files.key, files.certificate,
                                                               files.authorities, kReloadSeconds);
}

}  // namespace

absl::Status CheckTls(const TlsFiles& files, certificate::Use use) {
  certificate::Credentials credentials;
  for (const auto& [flag, path, contents] :
       {std::tuple{"--tls-certificate", &files.certificate, &credentials.certificate},
        std::tuple{"--tls-key", &files.key, &credentials.key},
        std::tuple{"--tls-ca", &files.authorities, &credentials.authorities}}) {
    if (path->empty())
      return absl::InvalidArgumentError(
          absl::StrCat("TLS needs --tls-certificate, --tls-key and --tls-ca: ", flag, " is missing"));
    auto read = base::ReadFile(*path);
    if (!read.ok())
      return absl::Status(read.status().code(), absl::StrCat(flag, ": ", read.status().message()));
    *contents = *std::move(read);
  }
  const absl::Status status = certificate::Check(credentials, use, absl::Now());
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(files.certificate.string(), ": ", status.message()));
}

std::shared_ptr<grpc::ServerCredentials> ServerTls(const TlsFiles& files) {
  tls::TlsServerCredentialsOptions options(Watch(files));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return tls::TlsServerCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> ClientTls(const TlsFiles& files) {
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(Watch(files));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_certificate_verifier(std::make_shared<tls::HostNameCertificateVerifier>());
  return tls::TlsCredentials(options);
}

}  // namespace mixln::services::rpc
