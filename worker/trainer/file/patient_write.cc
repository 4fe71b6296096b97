#include "worker/trainer/file/patient_write.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::file {
namespace {

// Calls `operation` until it does not fail for lack of room.
template <typename Operation>
ssize_t Patiently(const std::string& name, const WriteOptions& options, const char* verb,
                  Operation operation) {
  bool said = false;
  while (true) {
    const ssize_t result = operation();
    if (result >= 0) {
      if (said) std::fprintf(stderr, "there is room again: go on writing %s\n", name.c_str());
      return result;
    }
    if (errno == EINTR) continue;
    if (errno != ENOSPC && errno != EDQUOT) {
      throw error::InputOutputError(std::string("cannot ") + verb + " " + name + ": " + std::strerror(errno));
    }
    if (!said) {
      std::fprintf(stderr, "cannot %s %s: %s; waiting until there is room\n", verb, name.c_str(),
                   std::strerror(errno));
      said = true;
    }
    options.wait();
  }
}

}  // namespace

WriteOptions::WriteOptions()
    : write(::write), wait([] { std::this_thread::sleep_for(std::chrono::seconds(1)); }) {}

void WriteAll(int fd, std::string_view bytes, const std::string& name, const WriteOptions& options) {
  while (!bytes.empty()) {
    const ssize_t written =
        Patiently(name, options, "write", [&] { return options.write(fd, bytes.data(), bytes.size()); });
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void Sync(int fd, const std::string& name, const WriteOptions& options) {
  Patiently(name, options, "fsync", [&] { return static_cast<ssize_t>(fsync(fd)); });
}

}  // namespace mixln::worker::trainer::file
