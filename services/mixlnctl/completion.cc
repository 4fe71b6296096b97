#include "services/mixlnctl/completion.h"

#include <CLI/CLI.hpp>
#include <ostream>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/session.h"

namespace mixln::services::mixlnctl {
namespace {

// What may stand in one place of a command line.
struct Words {
  std::vector<std::string> fixed;
  bool sweeps = false;
  bool trials = false;
  bool nodes = false;
  bool files = false;
  bool folders = false;

  bool empty() const { return fixed.empty() && !sweeps && !trials && !nodes && !files && !folders; }
};

// An option's or positional's type name says what it takes: SWEEP, TRIAL, SWEEP|TRIAL, NODE, FILE, DIR, or
// words to choose from.
Words WordsOf(const CLI::Option& option) {
  Words words;
  // CLI11 appends what its validators say behind a colon.
  const std::string type = option.get_type_name().substr(0, option.get_type_name().find(':'));
  for (const auto part : absl::StrSplit(type, '|')) {
    const std::string word(part);
    if (word == "SWEEP") {
      words.sweeps = true;
    } else if (word == "TRIAL") {
      words.trials = true;
    } else if (word == "NODE") {
      words.nodes = true;
    } else if (word == "FILE") {
      words.files = true;
    } else if (word == "DIR") {
      words.folders = true;
    } else if (!word.empty() && word[0] >= 'a' && word[0] <= 'z') {
      words.fixed.push_back(word);
    }
  }
  return words;
}

bool TakesValue(const CLI::Option& option) {
  return option.get_items_expected_max() > 0;
}

struct Flag {
  std::vector<std::string> names = {};
  std::string description = {};
  bool takes_value = false;
  Words values = {};
};

struct Command {
  std::string path = {};                                              // "get sweeps"; empty: mixlnctl itself
  std::vector<std::pair<std::string, std::string>> subcommands = {};  // name, description
  std::vector<Flag> flags = {};
  Words positional = {};
};

void Collect(const CLI::App& app, const std::string& path, std::vector<Command>& commands) {
  Command command{.path = path};
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional() && option->get_lnames().empty()) {
      command.positional = WordsOf(*option);
      continue;
    }
    Flag flag{.description = option->get_description(),
              .takes_value = TakesValue(*option),
              .values = WordsOf(*option)};
    for (const std::string& name : option->get_lnames()) flag.names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) flag.names.push_back("-" + name);
    command.flags.push_back(std::move(flag));
  }
  const auto subs = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* sub : subs) command.subcommands.emplace_back(sub->get_name(), sub->get_description());
  commands.push_back(std::move(command));
  for (const CLI::App* sub : subs) {
    Collect(*sub, absl::StrCat(path, path.empty() ? "" : " ", sub->get_name()), commands);
  }
}

