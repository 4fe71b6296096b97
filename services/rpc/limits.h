// Sizes and times that both ends of a connection must agree on.
#pragma once

namespace mixln::services::rpc {

// An expanded sweep of 10,000 cells has to fit.
inline constexpr int kMaxMessageBytes = 256 << 20;

// A silent connection is asked for a sign of life after this long, and given up after the time-out.
inline constexpr int kKeepaliveMilliseconds = 10'000;
inline constexpr int kKeepaliveTimeoutMilliseconds = 5'000;

}  // namespace mixln::services::rpc
