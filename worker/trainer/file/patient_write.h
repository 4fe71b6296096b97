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

// Calls `call`, a system call that returns below 0 and sets errno when it fails, until it does not fail for
// lack of room; returns its result. Each call is the fail-point `file.<verb>` with the name as its detail.
// While the disk (or a quota) is full it says so on standard error, once; `verb` and `name` say what is being
// done, as in "write events.jsonl". Throws error::InputOutputError on any other failure.
ssize_t Patiently(const char* verb, const std::string& name, const WriteOptions& options,
                  const std::function<ssize_t()>& call);

// Writes all bytes to `fd`, patiently; a write that was cut short goes on where it ended.
void WriteAll(int fd, std::string_view bytes, const std::string& name, const WriteOptions& options);

// fsync, patiently.
void Sync(int fd, const std::string& name, const WriteOptions& options);

// Makes a folder and those above it, and fsyncs what lists them; patiently.
void MakeFolders(const std::string& folder, const WriteOptions& options);

// fsyncs a folder, so that its entries survive a crash.
void SyncFolder(const std::string& folder, const WriteOptions& options);

}  // namespace mixln::worker::trainer::file
