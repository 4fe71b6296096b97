#include "services/certificate/certificate.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "services/certificate/openssl.h"

namespace mixln::services::certificate {
namespace {

using StorePtr = std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, Deleter<X509_STORE_CTX_free>>;
using NumberPtr = std::unique_ptr<BIGNUM, Deleter<BN_free>>;

// All certificates of a PEM text.
std::vector<CertificatePtr> ReadAll(const std::string& pem) {
  std::vector<CertificatePtr> all;
  const BioPtr bio = Reader(pem);
  while (X509* read = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) all.emplace_back(read);
  ERR_clear_error();  // the last try finds nothing
  return all;
}

absl::Status NoCertificate(const std::string& what) {
  return absl::InvalidArgumentError(
      absl::StrCat(what, " holds no certificate in PEM form (\"-----BEGIN CERTIFICATE-----\")"));
}

std::string NameText(const X509_NAME* name) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);
  return Written(bio.get());
}

std::string SerialText(const X509* certificate) {
  const NumberPtr number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  char* text = BN_bn2hex(number.get());
  std::string serial = text;
  OPENSSL_free(text);
  return serial;
}

absl::Time ToTime(const ASN1_TIME* time) {
  std::tm calendar{};
  ASN1_TIME_to_tm(time, &calendar);
  return absl::FromTM(calendar, absl::UTCTimeZone());
}

std::string TextOf(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<size_t>(ASN1_STRING_length(string))};
}

std::string AddressText(const ASN1_OCTET_STRING* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = ASN1_STRING_length(address) == 4 ? AF_INET : AF_INET6;
  inet_ntop(family, ASN1_STRING_get0_data(address), text.data(), text.size());
  return text.data();
}

void ReadAlternativeNames(X509* from, Certificate& to) {
  const NamesPtr names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(from, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_URI && !to.identity)
      to.identity = FromUri(TextOf(name->d.uniformResourceIdentifier));
    if (name->type == GEN_DNS) to.hosts.emplace_back(TextOf(name->d.dNSName));
    if (name->type == GEN_IPADD) to.hosts.push_back(AddressText(name->d.iPAddress));
  }
}

}  // namespace

absl::StatusOr<Certificate> Parse(const std::string& pem) {
  const auto all = ReadAll(pem);
  if (all.empty()) return NoCertificate("the text");
  X509* const read = all.front().get();
  Certificate certificate;
  certificate.subject = NameText(X509_get_subject_name(read));
  certificate.issuer = NameText(X509_get_issuer_name(read));
  certificate.serial = SerialText(read);
  certificate.not_before = ToTime(X509_get0_notBefore(read));
  certificate.not_after = ToTime(X509_get0_notAfter(read));
  certificate.is_authority = X509_check_ca(read) == 1;
  ReadAlternativeNames(read, certificate);
  return certificate;
}

absl::Status Check(const Credentials& credentials, Use use, absl::Time now) {
  const auto chain = ReadAll(credentials.certificate);
  if (chain.empty()) return NoCertificate("the certificate's file");
  const auto authorities = ReadAll(credentials.authorities);
  if (authorities.empty()) return NoCertificate("the authority's file");
  const BioPtr key_bio = Reader(credentials.key);
  const KeyPtr key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (key == nullptr)
    return absl::InvalidArgumentError(
        "the key's file holds no private key in PEM form without a pass phrase");
  if (X509_check_private_key(chain.front().get(), key.get()) != 1) {
    ERR_clear_error();
    return absl::FailedPreconditionError(
        "the key is not that of the certificate: give the two that were issued together");
  }

  const StorePtr store(X509_STORE_new());
  for (const auto& authority : authorities) X509_STORE_add_cert(store.get(), authority.get());
  STACK_OF(X509)* const others = sk_X509_new_null();
  for (size_t i = 1; i < chain.size(); ++i) sk_X509_push(others, chain[i].get());
  const StoreContextPtr context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), chain.front().get(), others);
  X509_STORE_CTX_set_time(context.get(), 0, absl::ToTimeT(now));
  X509_STORE_CTX_set_purpose(context.get(),
                             use == Use::kServer ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT);
  const bool good = X509_verify_cert(context.get()) == 1;
  const int error = X509_STORE_CTX_get_error(context.get());
  sk_X509_free(others);
  ERR_clear_error();
  if (good) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the authority does not vouch for the certificate: ", X509_verify_cert_error_string(error),
      error == X509_V_ERR_CERT_HAS_EXPIRED
          ? absl::StrCat(" (on ",
                         absl::FormatTime("%Y-%m-%d", ToTime(X509_get0_notAfter(chain.front().get())),
                                          absl::UTCTimeZone()),
                         "); issue a new one with `mixlnctl certs issue`")
          : ""));
}

}  // namespace mixln::services::certificate
