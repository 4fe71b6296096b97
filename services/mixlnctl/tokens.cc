// `tokens`: for callers that cannot have a certificate.
#include <CLI/CLI.hpp>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "services/access/tokens.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/lines.h"
#include "services/mixlnctl/roles.h"
#include "services/mixlnctl/session.h"

namespace mixln::services::mixlnctl {
namespace {

struct TokensOptions {
  std::string role;
  std::string name;
  std::string file;
  int days = 90;
};

absl::StatusOr<int> Issue(Session& session, const TokensOptions& options) {
  Io& io = session.io;
  auto identity = ReadIdentity(options.role, options.name);
  if (!identity.ok()) return identity.status();
  auto token = access::NewToken();
  if (!token.ok()) return token.status();
  const std::string line = access::TokenLine(*token, *identity, absl::Now() + absl::Hours(24) * options.days);
  if (auto readable = access::Tokens::Parse(line); !readable.ok()) return readable.status();
  if (auto status = AppendLine(options.file, line); !status.ok()) return status;
  io.out << *token << "\n";
  io.err << "a token for " << certificate::Format(*identity) << ", good for " << options.days
         << " days; it is shown this once: " << options.file
         << " holds its hash, for the coordinator's --tokens\n";
  return kOk;
}

}  // namespace

void AddTokensCommands(CLI::App& app, Session& session) {
  CLI::App* tokens =
      app.add_subcommand("tokens", "Tokens for callers that cannot have a certificate")->group("Secure");
  tokens->require_subcommand(1);
  auto issue = std::make_shared<TokensOptions>();
  CLI::App* command = tokens->add_subcommand("issue", "Make a token and let it in");
  command->add_option("role", issue->role, "viewer, operator or admin")->required();
  command->add_option("name", issue->name, "Whom it is for, such as nightly")->required();
  command->add_option("--file", issue->file, "File of the coordinator's --tokens, to which its hash is added")
      ->type_name("FILE")
      ->required();
  command->add_option("--days", issue->days, "Days that the token is good for")
      ->type_name("N")
      ->capture_default_str();
  command->callback(
      [&session, issue] { session.action = [&session, issue] { return Issue(session, *issue); }; });
}

}  // namespace mixln::services::mixlnctl
