// Cuts one source file into documents, in order and without holding more than one of them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/corpus/byte_stream.h"
#include "worker/corpus/source.h"

namespace mixln::worker::corpus {

// How a plain text file is cut (v1.DocumentSplit).
enum class Split { kFile, kLine, kParagraph };

// A document as it was cut out: still JSON in a JSONL file, and of any bytes.
struct RawDocument {
  std::string bytes;
  // Its first line in the file, from 1.
  uint64_t line = 0;
};

class DocumentReader {
 public:
  static absl::StatusOr<DocumentReader> Open(const std::string& path, Layout layout, Split split);

  // The next document, or false at the end. A JSONL file has one a line whatever the split; lines end in LF
  // or CRLF and blank ones separate paragraphs; a byte order mark is dropped. What is only white space is no
  // document. FAILED_PRECONDITION, naming the file, when it is damaged or a document is larger than 1 GiB.
  absl::StatusOr<bool> Next(RawDocument& document);

  uint64_t bytes_consumed() const { return stream_.bytes_consumed(); }

 private:
  DocumentReader(std::string path, ByteStream stream, Split split)
      : path_(std::move(path)), stream_(std::move(stream)), split_(split) {}
  // Appends the next line, without its end, to `out`; false at the end.
  absl::StatusOr<bool> AppendLine(std::string& out);

  std::string path_;
  ByteStream stream_;
  Split split_;
  std::string buffer_;
  size_t at_ = 0;
  uint64_t line_ = 0;
};

// A document's text, well-formed: the bytes themselves, or the field "text" of a JSONL line. Adds the
// ill-formed sequences (and lone surrogates of JSON) that became U+FFFD to `replaced`. FAILED_PRECONDITION,
// naming file and line, when the line is no JSON object with a string "text".
absl::StatusOr<std::string> TextOf(RawDocument document, Layout layout, const std::string& path,
                                   uint64_t& replaced);

}  // namespace mixln::worker::corpus
