#include "services/mixlnctl/table.h"

#include <algorithm>
#include <cassert>

#include "absl/strings/str_cat.h"

namespace mixln::services::mixlnctl {
namespace {

constexpr int kGap = 2;

// Length in bytes of the colour that starts at `at`; 0: none does.
size_t EscapeLength(std::string_view text, size_t at) {
  if (text[at] != '\x1b') return 0;
  const size_t end = text.find('m', at);
  return end == std::string_view::npos ? text.size() - at : end - at + 1;
}

bool StartsCodePoint(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

std::string TrimRight(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace

int DisplayWidth(std::string_view text) {
  int width = 0;
  for (size_t i = 0; i < text.size();) {
    if (const size_t escape = EscapeLength(text, i); escape > 0) {
      i += escape;
      continue;
    }
    if (StartsCodePoint(text[i])) ++width;
    ++i;
  }
  return width;
}

std::string Truncate(std::string_view text, int width, bool unicode) {
  if (DisplayWidth(text) <= width) return std::string(text);
  std::string cut;
  int used = 0;
  bool coloured = false;
  for (size_t i = 0; i < text.size();) {
    if (const size_t escape = EscapeLength(text, i); escape > 0) {
      coloured = true;
      cut.append(text.substr(i, escape));
      i += escape;
      continue;
    }
    if (StartsCodePoint(text[i]) && ++used >= width) break;
    cut.push_back(text[i++]);
  }
  if (width > 0) cut.append(unicode ? "…" : "~");
  if (coloured) cut.append("\x1b[0m");
  return cut;
}

void Table::AddRow(std::vector<std::string> cells) {
  assert(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::vector<std::string> Table::Lines(const Style& style, int width) const {
  std::vector<int> widths(columns_.size());
  std::vector<bool> shown(columns_.size(), true);
  for (size_t c = 0; c < columns_.size(); ++c) {
    widths[c] = DisplayWidth(columns_[c].header);
    for (const auto& row : rows_) widths[c] = std::max(widths[c], DisplayWidth(row[c]));
  }
  const auto total = [&] {
    int sum = -kGap;
    for (size_t c = 0; c < columns_.size(); ++c) sum += shown[c] ? widths[c] + kGap : 0;
    return sum;
  };
  while (width > 0 && total() > width) {
    size_t victim = columns_.size();
    for (size_t c = 0; c < columns_.size(); ++c) {
      if (!shown[c] || columns_[c].drop == 0) continue;
      if (victim == columns_.size() || columns_[c].drop > columns_[victim].drop) victim = c;
    }
    if (victim == columns_.size()) break;
    shown[victim] = false;
  }

  std::vector<std::string> lines;
  const auto add = [&](const auto& cell_of) {
    std::string line;
    bool first = true;
    for (size_t c = 0; c < columns_.size(); ++c) {
      if (!shown[c]) continue;
      const std::string cell = cell_of(c);
      const std::string padding(static_cast<size_t>(widths[c] - DisplayWidth(cell)), ' ');
      absl::StrAppend(&line, first ? "" : std::string(kGap, ' '),
                      columns_[c].align == Align::kRight ? padding + cell : cell + padding);
      first = false;
    }
    line = TrimRight(std::move(line));
    lines.push_back(width > 0 ? Truncate(line, width) : line);
  };
  add([&](size_t c) { return style.Dim(columns_[c].header); });
  for (const auto& row : rows_) add([&](size_t c) { return row[c]; });
  return lines;
}

std::string Table::Render(const Style& style, int width) const {
  std::string text;
  for (const std::string& line : Lines(style, width)) absl::StrAppend(&text, line, "\n");
  return text;
}

}  // namespace mixln::services::mixlnctl
