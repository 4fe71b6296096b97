#include "worker/trainer/checkpoint/tensor_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/file/unique_fd.h"
#include "worker/trainer/checkpoint/damaged_error.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::checkpoint {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

std::string_view Bytes(const at::Tensor& tensor) {
  return {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()};
}

int64_t Elements(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

// The safetensors header: u64 length, then JSON with each tensor's place after the header, padded with blanks
// so that the tensors start at a multiple of 64.
std::string Header(const std::vector<NamedTensor>& tensors) {
  nlohmann::ordered_json json;
  size_t end = 0;
  for (const NamedTensor& tensor : tensors) {
    const size_t begin = end;
    end += tensor.elements.nbytes();
    // A part of a tensor has no shape but its length.
    const std::vector<int64_t> shape =
        tensor.elements.numel() == Elements(tensor.shape) ? tensor.shape : tensor.elements.sizes().vec();
    json[tensor.name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {begin, end}}};
  }
  std::string text = json.dump();
  text.resize((text.size() + 8 + 63) / 64 * 64 - 8, ' ');
  const uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
}

std::string Hex(uint64_t hash) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

// A whole file, mapped for reading.
class MappedFile {
 public:
  MappedFile(const std::string& path, int64_t expected_bytes) {
    base::UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status = {};
    if (!fd || fstat(fd.get(), &status) != 0) {
      const std::string problem = "cannot read " + path + ": " + std::strerror(errno);
      if (errno == ENOENT) throw DamagedError(problem);
      throw error::InputOutputError(problem);
    }
    if (status.st_size != expected_bytes) {
      throw DamagedError(path + ": is corrupted: it has " + std::to_string(status.st_size) + " bytes, not " +
                         std::to_string(expected_bytes));
    }
    size_ = static_cast<size_t>(expected_bytes);
    data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
    if (data_ == MAP_FAILED)
      throw error::InputOutputError("cannot map " + path + ": " + std::strerror(errno));
  }
  ~MappedFile() { munmap(data_, size_); }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::string_view bytes() const { return {static_cast<const char*>(data_), size_}; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace

std::vector<NamedTensor> Flatten(const std::vector<engine::NamedState>& states) {
  std::vector<NamedTensor> tensors;
  for (const auto& state : states) {
    tensors.push_back({state.name, state.shape, state.begin, state.master});
    tensors.push_back({"exp_avg/" + state.name, state.shape, state.begin, state.exp_avg});
    tensors.push_back({"exp_avg_sq/" + state.name, state.shape, state.begin, state.exp_avg_sq});
  }
  return tensors;
}

std::string TensorFileName(int rank) {
  char name[32];
  std::snprintf(name, sizeof name, "rank-%05d.safetensors", rank);
  return name;
}

FileEntry WriteTensorFile(const std::string& folder, const std::string& file,
                          const std::vector<NamedTensor>& tensors, const file::WriteOptions& options) {
  const std::string path = folder + "/" + file;
  const std::string temporary = path + ".tmp";
  base::UniqueFd fd(static_cast<int>(file::Patiently("make", temporary, options, [&] {
    return static_cast<ssize_t>(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  })));
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), XXH3_freeState);
  XXH3_64bits_reset(state.get());
  FileEntry entry;
  entry.file = file;
  const auto append = [&](std::string_view bytes) {
    file::WriteAll(fd.get(), bytes, temporary, options);
    XXH3_64bits_update(state.get(), bytes.data(), bytes.size());
    entry.size_bytes += static_cast<int64_t>(bytes.size());
  };
  append(Header(tensors));
  for (const NamedTensor& tensor : tensors) {
    const std::string_view bytes = Bytes(tensor.elements);
    entry.tensors.push_back(
        {tensor.name, tensor.shape, tensor.begin, tensor.elements.numel(), entry.size_bytes, Hash(bytes)});
    append(bytes);
  }
  entry.xxh3_64 = Hex(XXH3_64bits_digest(state.get()));
  file::Sync(fd.get(), temporary, options);
  file::Patiently("rename", temporary, options,
                  [&] { return static_cast<ssize_t>(rename(temporary.c_str(), path.c_str())); });
  return entry;
}

void ReadTensorFile(const std::string& folder, const FileEntry& entry,
                    const std::function<void(const TensorEntry&, const float*)>& take) {
  const std::string path = folder + "/" + entry.file;
  const MappedFile file(path, entry.size_bytes);
  // Every tensor first: its error says more than the whole file's.
  for (const TensorEntry& tensor : entry.tensors) {
    const auto end =
        static_cast<uint64_t>(tensor.offset_bytes) + static_cast<uint64_t>(tensor.elements) * sizeof(float);
    if (tensor.offset_bytes < 0 || tensor.offset_bytes % static_cast<int64_t>(alignof(float)) != 0 ||
        tensor.elements < 0 || end > file.bytes().size()) {
      throw DamagedError(path + ": is corrupted: " + tensor.name + " lies outside the file");
    }
    const auto bytes = file.bytes().substr(static_cast<size_t>(tensor.offset_bytes),
                                           static_cast<size_t>(tensor.elements) * sizeof(float));
    if (Hash(bytes) != tensor.xxh3_64) {
      throw DamagedError(path + ": is corrupted: the checksum of " + tensor.name + " does not match");
    }
    const auto* elements = reinterpret_cast<const float*>(bytes.data());
    if (!std::all_of(elements, elements + tensor.elements, [](float x) { return std::isfinite(x); })) {
      throw DamagedError(path + ": " + tensor.name + " has elements that are no finite numbers");
    }
  }
  if (Hash(file.bytes()) != entry.xxh3_64) {
    throw DamagedError(path + ": is corrupted: its checksum does not match");
  }
  for (const TensorEntry& tensor : entry.tensors) {
    take(tensor, reinterpret_cast<const float*>(file.bytes().data() + tensor.offset_bytes));
  }
}

}  // namespace mixln::worker::trainer::checkpoint
