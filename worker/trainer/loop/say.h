// What a rank says to people: lines on standard error, which the agent keeps as the rank's log. Not spdlog:
// LibTorch's headers bring a fmt of their own, beside which spdlog does not compile.
#pragma once

namespace mixln::worker::trainer::loop {

// One line, after the local time; printf's format.
[[gnu::format(printf, 1, 2)]] void Say(const char* format, ...);

}  // namespace mixln::worker::trainer::loop
