#include "services/access/lines.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"

namespace mixln::services::access {

std::vector<Line> LinesOf(const std::string& file) {
  std::vector<Line> lines;
  int number = 0;
  for (const auto part : absl::StrSplit(file, '\n')) {
    ++number;
    std::string text(part);
    text.resize(text.find('#') == std::string::npos ? text.size() : text.find('#'));
    absl::StripAsciiWhitespace(&text);
    if (!text.empty()) lines.push_back({number, text});
  }
  return lines;
}

}  // namespace mixln::services::access
