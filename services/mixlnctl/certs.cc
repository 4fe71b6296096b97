// `certs`: a certificate authority of the cluster's own, in a folder.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/file/durable.h"
#include "base/file/unique_fd.h"
#include "services/access/revocations.h"
#include "services/certificate/authority.h"
#include "services/certificate/certificate.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/lines.h"
#include "services/mixlnctl/roles.h"
#include "services/mixlnctl/session.h"

namespace mixln::services::mixlnctl {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kSecretMode = 0600;
// Certificates begin to be good a little earlier, for hosts whose clocks are behind.
constexpr absl::Duration kClockSkew = absl::Hours(1);

struct CertsOptions {
  std::string folder;
  int days = 0;
  std::string role;
  std::string name;
  std::vector<std::string> hosts;
  std::vector<std::string> files;
  std::string revoked;
};

fs::path Folder(const Io& io, const CertsOptions& options) {
  return options.folder.empty() ? ConfigFile(io).parent_path() / "certs" : fs::path(options.folder);
}

certificate::Validity FromNow(int days) {
  const absl::Time now = absl::Now();
  return {.from = now - kClockSkew, .until = now + absl::Hours(24) * days};
}

std::string Day(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d", time, absl::UTCTimeZone());
}

// Writes a private key that nobody else can read at any moment, in place of what is there.
absl::Status WriteSecret(const fs::path& path, const std::string& contents) {
  const std::string temporary = path.string() + ".new";
  unlink(temporary.c_str());
  {
    const base::UniqueFd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kSecretMode));
    if (!fd || write(fd.get(), contents.data(), contents.size()) != static_cast<ssize_t>(contents.size()) ||
        fsync(fd.get()) != 0)
      return base::ErrnoStatus(errno, absl::StrCat("cannot write ", temporary));
  }
  if (rename(temporary.c_str(), path.c_str()) != 0)
    return base::ErrnoStatus(errno, absl::StrCat("cannot write ", path.string()));
  return absl::OkStatus();
}

// The key first: who sees the new certificate finds the key to it.
absl::Status WritePair(const fs::path& stem, const certificate::Pair& pair) {
  if (auto status = WriteSecret(stem.string() + ".key", pair.key); !status.ok()) return status;
  return base::WriteFileDurably(stem.string() + ".crt", pair.certificate);
}

absl::StatusOr<int> Init(Session& session, const CertsOptions& options) {
  Io& io = session.io;
  const fs::path folder = Folder(io, options);
  std::error_code error;
  if (fs::exists(folder / "ca.key", error))
    return absl::AlreadyExistsError(absl::StrCat(
        "there is an authority in ", folder.string(),
        " already: a new one would make all its certificates worthless; name another folder with "
        "--dir"));
  if (auto made = base::MakeFolders(folder); !made.ok()) return made;
  if (chmod(folder.c_str(), S_IRWXU) != 0)
    return base::ErrnoStatus(errno, absl::StrCat("cannot keep others out of ", folder.string()));
  auto pair = certificate::MakeAuthority("MixLN", FromNow(options.days));
  if (!pair.ok()) return pair.status();
  if (auto status = WritePair(folder / "ca", *pair); !status.ok()) return status;
  io.out << (folder / "ca.crt").string() << "\n";
  io.err << "an authority, good for " << options.days << " days: keep " << (folder / "ca.key").string()
         << " to yourself, give ca.crt to every host\n"
         << "next:\n  " << io.err_style.Cyan("mixlnctl certs issue server coordinator --host NAME_OR_ADDRESS")
         << "\n  " << io.err_style.Cyan("mixlnctl certs issue worker NAME") << "\n";
  return kOk;
}

absl::StatusOr<int> Issue(Session& session, const CertsOptions& options) {
  Io& io = session.io;
  const fs::path folder = Folder(io, options);
  auto identity = ReadIdentity(options.role, options.name);
  if (!identity.ok()) return identity.status();
  certificate::Request request{.identity = *identity, .hosts = options.hosts};
  const bool server = identity->role == certificate::Role::kServer;
  if (!server && !request.hosts.empty())
    return absl::InvalidArgumentError(
        absl::StrCat("--host is for a server: a ", options.role, " is called by nobody"));
  if (server && request.hosts.empty()) request.hosts = {"localhost", "127.0.0.1", "::1"};
  auto certificate = base::ReadFile(folder / "ca.crt");
  auto key = base::ReadFile(folder / "ca.key");
  if (!certificate.ok() || !key.ok())
    return absl::FailedPreconditionError(
        absl::StrCat("there is no authority in ", folder.string(), ": make one with `mixlnctl certs init`"));
  auto pair = certificate::Issue({*certificate, *key}, request, FromNow(options.days));
  if (!pair.ok()) return pair.status();
  const fs::path stem = folder / absl::StrCat(options.role, "-", options.name);
  if (auto status = WritePair(stem, *pair); !status.ok()) return status;
  io.out << stem.string() << ".crt\n" << stem.string() << ".key\n";
  io.err << "for " << certificate::Format(*identity) << ", good for " << options.days << " days"
         << (server ? absl::StrCat(", at ", absl::StrJoin(request.hosts, ", ")) : "") << "\n";
  return kOk;
}

