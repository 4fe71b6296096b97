// Makes any bytes well-formed UTF-8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mixln::worker::corpus {

// Number of leading bytes that are well-formed UTF-8 (Unicode 15, table 3-7: no surrogates, nothing
// overlong).
size_t ValidUtf8Prefix(std::string_view bytes);

// Replaces each ill-formed sequence by one U+FFFD, where a sequence is a maximal subpart (Unicode 15,
// section 3.9, as browsers do it), and returns their number. Well-formed text is left as it is, without a
// copy.
uint64_t ReplaceInvalidUtf8(std::string& text);

}  // namespace mixln::worker::corpus