std::string Quoted(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

// What prints all names that the command lists.
std::string Ask(const char* command) {
  return absl::StrCat("mixlnctl ", command, " -o name 2>/dev/null");
}

// bash: the words that stand for `words`, as arguments of __mixlnctl_offer.
std::string BashOffer(const Words& words) {
  std::string list = absl::StrJoin(words.fixed, " ");
  if (words.sweeps) absl::StrAppend(&list, list.empty() ? "" : " ", "$(", Ask("get sweeps"), ")");
  if (words.trials) absl::StrAppend(&list, list.empty() ? "" : " ", "$(", Ask("get trials"), ")");
  if (words.nodes) absl::StrAppend(&list, list.empty() ? "" : " ", "$(", Ask("nodes"), ")");
  std::string action;
  if (words.files || words.folders) {
    absl::StrAppend(&action, "compopt -o filenames; COMPREPLY=($(compgen ", words.files ? "-f" : "-d",
                    " -- \"$cur\"))");
  } else {
    absl::StrAppend(&action, "COMPREPLY=($(compgen -W \"", list, "\" -- \"$cur\"))");
  }
  return action;
}

std::string Bash(const std::vector<Command>& commands) {
  std::string script =
      "# bash completion for mixlnctl; load it with: source <(mixlnctl completion bash)\n"
      "_mixlnctl() {\n"
      "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path= word\n"
      "  COMPREPLY=()\n"
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
      "    case \"${path:+$path }$word\" in\n";
  std::vector<std::string> paths;
  for (const Command& c : commands) {
    if (!c.path.empty()) paths.push_back(Quoted(c.path));
  }
  absl::StrAppend(&script, "      ", absl::StrJoin(paths, "|"), ") path=\"${path:+$path }$word\" ;;\n");
  absl::StrAppend(&script, "    esac\n  done\n  case \"$path\" in\n");
  for (const Command& c : commands) {
    absl::StrAppend(&script, "    ", Quoted(c.path), ")\n      case \"$prev\" in\n");
    std::vector<std::string> names;
    for (const Flag& flag : c.flags) {
      names.insert(names.end(), flag.names.begin(), flag.names.end());
      if (!flag.takes_value) continue;
      absl::StrAppend(&script, "        ", absl::StrJoin(flag.names, "|"), ") ",
                      flag.values.empty() ? "" : absl::StrCat(BashOffer(flag.values), "; "), "return ;;\n");
    }
    absl::StrAppend(&script, "      esac\n      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W ",
                    Quoted(absl::StrJoin(names, " ")), " -- \"$cur\")); return; fi\n");
    Words words = c.positional;
    for (const auto& [name, description] : c.subcommands) words.fixed.push_back(name);
    if (!words.empty()) absl::StrAppend(&script, "      ", BashOffer(words), "\n");
    absl::StrAppend(&script, "      ;;\n");
  }
  absl::StrAppend(&script, "  esac\n}\ncomplete -F _mixlnctl mixlnctl\n");
  return script;
}

// zsh: escapes what _arguments would read as syntax.
std::string ZshText(const std::string& text) {
  return absl::StrReplaceAll(text,
                             {{"\\", "\\\\"}, {"[", "\\["}, {"]", "\\]"}, {":", "\\:"}, {"'", "'\\''"}});
}

std::string ZshAction(const Words& words) {
  if (words.files) return "_files";
  if (words.folders) return "_files -/";
  if (words.sweeps && words.trials) return "_mixlnctl_sweeps_and_trials";
  if (words.sweeps) return "_mixlnctl_sweeps";
  if (words.trials) return "_mixlnctl_trials";
  if (words.nodes) return "_mixlnctl_nodes";
  if (!words.fixed.empty()) return absl::StrCat("(", absl::StrJoin(words.fixed, " "), ")");
  return " ";
}

std::string ZshFunction(const std::string& path) {
  return path.empty() ? "_mixlnctl" : absl::StrCat("_mixlnctl__", absl::StrReplaceAll(path, {{" ", "__"}}));
}

std::string Zsh(const std::vector<Command>& commands) {
  std::string script = absl::StrCat(
      "#compdef mixlnctl\n# zsh completion for mixlnctl; load it with: source <(mixlnctl completion zsh)\n"
      "_mixlnctl_sweeps() { local -a names; names=(${(f)\"$(",
      Ask("get sweeps"), ")\"}); compadd -a names }\n_mixlnctl_trials() { local -a names; names=(${(f)\"$(",
      Ask("get trials"), ")\"}); compadd -a names }\n_mixlnctl_nodes() { local -a names; names=(${(f)\"$(",
      Ask("nodes"),
      ")\"}); compadd -a names }\n_mixlnctl_sweeps_and_trials() { _mixlnctl_sweeps; _mixlnctl_trials }\n");
  for (const Command& c : commands) {
    absl::StrAppend(&script, ZshFunction(c.path),
                    "() {\n  local context state state_descr line\n  typeset -A opt_args\n");
    absl::StrAppend(&script, "  _arguments", c.subcommands.empty() ? "" : " -C");
    for (const Flag& flag : c.flags) {
      for (const std::string& name : flag.names) {
        absl::StrAppend(&script, " \\\n    '", name,
                        flag.takes_value && absl::StartsWith(name, "--") ? "=" : "", "[",
                        ZshText(flag.description), "]",
                        flag.takes_value ? absl::StrCat(":value:", ZshAction(flag.values)) : "", "'");
      }
    }
    if (c.subcommands.empty()) {
      if (!c.positional.empty()) absl::StrAppend(&script, " \\\n    '*:name:", ZshAction(c.positional), "'");
      absl::StrAppend(&script, "\n}\n");
      continue;
    }
    absl::StrAppend(&script,
                    " \\\n    '1:command:->command' \\\n    '*::argument:->argument'\n  case $state in\n");
    absl::StrAppend(&script, "    command)\n      local -a commands\n      commands=(");
    for (const auto& [name, description] : c.subcommands) {
      absl::StrAppend(&script, "\n        '", name, ":", ZshText(description), "'");
    }
    absl::StrAppend(&script,
                    ")\n      _describe command commands ;;\n    argument)\n      case $line[1] in\n");
    for (const auto& [name, description] : c.subcommands) {
      absl::StrAppend(&script, "        ", name, ") ",
                      ZshFunction(absl::StrCat(c.path, c.path.empty() ? "" : " ", name)), " ;;\n");
    }
    absl::StrAppend(&script, "      esac ;;\n  esac\n}\n");
  }
  absl::StrAppend(&script,
                  "if [ \"$funcstack[1]\" = \"_mixlnctl\" ]; then _mixlnctl \"$@\"; else compdef _mixlnctl "
                  "mixlnctl; fi\n");
  return script;
}

// fish: the condition under which a command is the one being completed.
std::string FishCondition(const Command& c) {
  if (c.path.empty()) return "__fish_use_subcommand";
  std::string condition;
  for (const auto part : absl::StrSplit(c.path, ' ')) {
    absl::StrAppend(&condition, condition.empty() ? "" : "; and ", "__fish_seen_subcommand_from ",
                    std::string(part));
  }
  if (!c.subcommands.empty()) {
    absl::StrAppend(&condition, "; and not __fish_seen_subcommand_from");
    for (const auto& [name, description] : c.subcommands) absl::StrAppend(&condition, " ", name);
  }
  return condition;
}

std::string FishWords(const Words& words) {
  if (words.files) return " -F";
  if (words.folders) return " -a '(__fish_complete_directories)'";
  std::string list = absl::StrJoin(words.fixed, " ");
  if (words.sweeps) absl::StrAppend(&list, list.empty() ? "" : " ", "(", Ask("get sweeps"), ")");
  if (words.trials) absl::StrAppend(&list, list.empty() ? "" : " ", "(", Ask("get trials"), ")");
  if (words.nodes) absl::StrAppend(&list, list.empty() ? "" : " ", "(", Ask("nodes"), ")");
  return list.empty() ? "" : absl::StrCat(" -a ", Quoted(list));
}

std::string Fish(const std::vector<Command>& commands) {
  std::string script =
      "# fish completion for mixlnctl; load it with: mixlnctl completion fish | source\n"
      "complete -c mixlnctl -f\n";
  for (const Command& c : commands) {
    const std::string start = absl::StrCat("complete -c mixlnctl -n ", Quoted(FishCondition(c)));
    for (const auto& [name, description] : c.subcommands) {
      absl::StrAppend(&script, start, " -a ", name, " -d ", Quoted(description), "\n");
    }
    if (!c.positional.empty()) absl::StrAppend(&script, start, FishWords(c.positional), "\n");
    for (const Flag& flag : c.flags) {
      absl::StrAppend(&script, start);
      for (const std::string& name : flag.names) {
        absl::StrAppend(&script, absl::StartsWith(name, "--") ? " -l " : " -s ",
                        name.substr(name[1] == '-' ? 2 : 1));
      }
      if (flag.takes_value) absl::StrAppend(&script, " -x", FishWords(flag.values));
      absl::StrAppend(&script, " -d ", Quoted(flag.description), "\n");
    }
  }
  return script;
}

}  // namespace

std::string CompletionScript(const CLI::App& app, const std::string& shell) {
  std::vector<Command> commands;
  Collect(app, "", commands);
  if (shell == "bash") return Bash(commands);
  if (shell == "zsh") return Zsh(commands);
  if (shell == "fish") return Fish(commands);
  return "";
}

void AddCompletionCommand(CLI::App& app, Session& session) {
  auto shell = std::make_shared<std::string>();
  CLI::App* completion = app.add_subcommand("completion", "Completion script for a shell")->group("Help");
  completion->add_option("shell", *shell, "The shell")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->type_name("bash|zsh|fish");
  completion->footer(
      "bash: source <(mixlnctl completion bash)\nzsh:  source <(mixlnctl completion zsh)\n"
      "fish: mixlnctl completion fish | source\nPut the line into the shell's start-up file to keep it.");
  completion->callback([&app, &session, shell] {
    session.action = [&app, &session, shell]() -> absl::StatusOr<int> {
      session.io.out << CompletionScript(app, *shell);
      return kOk;
    };
  });
}

}  // namespace mixln::services::mixlnctl
