#include "services/certificate/authority.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "services/certificate/openssl.h"

namespace mixln::services::certificate {
namespace {

constexpr int kVersion3 = 2;
constexpr int kSerialBytes = 16;

bool IsAddress(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

// A comma would start another name of OpenSSL's list.
bool IsDnsName(const std::string& host) {
  return !host.empty() && host.size() <= 253 && std::all_of(host.begin(), host.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '*';
  });
}

absl::StatusOr<std::string> AlternativeNames(const Request& request) {
  std::string names = absl::StrCat("URI:", ToUri(request.identity));
  for (const std::string& host : request.hosts) {
    if (!IsAddress(host) && !IsDnsName(host))
      return absl::InvalidArgumentError(
          absl::StrCat("\"", host, "\" is neither a DNS name nor an IP address"));
    absl::StrAppend(&names, IsAddress(host) ? ",IP:" : ",DNS:", host);
  }
  return names;
}

// A new certificate without signature.
absl::StatusOr<CertificatePtr> Begin(const std::string& common_name, EVP_PKEY* key,
                                     const Validity& validity) {
  CertificatePtr certificate(X509_new());
  std::array<unsigned char, kSerialBytes> serial{};
  if (RAND_bytes(serial.data(), kSerialBytes) != 1) return OpensslError("cannot draw a serial number");
  serial[0] = (serial[0] & 0x7F) | 0x40;  // positive, and always as long
  BIGNUM* number = BN_bin2bn(serial.data(), kSerialBytes, nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.get()));
  BN_free(number);
  X509_set_version(certificate.get(), kVersion3);
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), absl::ToTimeT(validity.from));
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), absl::ToTimeT(validity.until));
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.data()),
                             static_cast<int>(common_name.size()), -1, 0);
  if (X509_set_pubkey(certificate.get(), key) != 1) return OpensslError("cannot set the certificate's key");
  return certificate;
}

absl::Status Extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  if (extension == nullptr || X509_add_ext(certificate, extension.get(), -1) != 1)
    return OpensslError(absl::StrCat("cannot write ", value, " into a certificate"));
  return absl::OkStatus();
}

absl::StatusOr<Pair> Sign(X509* certificate, EVP_PKEY* own_key, EVP_PKEY* signing_key) {
  if (X509_sign(certificate, signing_key, EVP_sha256()) == 0)
    return OpensslError("cannot sign a certificate");
  const BioPtr certificate_bio(BIO_new(BIO_s_mem()));
  const BioPtr key_bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(certificate_bio.get(), certificate) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(key_bio.get(), own_key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return OpensslError("cannot write a certificate");
  return Pair{Written(certificate_bio.get()), Written(key_bio.get())};
}

}  // namespace

absl::StatusOr<Pair> MakeAuthority(const std::string& name, const Validity& validity) {
  const KeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return OpensslError("cannot make a key");
  auto certificate = Begin(name, key.get(), validity);
  if (!certificate.ok()) return certificate.status();
  X509* const raw = certificate->get();
  X509_set_issuer_name(raw, X509_get_subject_name(raw));
  for (const auto& [kind, value] : std::initializer_list<std::pair<int, const char*>>{
           {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
           {NID_key_usage, "critical,keyCertSign,cRLSign"},
           {NID_subject_key_identifier, "hash"}}) {
    if (auto status = Extend(raw, raw, kind, value); !status.ok()) return status;
  }
  return Sign(raw, key.get(), key.get());
}

absl::StatusOr<Pair> Issue(const Pair& authority, const Request& request, const Validity& validity) {
  const BioPtr certificate_bio = Reader(authority.certificate);
  const BioPtr key_bio = Reader(authority.key);
  const CertificatePtr issuer(PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr));
  const KeyPtr signing_key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
  if (issuer == nullptr || signing_key == nullptr ||
      X509_check_private_key(issuer.get(), signing_key.get()) != 1)
    return absl::InvalidArgumentError(
        absl::StrCat(OpensslError("the authority's certificate and key cannot be used").message()));
  auto names = AlternativeNames(request);
  if (!names.ok()) return names.status();

  const KeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return OpensslError("cannot make a key");
  auto certificate = Begin(request.identity.name, key.get(), validity);
  if (!certificate.ok()) return certificate.status();
  X509* const raw = certificate->get();
  X509_set_issuer_name(raw, X509_get_subject_name(issuer.get()));
  const bool server = request.identity.role == Role::kServer;
  for (const auto& [kind, value] : std::initializer_list<std::pair<int, std::string>>{
           {NID_basic_constraints, "critical,CA:FALSE"},
           {NID_key_usage, "critical,digitalSignature"},
           {NID_ext_key_usage, server ? "serverAuth" : "clientAuth"},
           {NID_subject_key_identifier, "hash"},
           {NID_authority_key_identifier, "keyid:always"},
           {NID_subject_alt_name, *names}}) {
    if (auto status = Extend(raw, issuer.get(), kind, value); !status.ok()) return status;
  }
  return Sign(raw, key.get(), signing_key.get());
}

}  // namespace mixln::services::certificate
