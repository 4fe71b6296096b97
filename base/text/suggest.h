// "Did you mean": the known word nearest to a misspelt one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mixln::base {

// Number of insertions, deletions, substitutions and swaps of neighbours between two words.
int EditDistance(std::string_view a, std::string_view b);

// The candidate nearest to `word`, if at most a third of its letters (at least 2) differ; else empty.
std::string Suggest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace mixln::base
