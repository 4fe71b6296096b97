// Reads a rank's log: what `mixlnctl logs` shows, and the last lines for an error message.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "mixln/v1/session.pb.h"

namespace mixln::worker::agent {

// The piece of the log that a request asks for, at most 256 KiB; `end` says that nothing more is there at
// present. The time of a line is what it begins with, "2026-11-24 03:42:18" in this host's time zone, as the
// trainer writes it; a line without one is of the time of the line before.
v1::LogChunk ReadLogChunk(const std::filesystem::path& log, const v1::LogRequest& request);

// The last `lines` lines, cut from the front to `bytes` bytes at most; bytes that are not printable ASCII
// become "?".
std::string LastLines(const std::filesystem::path& log, int lines, size_t bytes);

}  // namespace mixln::worker::agent
