// One thing that is wrong with a sweep, in words for the person who wrote it.
#pragma once

#include <string>

namespace mixln::coordinator::sweep {

struct Problem {
  // As the user named it; empty when there is no file, as for a spec that came over the API.
  std::string file = {};
  // 1-based; 0: no file.
  int line = 0;
  // 1-based, in bytes; 0: no file.
  int column = 0;
  // The field, such as model.heads or sweep.parameters.norm.alpha[1]; empty: the whole file.
  std::string path = {};
  // What is wrong and what to do.
  std::string message = {};
};

// `file:line:column: path: message`; what is not known is left out.
std::string Format(const Problem& problem);

}  // namespace mixln::coordinator::sweep
