// Colours on a terminal that wants them, and nothing at all elsewhere.
#pragma once

#include <string>

#include "absl/strings/str_cat.h"

namespace mixln::services::mixlnctl {

struct Style {
  bool colour = false;

  std::string Bold(const std::string& text) const { return Paint("1", text); }
  std::string Dim(const std::string& text) const { return Paint("2", text); }
  std::string Red(const std::string& text) const { return Paint("31", text); }
  std::string Green(const std::string& text) const { return Paint("32", text); }
  std::string Yellow(const std::string& text) const { return Paint("33", text); }
  std::string Cyan(const std::string& text) const { return Paint("36", text); }

 private:
  std::string Paint(const char* code, const std::string& text) const {
    if (!colour || text.empty()) return text;
    return absl::StrCat("\x1b[", code, "m", text, "\x1b[0m");
  }
};

}  // namespace mixln::services::mixlnctl
