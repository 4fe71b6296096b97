// The least that tokenizing a text can cost: SentencePiece's EncodeAsIds on each line, the lines shared out
// among threads in blocks, all in memory, the ids dropped.
//
// usage: mixln-sentencepiece-alone MODEL TEXT THREADS
#include <sentencepiece_processor.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

int main(int argc, char** argv) {
  constexpr size_t kBlock = 256;
  if (argc != 4) {
    std::fputs("usage: mixln-sentencepiece-alone MODEL TEXT THREADS\n", stderr);
    return 64;
  }
  sentencepiece::SentencePieceProcessor processor;
  if (const auto status = processor.Load(argv[1]); !status.ok()) {
    std::fprintf(stderr, "%s: %s\n", argv[1], status.error_message());
    return 65;
  }
  std::vector<std::string> lines;
  std::ifstream text(argv[2]);
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  std::atomic<size_t> next = 0;
  std::atomic<size_t> tokens = 0;
  const auto work = [&] {
    for (size_t begin; (begin = next.fetch_add(kBlock)) < lines.size();) {
      for (size_t i = begin; i < std::min(begin + kBlock, lines.size()); ++i)
        tokens += processor.EncodeAsIds(lines[i]).size();
    }
  };
  std::vector<std::thread> threads(static_cast<size_t>(std::max(1, std::atoi(argv[3]))));
  for (auto& thread : threads) thread = std::thread(work);
  for (auto& thread : threads) thread.join();
  std::printf("%zu lines, %zu tokens\n", lines.size(), tokens.load());
}
