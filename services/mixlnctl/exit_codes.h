// What mixlnctl exits with. Scripts rely on these.
#pragma once

namespace mixln::services::mixlnctl {

inline constexpr int kOk = 0;
inline constexpr int kError = 1;         // nothing of what was asked was done, and why was said
inline constexpr int kUsage = 2;         // the command line was wrong
inline constexpr int kFailed = 100;      // wait, watch, submit --follow: a trial failed
inline constexpr int kUnfinished = 101;  // … not all trials have ended
inline constexpr int kNotFound = 102;    // … there is no such sweep or trial
inline constexpr int kCancelled = 103;   // … a trial was cancelled, and none failed

}  // namespace mixln::services::mixlnctl
