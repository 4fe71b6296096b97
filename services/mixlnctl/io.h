// What a command sees of the world around it: streams, terminal, environment. Passed in, so that tests run
// whole commands in their own process.
#pragma once

#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>

#include "services/mixlnctl/style.h"

namespace mixln::services::mixlnctl {

// Standard output carries data, standard error carries words.
struct Io {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  int width = 0;   // columns of the terminal; 0: no limit
  int height = 0;  // rows of the terminal; 0: not known
  bool unicode = true;
  Style out_style;
  Style err_style;
  // The environment; empty for a variable that is not set.
  std::function<std::string(const char*)> env;
  // Whether the user pressed Ctrl-C; asked at least ten times a second while a command follows something.
  std::function<bool()> interrupted = [] { return false; };
  // Folder of this program's own binary, where the daemons lie.
  std::filesystem::path program_folder;
};

// The real world: this process's streams, environment and terminal. Colours only on a terminal, and not with
// NO_COLOR or TERM=dumb; box and block characters only in a UTF-8 locale.
Io RealIo();

// Turns Ctrl-C into RealIo().interrupted() while it lives, so that a command can say how to come back.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
};

}  // namespace mixln::services::mixlnctl
