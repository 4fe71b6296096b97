// A table of text in aligned columns, as kubectl prints them: no rules, two spaces between columns, and no
// trailing space, so that it reads well and cuts well.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "services/mixlnctl/style.h"

namespace mixln::services::mixlnctl {

enum class Align { kLeft, kRight };

struct Column {
  std::string header;
  Align align = Align::kLeft;
  int drop = 0;  // where the table is too wide, the column with the highest number goes first; 0: it stays
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // One cell a column; cells may carry colours.
  void AddRow(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }

  // The header and the rows, each without its newline. With `width` > 0 columns are dropped until it fits,
  // and what is still too long is cut.
  std::vector<std::string> Lines(const Style& style, int width = 0) const;
  // All lines with their newlines.
  std::string Render(const Style& style, int width = 0) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Columns that a UTF-8 text takes on a terminal: a code point is one column (true of all that mixlnctl
// prints), a colour is none.
int DisplayWidth(std::string_view text);

// The text cut to `width` columns, with "…" (or "~" without unicode) where something is missing; colours stay
// whole.
std::string Truncate(std::string_view text, int width, bool unicode = true);

}  // namespace mixln::services::mixlnctl
