// Whether bytes are text.
#pragma once

#include <cstddef>
#include <string_view>

namespace mixln::base {

// Offset of the first byte that is not part of well-formed UTF-8 (Unicode 15, Table 3-7: no overlong forms,
// no surrogates, nothing above U+10FFFF); npos when all is well-formed.
size_t FindInvalidUtf8(std::string_view text);

}  // namespace mixln::base
