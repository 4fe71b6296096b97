#include "services/mixlnctl/io.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <system_error>

namespace mixln::services::mixlnctl {
namespace {

volatile std::sig_atomic_t g_interrupted = 0;

void OnInterrupt(int /*signal*/) {
  g_interrupted = 1;
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool Utf8Locale() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string value = Environment(name);
    if (value.empty()) continue;
    return value.find("UTF-8") != std::string::npos || value.find("utf8") != std::string::npos;
  }
  return false;
}

}  // namespace

Io RealIo() {
  Io io{.in = std::cin,
        .out = std::cout,
        .err = std::cerr,
        .out_style = {},
        .err_style = {},
        .env = Environment,
        .program_folder = {}};
  io.out_is_terminal = isatty(STDOUT_FILENO) == 1;
  io.err_is_terminal = isatty(STDERR_FILENO) == 1;
  winsize size{};
  if (io.out_is_terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
    io.width = size.ws_col;
    io.height = size.ws_row;
  }
  io.unicode = Utf8Locale();
  const bool colours = Environment("NO_COLOR").empty() && Environment("TERM") != "dumb";
  io.out_style.colour = colours && io.out_is_terminal;
  io.err_style.colour = colours && io.err_is_terminal;
  io.interrupted = [] { return g_interrupted != 0; };
  std::error_code error;
  io.program_folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  return io;
}

InterruptGuard::InterruptGuard() {
  g_interrupted = 0;
  struct sigaction action {};
  action.sa_handler = OnInterrupt;
  sigaction(SIGINT, &action, nullptr);
}

InterruptGuard::~InterruptGuard() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  sigaction(SIGINT, &action, nullptr);
}

}  // namespace mixln::services::mixlnctl