std::string Standing(const certificate::Certificate& certificate, absl::Time now) {
  const absl::Duration left = certificate.not_after - now;
  if (left < absl::ZeroDuration()) return absl::StrCat("EXPIRED on ", Day(certificate.not_after));
  if (now < certificate.not_before) return absl::StrCat("not good before ", Day(certificate.not_before));
  return absl::StrCat("until ", Day(certificate.not_after), " (",
                      absl::Ceil(left, absl::Hours(24)) / absl::Hours(24), " days)");
}

absl::StatusOr<int> Show(Session& session, const CertsOptions& options) {
  Io& io = session.io;
  std::vector<std::string> files = options.files;
  if (files.empty()) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(Folder(io, options), error))
      if (entry.path().extension() == ".crt") files.push_back(entry.path().string());
    std::sort(files.begin(), files.end());
    if (files.empty())
      return absl::NotFoundError(absl::StrCat("there is no certificate in ", Folder(io, options).string()));
  }
  for (const std::string& file : files) {
    auto pem = base::ReadFile(file);
    if (!pem.ok()) return pem.status();
    auto certificate = certificate::Parse(*pem);
    if (!certificate.ok())
      return absl::Status(certificate.status().code(),
                          absl::StrCat(file, ": ", certificate.status().message()));
    std::string who = "nobody of MixLN";
    if (certificate->is_authority) who = "an authority";
    if (certificate->identity) who = certificate::Format(*certificate->identity);
    io.out << file << "\n  for     " << who << "\n  good    " << Standing(*certificate, absl::Now())
           << "\n  serial  " << certificate->serial << "\n";
    if (!certificate->hosts.empty())
      io.out << "  hosts   " << absl::StrJoin(certificate->hosts, ", ") << "\n";
  }
  return kOk;
}

absl::StatusOr<int> Revoke(Session& session, const CertsOptions& options) {
  const fs::path file =
      options.revoked.empty() ? Folder(session.io, options) / "revoked" : fs::path(options.revoked);
  const std::string line = options.name + "\n";
  if (auto known = access::Revocations::Parse(line); !known.ok())
    return absl::InvalidArgumentError(
        absl::StrCat(options.name,
                     " is neither an identity such as worker/gpu-1 nor a serial number: `mixlnctl "
                     "certs show` says both"));
  if (auto status = AppendLine(file, line); !status.ok()) return status;
  session.io.out << file.string() << "\n";
  session.io.err << options.name << " is out within seconds, once the file is the coordinator's --revoked\n";
  return kOk;
}

void AddFolder(CLI::App* command, CertsOptions& options) {
  command
      ->add_option("--dir", options.folder,
                   "Folder of the authority (default: certs/ beside the configuration file)")
      ->type_name("DIR");
}

void AddDays(CLI::App* command, CertsOptions& options, int days) {
  options.days = days;
  command->add_option("--days", options.days, "Days that the certificate is good for")
      ->check(CLI::PositiveNumber)
      ->type_name("N")
      ->capture_default_str();
}

}  // namespace

void AddCertsCommands(CLI::App& app, Session& session) {
  constexpr int kAuthorityDays = 3650;
  constexpr int kCertificateDays = 365;
  CLI::App* certs =
      app.add_subcommand("certs", "Certificates for TLS, from an authority of your own")->group("Secure");
  certs->require_subcommand(1);

  auto init = std::make_shared<CertsOptions>();
  CLI::App* init_command = certs->add_subcommand("init", "Make the authority");
  AddFolder(init_command, *init);
  AddDays(init_command, *init, kAuthorityDays);
  init_command->callback(
      [&session, init] { session.action = [&session, init] { return Init(session, *init); }; });

  auto issue = std::make_shared<CertsOptions>();
  CLI::App* issue_command =
      certs->add_subcommand("issue", "Make a certificate and its key; again, to replace one before its end");
  issue_command->add_option("role", issue->role, "server, worker, viewer, operator or admin")->required();
  issue_command->add_option("name", issue->name, "Whom it is for, such as gpu-1 or ada")->required();
  issue_command
      ->add_option(
          "--host", issue->hosts,
          "DNS name or IP address that a server is called by; several times for several (default: the "
          "loopback's)")
      ->type_name("HOST");
  AddFolder(issue_command, *issue);
  AddDays(issue_command, *issue, kCertificateDays);
  issue_command->callback(
      [&session, issue] { session.action = [&session, issue] { return Issue(session, *issue); }; });

  auto revoke = std::make_shared<CertsOptions>();
  CLI::App* revoke_command =
      certs->add_subcommand("revoke", "Let a certificate, or all of an identity, in no longer");
  revoke_command->add_option("who", revoke->name, "An identity such as worker/gpu-1, or a serial number")
      ->required();
  revoke_command
      ->add_option("--file", revoke->revoked,
                   "File of the coordinator's --revoked (default: `revoked` in the authority's folder)")
      ->type_name("FILE");
  AddFolder(revoke_command, *revoke);
  revoke_command->callback(
      [&session, revoke] { session.action = [&session, revoke] { return Revoke(session, *revoke); }; });

  auto show = std::make_shared<CertsOptions>();
  CLI::App* show_command =
      certs->add_subcommand("show", "What certificates say, and until when they are good");
  show_command->add_option("file", show->files, "PEM files (default: all of the authority's folder)");
  AddFolder(show_command, *show);
  show_command->callback(
      [&session, show] { session.action = [&session, show] { return Show(session, *show); }; });
}

}  // namespace mixln::services::mixlnctl
