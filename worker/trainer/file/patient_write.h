// Writes that wait while the disk is full: a rank loses no event and no checkpoint because someone else
// filled its disk; it says so and goes on when there is room.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>

namespace mixln::worker::trainer::file {

struct WriteOptions {
  // write(2); a test puts a full disk here.
  std::function<ssize_t(int, const void*, size_t)> write;
  // Called before each retry while the disk is full.
  std::function<void()> wait;

  // write(2), and one second of sleep.
  WriteOptions();
};

// Writes all bytes to `fd`; `name` is the file's name for people. While the disk (or a quota) is full it says
// so on standard error, once, and tries again; a write that was cut short goes on where it ended. Throws
// error::InputOutputError on any other failure.
void WriteAll(int fd, std::string_view bytes, const std::string& name, const WriteOptions& options);

// fsync, with the same patience and the same errors.
void Sync(int fd, const std::string& name, const WriteOptions& options);

}  // namespace mixln::worker::trainer::file
