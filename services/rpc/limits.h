// Sizes and times that both ends of a connection must agree on.
#pragma once

namespace mixln::services::rpc {

// What a coordinator says: an expanded sweep of 10,000 cells has to fit.
inline constexpr int kMaxMessageBytes = 256 << 20;

// What is said to it: a sweep's file, a batch of a rank's events, a piece of a log. More is
// RESOURCE_EXHAUSTED before it is read, so that a caller cannot fill the coordinator's memory.
inline constexpr int kMaxRequestBytes = 16 << 20;

// How long a connection's handshake may take.
inline constexpr int kHandshakeMilliseconds = 10'000;

// A silent connection is asked for a sign of life after this long, and given up after the time-out.
inline constexpr int kKeepaliveMilliseconds = 10'000;
inline constexpr int kKeepaliveTimeoutMilliseconds = 5'000;

}  // namespace mixln::services::rpc
