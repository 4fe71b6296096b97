#include "services/daemon/tls_flags.h"

namespace mixln::services::daemon {

void AddTlsFlags(CLI::App& app, rpc::TlsFiles& tls, const std::string& whose) {
  app.add_option("--tls-certificate", tls.certificate,
                 "PEM file of " + whose + " certificate; read again when it changes, as are the next two")
      ->envname("MIXLN_TLS_CERTIFICATE");
  app.add_option("--tls-key", tls.key, "PEM file of the certificate's private key")->envname("MIXLN_TLS_KEY");
  app.add_option("--tls-ca", tls.authorities, "PEM file of the authorities that vouch for the other end")
      ->envname("MIXLN_TLS_CA");
}

}  // namespace mixln::services::daemon
