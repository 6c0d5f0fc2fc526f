#include "data/token_shard.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

#include "core/error.h"

namespace slotwise {
namespace {

static_assert(std::endian::native == std::endian::little, "token shards are little-endian");

constexpr std::string_view kMagic = "SLOTWISE";
constexpr std::uint32_t kVersion = 1;

std::uint64_t padded(std::uint64_t bytes) {
  return (bytes + 7) / 8 * 8;
}

}  // namespace

TokenShardWriter::TokenShardWriter(const std::filesystem::path& path, int vocabulary_size,
                                   const std::string& tokenizer_hash)
    : path_(path), file_(path) {
  SLOTWISE_CHECK(vocabulary_size > 0, "[token_shard] expected a vocabulary, got size {}",
                 vocabulary_size);
  SLOTWISE_CHECK(tokenizer_hash.size() <= sizeof header_.tokenizer_hash,
                 "[token_shard] expected a tokenizer hash of at most {} bytes, got {}",
                 sizeof header_.tokenizer_hash, tokenizer_hash.size());
  std::copy(kMagic.begin(), kMagic.end(), header_.magic);
  header_.version = kVersion;
  header_.token_bytes = vocabulary_size <= 0x10000 ? 2 : 4;
  header_.vocabulary_size = static_cast<std::uint64_t>(vocabulary_size);
  std::copy(tokenizer_hash.begin(), tokenizer_hash.end(), header_.tokenizer_hash);
  file_.write(&header_, sizeof header_);
}

void TokenShardWriter::write(const void* bytes, std::size_t count) {
  hash_.add(bytes, count);
  file_.write(bytes, count);
}

void TokenShardWriter::append(std::span<const std::int32_t> sequence) {
  for (const std::int32_t token : sequence) {
    SLOTWISE_CHECK(token >= 0 && static_cast<std::uint64_t>(token) < header_.vocabulary_size,
                   "[token_shard] token {} is outside the vocabulary of {}", token,
                   header_.vocabulary_size);
  }
  if (header_.token_bytes == 2) {
    const std::vector<std::uint16_t> narrow(sequence.begin(), sequence.end());
    write(narrow.data(), narrow.size() * sizeof(std::uint16_t));
  } else {
    write(sequence.data(), sequence.size_bytes());
  }
  header_.sequences += 1;
  header_.tokens += sequence.size();
  header_.longest_sequence = std::max<std::uint64_t>(header_.longest_sequence, sequence.size());
  offsets_.push_back(header_.tokens);
}

void TokenShardWriter::finish() {
  const std::uint64_t token_bytes = header_.tokens * header_.token_bytes;
  const std::uint64_t zero = 0;
  write(&zero, padded(token_bytes) - token_bytes);
  write(offsets_.data(), offsets_.size() * sizeof(std::uint64_t));
  hash_.add(&header_, sizeof header_);
  const std::string checksum = hash_.hex();
  std::copy(checksum.begin(), checksum.end(), header_.checksum);
  file_.overwrite(0, &header_, sizeof header_);
  file_.commit();
}

TokenShard::TokenShard(const std::filesystem::path& path) : path_(path), file_(path) {
  if (file_.bytes() < kMagic.size() ||
      std::memcmp(file_.data(), kMagic.data(), kMagic.size()) != 0) {
    user_error("{} is not a token shard: expected a file that begins with {}", path.string(),
               kMagic);
  }
  if (file_.bytes() >= sizeof header_) std::memcpy(&header_, file_.data(), sizeof header_);
  if (file_.bytes() >= sizeof header_ && header_.version != kVersion) {
    user_error("{} is a token shard of version {}, this program reads version {}: prepare it again",
               path.string(), header_.version, kVersion);
  }
  // Bounds first: the sizes below must not overflow for whatever a damaged header says.
  const bool sane = file_.bytes() >= sizeof header_ &&
                    (header_.token_bytes == 2 || header_.token_bytes == 4) &&
                    header_.vocabulary_size > 0 && header_.vocabulary_size <= INT32_MAX &&
                    header_.tokens <= file_.bytes() && header_.sequences <= file_.bytes();
  const std::uint64_t token_end = sizeof header_ + padded(header_.tokens * header_.token_bytes);
  const std::uint64_t expected = token_end + (header_.sequences + 1) * sizeof(std::uint64_t);
  if (!sane || expected != file_.bytes()) {
    user_error("{} is truncated or damaged ({} bytes): prepare it again", path.string(),
               file_.bytes());
  }
  offsets_ = file_.data() + token_end;
}

std::string TokenShard::tokenizer_hash() const {
  const char* first = header_.tokenizer_hash;
  return {first, std::find(first, first + sizeof header_.tokenizer_hash, '\0')};
}

std::string TokenShard::checksum() const {
  return {header_.checksum, sizeof header_.checksum};
}

std::uint64_t TokenShard::offset(std::int64_t index) const {
  std::uint64_t value = 0;
  std::memcpy(&value, offsets_ + static_cast<std::size_t>(index) * sizeof value, sizeof value);
  return value;
}

std::vector<std::int32_t> TokenShard::sequence(std::int64_t index) const {
  SLOTWISE_CHECK(index >= 0 && index < sequences(), "[token_shard] no sequence {} among {} in {}",
                 index, sequences(), path_.string());
  const std::uint64_t begin = offset(index), end = offset(index + 1);
  if (begin > end || end > header_.tokens) {
    user_error("{} is damaged: sequence {} has no valid place; prepare it again", path_.string(),
               index);
  }
  return read(static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end - begin));
}

std::vector<std::int32_t> TokenShard::read(std::int64_t begin, std::int64_t count) const {
  SLOTWISE_CHECK(begin >= 0 && count >= 0 && count <= tokens() - begin,
                 "[token_shard] expected a range within {} tokens, got {} from {}", tokens(), count,
                 begin);
  std::vector<std::int32_t> out(static_cast<std::size_t>(count));
  const std::byte* first =
      file_.data() + sizeof header_ + static_cast<std::size_t>(begin) * header_.token_bytes;
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::uint32_t token = 0;
    std::memcpy(&token, first + i * header_.token_bytes, header_.token_bytes);
    // A flipped bit must not become an index past the embedding table.
    if (token >= header_.vocabulary_size) {
      user_error("{} is damaged: token {} where the vocabulary has {}; prepare it again",
                 path_.string(), token, header_.vocabulary_size);
    }
    out[i] = static_cast<std::int32_t>(token);
  }
  return out;
}

void TokenShard::verify() const {
  TokenShardHeader blank = header_;
  std::fill(std::begin(blank.checksum), std::end(blank.checksum), '\0');
  Sha256 hash;
  hash.add(file_.data() + sizeof header_, file_.bytes() - sizeof header_);
  hash.add(&blank, sizeof blank);
  if (hash.hex() != checksum()) {
    user_error("{} is damaged: its checksum does not match; prepare it again", path_.string());
  }
}

}  // namespace slotwise
