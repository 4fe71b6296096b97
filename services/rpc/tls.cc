#include "services/rpc/tls.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <string>
#include <utility>

#include "absl/strings/ascii.h"
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
  const bool by_token = !files.token.empty();
  if (by_token && (!files.certificate.empty() || !files.key.empty()))
    return absl::InvalidArgumentError("give a token or a certificate with its key, not both");
  std::string certificate;
  std::string key;
  std::string authorities;
  std::string token;
  for (const auto& [flag, needed, path, contents] :
       {std::tuple{"--tls-certificate", !by_token, &files.certificate, &certificate},
        std::tuple{"--tls-key", !by_token, &files.key, &key},
        std::tuple{"--token-file", by_token, &files.token, &token},
        std::tuple{"--tls-ca", true, &files.authorities, &authorities}}) {
    if (!needed) continue;
    if (path->empty())
      return absl::InvalidArgumentError(
          absl::StrCat("TLS needs --tls-certificate, --tls-key and --tls-ca: ", flag, " is missing"));
    auto read = base::ReadFile(*path);
    if (!read.ok())
      return absl::Status(read.status().code(), absl::StrCat(flag, ": ", read.status().message()));
    *contents = *std::move(read);
  }
  if (by_token) return absl::OkStatus();
  absl::Status status = certificate::Check({certificate, key, authorities}, use, absl::Now());
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(files.certificate.string(), ": ", status.message()));
}

std::shared_ptr<grpc::ServerCredentials> ServerTls(const TlsFiles& files, NoCertificate no_certificate) {
  tls::TlsServerCredentialsOptions options(Watch(files));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(no_certificate == NoCertificate::kCutOff
                                    ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                    : GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  return tls::TlsServerCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> ClientTls(const TlsFiles& files) {
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(Watch(files));
  options.watch_root_certs();
  if (files.token.empty()) options.watch_identity_key_cert_pairs();
  options.set_certificate_verifier(std::make_shared<tls::HostNameCertificateVerifier>());
  auto credentials = tls::TlsCredentials(options);
  if (files.token.empty()) return credentials;
  std::string token = base::ReadFile(files.token).value_or("");
  absl::StripAsciiWhitespace(&token);
  return grpc::CompositeChannelCredentials(credentials, grpc::AccessTokenCredentials(token));
}

}  // namespace mixln::services::rpc
