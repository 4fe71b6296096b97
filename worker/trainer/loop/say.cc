#include "worker/trainer/loop/say.h"

#include <cstdarg>
#include <cstdio>
#include <ctime>
#include <string>

namespace mixln::worker::trainer::loop {

void Say(const char* format, ...) {
  char time_text[32] = "";
  const std::time_t now = std::time(nullptr);
  std::tm local = {};
  localtime_r(&now, &local);
  std::strftime(time_text, sizeof time_text, "%F %T ", &local);

  va_list arguments;
  va_start(arguments, format);
  va_list again;
  va_copy(again, arguments);
  std::string line(static_cast<size_t>(std::vsnprintf(nullptr, 0, format, arguments)), '\0');
  std::vsnprintf(line.data(), line.size() + 1, format, again);
  va_end(again);
  va_end(arguments);
  std::fputs((time_text + line + "\n").c_str(), stderr);  // one write a line
}

}  // namespace mixln::worker::trainer::loop
