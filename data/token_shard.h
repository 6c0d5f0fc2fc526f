// Token shards: tokenized text in one memory-mapped file, little-endian.
//   byte 0    the header, TokenShardHeader, 192 bytes
//   byte 192  tokens, 2 or 4 bytes each (u16 or u32), all sequences one after the other
//   then zero bytes up to a multiple of 8, then u64 offsets[sequences + 1]: sequence i is
//   tokens [offsets[i], offsets[i + 1])
// The offsets stand last, so that a writer streams the tokens and need not know their number
// before.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/files.h"
#include "core/sha256.h"
#include "data/mapped_file.h"

namespace slotwise {

struct TokenShardHeader {
  char magic[8];              // "SLOTWISE"
  std::uint32_t version;      // 1
  std::uint32_t token_bytes;  // 2 or 4
  std::uint64_t sequences;
  std::uint64_t tokens;
  std::uint64_t vocabulary_size;  // every token is below
  std::uint64_t longest_sequence;
  char tokenizer_hash[64];  // Tokenizer::hash(), padded with zero bytes
  char checksum[64];        // SHA-256 (hex) of all after the header, then of the header with
                            // this field zero
  char reserved[16];        // zero
};
static_assert(sizeof(TokenShardHeader) == 192);

class TokenShardWriter {
 public:
  // Tokens take 2 bytes where the vocabulary allows it.
  TokenShardWriter(const std::filesystem::path& path, int vocabulary_size,
                   const std::string& tokenizer_hash);
  void append(std::span<const std::int32_t> sequence);
  // Completes the file; without it nothing appears at the path.
  void finish();

 private:
  void write(const void* bytes, std::size_t count);

  std::filesystem::path path_;
  AtomicFile file_;
  Sha256 hash_;
  TokenShardHeader header_{};
  std::vector<std::uint64_t> offsets_{0};
};

class TokenShard {
 public:
  // Refuses files that are no shard, are cut off or come from a newer version.
  explicit TokenShard(const std::filesystem::path& path);

  std::int64_t sequences() const { return static_cast<std::int64_t>(header_.sequences); }
  std::int64_t tokens() const { return static_cast<std::int64_t>(header_.tokens); }
  std::int64_t longest_sequence() const {
    return static_cast<std::int64_t>(header_.longest_sequence);
  }
  int vocabulary_size() const { return static_cast<int>(header_.vocabulary_size); }
  std::string tokenizer_hash() const;
  std::string checksum() const;  // as the header states it
  const std::filesystem::path& path() const { return path_; }

  std::vector<std::int32_t> sequence(std::int64_t index) const;
  // Tokens [begin, begin + count) of the sequences joined into one stream.
  std::vector<std::int32_t> read(std::int64_t begin, std::int64_t count) const;

  // Compares the checksum; reads the whole file.
  void verify() const;

 private:
  std::uint64_t offset(std::int64_t index) const;

  std::filesystem::path path_;
  MappedFile file_;
  TokenShardHeader header_{};
  const std::byte* offsets_ = nullptr;
};

}  // namespace slotwise
