#include "worker/trainer/huggingface/safetensors.h"

#include <ATen/Functions.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/file/unique_fd.h"
#include "worker/trainer/error/error.h"
#include "worker/trainer/file/patient_write.h"

namespace mixln::worker::trainer::huggingface {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

const char* TypeName(at::ScalarType type) {
  return type == at::kBFloat16 ? "BF16" : "F32";
}

std::string Header(const std::vector<NamedTensor>& tensors) {
  nlohmann::ordered_json json = {{"__metadata__", {{"format", "pt"}}}};  // transformers asks for it
  size_t end = 0;
  for (const auto& [name, tensor] : tensors) {
    const size_t begin = end;
    end += tensor.nbytes();
    json[name] = {{"dtype", TypeName(tensor.scalar_type())},
                  {"shape", tensor.sizes().vec()},
                  {"data_offsets", {begin, end}}};
  }
  std::string text = json.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
}

[[noreturn]] void Refuse(const std::string& path, const std::string& what) {
  throw error::DataError(path + ": " + what);
}

// With errno. A missing file is missing for good; a disk or network that fails may work again.
[[noreturn]] void RefuseUnread(const std::string& path, const std::string& what) {
  const int reason = errno;
  const std::string problem = path + ": " + what + ": " + std::strerror(reason);
  if (reason == ENOENT) throw error::DataError(problem);
  throw error::InputOutputError(problem);
}

}  // namespace

void WriteSafetensors(const std::string& path, const std::vector<NamedTensor>& tensors) {
  const file::WriteOptions options;
  base::UniqueFd fd(static_cast<int>(file::Patiently("make", path, options, [&] {
    return static_cast<ssize_t>(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  })));
  file::WriteAll(fd.get(), Header(tensors), path, options);
  for (const auto& [name, tensor] : tensors) {
    file::WriteAll(fd.get(), {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()}, path,
                   options);
  }
  file::Sync(fd.get(), path, options);
}

SafetensorsFile::SafetensorsFile(const std::string& path) {
  base::UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status = {};
  if (!fd || fstat(fd.get(), &status) != 0) RefuseUnread(path, "cannot be read");
  size_ = static_cast<size_t>(status.st_size);
  if (size_ < sizeof(uint64_t)) Refuse(path, "is no safetensors file: it is too short");
  data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (data_ == MAP_FAILED) RefuseUnread(path, "cannot be mapped");
  try {
    Parse(path);
  } catch (...) {
    munmap(data_, size_);
    throw;
  }
}

SafetensorsFile::~SafetensorsFile() {
  munmap(data_, size_);
}

void SafetensorsFile::Parse(const std::string& path) {
  const std::string_view all(static_cast<const char*>(data_), size_);
  uint64_t length = 0;
  std::memcpy(&length, all.data(), sizeof length);
  if (length > all.size() - sizeof length) {
    Refuse(path, "is no safetensors file, or was cut off: its header would end beyond it");
  }
  const std::string_view body = all.substr(sizeof length + length);
  try {
    const nlohmann::json header = nlohmann::json::parse(all.substr(sizeof length, length));
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") continue;
      StoredTensor& tensor = tensors_.emplace_back();
      tensor.name = name;
      const auto dtype = entry.at("dtype").get<std::string>();
      if (dtype != "F32" && dtype != "BF16" && dtype != "F16") {
        Refuse(path, name + " is of type " + dtype + "; F32, BF16 and F16 can be read");
      }
      tensor.type = dtype == "F32" ? at::kFloat : dtype == "BF16" ? at::kBFloat16 : at::kHalf;
      entry.at("shape").get_to(tensor.shape);
      const auto begin = entry.at("data_offsets").at(0).get<uint64_t>();
      const auto end = entry.at("data_offsets").at(1).get<uint64_t>();
      uint64_t bytes = c10::elementSize(tensor.type);
      for (const int64_t size : tensor.shape) {
        if (size < 0 || (size > 0 && bytes > body.size() / static_cast<uint64_t>(size))) bytes = UINT64_MAX;
        if (bytes != UINT64_MAX) bytes *= static_cast<uint64_t>(size);
      }
      if (begin > end || end > body.size() || end - begin != bytes) {
        Refuse(path, "is corrupted or was cut off: " + name + " lies outside it, or has another size");
      }
      tensor.bytes = body.substr(begin, bytes);
    }
  } catch (const nlohmann::json::exception& problem) {
    Refuse(path, std::string("is no safetensors file: ") + problem.what());
  }
}

at::Tensor ToFloat(const StoredTensor& stored) {
  at::Tensor tensor = at::empty(stored.shape, stored.type);  // aligned, as the file need not be
  std::memcpy(tensor.data_ptr(), stored.bytes.data(), stored.bytes.size());
  return tensor.to(at::kFloat);
}

}  // namespace mixln::worker::trainer::huggingface
