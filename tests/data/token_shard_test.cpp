#include "data/token_shard.h"

#include <cstddef>

#include "tests/data/temporary_folder.h"

namespace slotwise {
namespace {

using Ids = std::vector<std::int32_t>;

void write_shard(const std::filesystem::path& path, const std::vector<Ids>& sequences,
                 int vocabulary_size) {
  TokenShardWriter writer(path, vocabulary_size, "the-tokenizer");
  for (const Ids& sequence : sequences) writer.append(sequence);
  writer.finish();
}

TEST(TokenShard, RoundTripsBothWidths) {
  const TemporaryFolder folder;
  const auto path = folder / "a.tokens";
  for (const int vocabulary_size : {70, 65536, 65537, 200'000}) {
    const std::int32_t last = vocabulary_size - 1;
    const std::vector<Ids> sequences = {{1, 2, last}, {}, {last}, {0, 5, 6, 7, 8}};
    write_shard(path, sequences, vocabulary_size);
    const TokenShard shard(path);
    shard.verify();
    EXPECT_EQ(shard.vocabulary_size(), vocabulary_size);
    EXPECT_EQ(shard.tokenizer_hash(), "the-tokenizer");
    ASSERT_EQ(shard.sequences(), 4);
    EXPECT_EQ(shard.tokens(), 9);
    EXPECT_EQ(shard.longest_sequence(), 5);
    for (std::int64_t i = 0; i < 4; ++i) {
      EXPECT_EQ(shard.sequence(i), sequences[static_cast<std::size_t>(i)]);
    }
    EXPECT_EQ(shard.read(2, 4), (Ids{last, last, 0, 5}));
    EXPECT_EQ(shard.read(9, 0), Ids{});
    EXPECT_THROW(shard.read(8, 2), Error);
    EXPECT_THROW(shard.read(-1, 2), Error);
    EXPECT_THROW(shard.sequence(4), Error);
  }
}

TEST(TokenShard, HeaderIsWhereTheFormatSays) {
  const TemporaryFolder folder;
  write_shard(folder / "a", {{1, 2, 3}, {4, 5}}, 10);
  std::ifstream file(folder / "a", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  ASSERT_EQ(bytes.size(), 192u + 16u + 24u);  // 5 tokens of 2 bytes, padded; 3 offsets
  EXPECT_EQ(bytes.substr(0, 8), "SLOTWISE");
  EXPECT_EQ(bytes.substr(8, 16), std::string("\1\0\0\0\2\0\0\0\2\0\0\0\0\0\0\0", 16));
  EXPECT_EQ(bytes.substr(192, 16), std::string("\1\0\2\0\3\0\4\0\5\0\0\0\0\0\0\0", 16));
  EXPECT_EQ(bytes[208], 0);
  EXPECT_EQ(bytes[216], 3);
  EXPECT_EQ(bytes[224], 5);
}

TEST(TokenShard, MayBeEmpty) {
  const TemporaryFolder folder;
  write_shard(folder / "a", {}, 10);
  const TokenShard shard(folder / "a");
  shard.verify();
  EXPECT_EQ(shard.sequences(), 0);
  EXPECT_EQ(shard.tokens(), 0);
  EXPECT_EQ(shard.longest_sequence(), 0);
}

TEST(TokenShard, WriterRefusesForeignTokensAndLeavesNothingUnfinished) {
  const TemporaryFolder folder;
  {
    TokenShardWriter writer(folder / "a", 10, "hash");
    writer.append(Ids{9});
    EXPECT_THROW(writer.append(Ids{10}), Error);
    EXPECT_THROW(writer.append(Ids{-1}), Error);
  }
  EXPECT_EQ(folder.files(), 0);
  EXPECT_TRUE(contains(user_error_of([&] { TokenShardWriter(folder / "none/a", 10, "hash"); }),
                       "cannot write"));
}

TEST(TokenShard, EveryTruncationIsRefused) {
  const TemporaryFolder folder;
  write_shard(folder / "a", {{1, 2, 3}, {4, 5}}, 10);
  std::ifstream file(folder / "a", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto cut = folder.write("cut", bytes.substr(0, size));
    const std::string message = user_error_of([&] { TokenShard shard(cut); });
    ASSERT_TRUE(contains(message, size < 8 ? "is not a token shard" : "is truncated")) << message;
  }
  EXPECT_TRUE(contains(user_error_of([&] { TokenShard shard(folder.write("long", bytes + "x")); }),
                       "truncated or damaged"));
}

TEST(TokenShard, EveryFlippedByteIsFoundByTheChecksum) {
  const TemporaryFolder folder;
  write_shard(folder / "a", {{1, 2, 3}, {4, 5}}, 10);
  std::ifstream file(folder / "a", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x80);
    folder.write("damaged", damaged);
    EXPECT_NE(user_error_of([&] { TokenShard(folder / "damaged").verify(); }), "") << "byte " << i;
  }
}

TEST(TokenShard, DamagedPlacesAndTokensAreNeverHandedOut) {
  const TemporaryFolder folder;
  write_shard(folder / "a", {{1, 2, 3}, {4, 5}}, 10);
  std::ifstream file(folder / "a", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::string bad_token = bytes, bad_offset = bytes, version = bytes;
  bad_token[192] = 10;
  bad_offset[216] = 6;
  version[8] = 2;
  const TokenShard token_shard(folder.write("t", bad_token));
  EXPECT_TRUE(contains(user_error_of([&] { token_shard.sequence(0); }), "damaged: token 10"));
  const TokenShard offset_shard(folder.write("o", bad_offset));
  EXPECT_TRUE(contains(user_error_of([&] { offset_shard.sequence(0); }), "no valid place"));
  EXPECT_TRUE(contains(user_error_of([&] { offset_shard.sequence(1); }), "no valid place"));
  EXPECT_TRUE(
      contains(user_error_of([&] { TokenShard shard(folder.write("v", version)); }), "version 2"));
  EXPECT_TRUE(contains(user_error_of([&] { TokenShard shard(folder.path()); }), "cannot read"));
}

}  // namespace
}  // namespace slotwise
