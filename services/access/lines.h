// Files of one entry a line: empty lines and what follows a # say nothing.
#pragma once

#include <string>
#include <vector>

namespace mixln::services::access {

struct Line {
  int number = 0;    // from 1
  std::string text;  // not empty, without white space around it
};

std::vector<Line> LinesOf(const std::string& file);

}  // namespace mixln::services::access
