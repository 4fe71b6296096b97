// Shell completion, generated from the command tree, so that it can't fall behind it.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace mixln::services::mixlnctl {

// A script for "bash", "zsh" or "fish" that completes commands, flags and their values; names of sweeps and
// trials it asks `mixlnctl get … -o name` for, files the shell. Empty for another shell.
std::string CompletionScript(const CLI::App& app, const std::string& shell);

}  // namespace mixln::services::mixlnctl
