#include "services/mixlnctl/app.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/text/suggest.h"
#include "services/mixlnctl/exit_codes.h"

namespace mixln::services::mixlnctl {
namespace {

// The flags of every command stand behind the command too, where people write them.
void AddGlobalOptions(CLI::App& app, GlobalOptions& global) {
  app.add_option("--coordinator", global.coordinator,
                 "Coordinator to talk to (default: see `mixlnctl --help`)")
      ->type_name("HOST:PORT")
      ->group("Connection");
  app.add_option("--context", global.context, "Context of the configuration file to use")
      ->type_name("NAME")
      ->group("Connection");
  const auto add_file = [&](const char* flag, std::filesystem::path& file, const char* what) {
    app.add_option(flag, file, what)->type_name("FILE")->group("Connection");
  };
  add_file("--tls-certificate", global.tls.certificate, "PEM file of your certificate");
  add_file("--tls-key", global.tls.key, "PEM file of its private key");
  add_file("--token-file", global.tls.token, "File of a token, where you have no certificate");
  add_file("--tls-ca", global.tls.authorities, "PEM file of the authority that vouches for the coordinator");
  for (CLI::App* sub : app.get_subcommands({})) AddGlobalOptions(*sub, global);
}

std::vector<std::string> SubcommandNames(CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands({})) names.push_back(sub->get_name());
  return names;
}

std::vector<std::string> FlagNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

std::string Path(const CLI::App& app) {
  const CLI::App* parent = app.get_parent();
  return parent == nullptr ? app.get_name() : absl::StrCat(Path(*parent), " ", app.get_name());
}

// The command that was reached before the error.
CLI::App* Deepest(CLI::App& app) {
  CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  return at;
}

std::string DidYouMean(const std::string& word, const std::vector<std::string>& known) {
  const std::string near = base::Suggest(word, known);
  return near.empty() ? "" : absl::StrCat("; did you mean \"", near, "\"?");
}

std::string UsageError(CLI::App& app, const std::vector<std::string>& arguments,
                       const CLI::ParseError& error) {
  CLI::App* command = Deepest(app);
  // CLI11 says that something is left over; what it is decides what helps.
  for (const std::string& word : command->remaining(true)) {
    if (absl::StartsWith(word, "-")) {
      const std::string flag = word.substr(0, word.find('='));
      return absl::StrCat("`", Path(*command), "` has no flag ", flag, DidYouMean(flag, FlagNames(*command)));
    }
    if (!command->get_subcommands({}).empty()) {
      return absl::StrCat("`", Path(*command), "` has no command \"", word, "\"",
                          DidYouMean(word, SubcommandNames(*command)));
    }
    return absl::StrCat("`", Path(*command), "` does not take \"", word, "\"");
  }
  if (!command->get_subcommands({}).empty()) {
    // The misspelt word itself: the last one that is neither a flag nor a command on the way here.
    for (auto word = arguments.rbegin(); word != arguments.rend(); ++word) {
      if (absl::StartsWith(*word, "-") || absl::StrContains(Path(*command), *word)) continue;
      return absl::StrCat("`", Path(*command), "` has no command \"", *word, "\"",
                          DidYouMean(*word, SubcommandNames(*command)));
    }
    std::string names;
    for (const std::string& name : SubcommandNames(*command))
      absl::StrAppend(&names, names.empty() ? "" : ", ", name);
    return absl::StrCat("`", Path(*command), "` needs a command: ", names);
  }
  return absl::StrCat("`", Path(*command), "`: ", error.what());
}

}  // namespace

std::unique_ptr<CLI::App> BuildApp(Session& session) {
  auto app = std::make_unique<CLI::App>(
      "Train models with normalization in different places, and compare them.", "mixlnctl");
  app->require_subcommand(1);
  app->get_formatter()->column_width(34);
  AddLocalCommands(*app, session);
  AddSetupCommand(*app, session);
  AddSubmitCommands(*app, session);
  AddGetCommand(*app, session);
  AddDescribeCommand(*app, session);
  AddLogsCommand(*app, session);
  AddFollowCommands(*app, session);
  AddPauseCommands(*app, session);
  AddRetryCommand(*app, session);
  AddEndCommands(*app, session);
  AddDrainCommands(*app, session);
  AddResultsCommand(*app, session);
  AddCompareCommand(*app, session);
  AddReportCommand(*app, session);
  AddExportCommand(*app, session);
  AddNodesCommand(*app, session);
  AddCertsCommands(*app, session);
  AddTokensCommands(*app, session);
  AddTopCommand(*app, session);
  AddVersionCommand(*app, session);
  AddCompletionCommand(*app, session);
  AddGlobalOptions(*app, session.global);
  app->footer(
      "The coordinator is the first of: --coordinator, --context, MIXLN_COORDINATOR, current-context in\n"
      "~/.config/mixln/config.yaml, the one that `mixlnctl up` started here, 127.0.0.1:7410.\n"
      "`mixlnctl COMMAND --help` explains a command.");
  return app;
}

int Run(const std::vector<std::string>& arguments, Io& io) {
  Session session{.io = io};
  const std::unique_ptr<CLI::App> app = BuildApp(session);
  const auto complain = [&](const std::string& message) {
    io.err << io.err_style.Red("error:") << " " << message << "\n";
  };
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // CLI11 takes them last first
    app->parse(reversed);
  } catch (const CLI::CallForHelp&) {
    const CLI::App* command = Deepest(*app);
    const CLI::App* parent = command->get_parent();
    io.out << command->help(parent == nullptr ? "" : Path(*parent));
    return kOk;
  } catch (const CLI::ParseError& error) {
    complain(UsageError(*app, arguments, error));
    io.err << "`" << Path(*Deepest(*app)) << " --help` explains it.\n";
    return kUsage;
  }
  const absl::StatusOr<int> code = session.action();
  io.out.flush();
  if (code.ok()) return *code;
  complain(std::string(code.status().message()));
  return kError;
}

}  // namespace mixln::services::mixlnctl
