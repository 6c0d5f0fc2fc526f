// The file format: round trip, and every way in which a file can be wrong.
#include "core/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "core/random.h"
#include "tests/data/temporary_folder.h"
#include "tests/kernels/memory_test_support.h"

namespace slotwise::testing {
namespace {

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string with_header(const std::string& header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::string text(8, '\0');
  std::memcpy(text.data(), &length, 8);
  return text + header + std::string(data_bytes, '\0');
}

std::vector<NamedTensor> samples() {
  const Tensor wide = Tensor::empty({3, 5});
  fill_normal(wide, 1.0f, Random(1, "safetensors"));
  return {{"z.first", wide},
          {"a.second", Tensor::from<std::int32_t>({1, -2, 3}, {3})},
          {"half", Tensor::from<BFloat16>({BFloat16(1.5f), BFloat16(-2.0f)}, {2, 1})},
          {"long", Tensor::from<std::int64_t>({-(std::int64_t{1} << 40)}, {1})},
          {"bytes", Tensor::from<std::uint8_t>({7, 8, 9}, {3})},
          {"scalar", Tensor::from<float>({2.5f}, {})},
          {"none", Tensor::zeros({0, 4})}};
}

TEST(Safetensors, RoundTrip) {
  const TemporaryFolder folder;
  const auto path = folder / "model.safetensors";
  const auto written = samples();
  write_safetensors(path, written, {{"format", "pt"}, {"quote", "a \"b\"\n"}});
  const TensorFile file = read_safetensors(path);
  EXPECT_EQ(file.path, path);
  EXPECT_EQ(file.metadata.at("quote"), "a \"b\"\n");
  EXPECT_EQ(file.metadata.size(), 2u);
  ASSERT_EQ(file.tensors.size(), written.size());
  for (std::size_t i = 0; i < written.size(); ++i) {
    EXPECT_EQ(file.tensors[i].name, written[i].name);  // in the order of the file
    EXPECT_TRUE(equal_bits(file.tensors[i].tensor, written[i].tensor)) << written[i].name;
  }
  EXPECT_EQ(file.find("absent"), nullptr);
  EXPECT_TRUE(contains(user_error_of([&] { file.require("absent"); }), "absent"));
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, read_text(path).data(), 8);
  EXPECT_EQ(header_bytes % 8, 0u);
  EXPECT_EQ(folder.files(), 1);
}

TEST(Safetensors, EmptyFileRoundTrip) {
  const TemporaryFolder folder;
  write_safetensors(folder / "empty.safetensors", {});
  EXPECT_TRUE(read_safetensors(folder / "empty.safetensors").tensors.empty());
}

TEST(Safetensors, RefusesEveryTruncation) {
  const TemporaryFolder folder;
  const auto path = folder / "model.safetensors";
  auto tensors = samples();
  tensors.pop_back();
  write_safetensors(path, tensors);
  const std::string whole = read_text(path);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    folder.write("cut.safetensors", std::string_view(whole).substr(0, length));
    EXPECT_THROW(read_safetensors(folder / "cut.safetensors"), UserError) << length;
  }
}

TEST(Safetensors, AnyDamagedHeaderByteIsReadOrRefusedButNeverCrashes) {
  const TemporaryFolder folder;
  const auto path = folder / "model.safetensors";
  write_safetensors(path, samples(), {{"key", "value"}});
  const std::string whole = read_text(path);
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, whole.data(), 8);
  int refused = 0;
  for (std::size_t at = 0; at < 8 + header_bytes; ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x08);
    folder.write("damaged.safetensors", damaged);
    try {
      read_safetensors(folder / "damaged.safetensors");
    } catch (const UserError&) {
      ++refused;  // any other exception fails the test
    }
  }
  // What passes is another letter within a name.
  EXPECT_GT(refused, static_cast<int>(header_bytes) / 2);
}

TEST(Safetensors, RefusesForeignAndContradictoryFiles) {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::string& text) {
    folder.write("bad.safetensors", text);
    return user_error_of([&] { read_safetensors(folder / "bad.safetensors"); });
  };
  const auto tensor = [](const char* dtype, const char* shape, const char* offsets) {
    return fmt::format(R"("t":{{"dtype":"{}","shape":{},"data_offsets":{}}})", dtype, shape,
                       offsets);
  };
  const auto entry = [&](const char* dtype, const char* shape, const char* offsets) {
    return refusal(with_header("{" + tensor(dtype, shape, offsets) + "}", 16));
  };
  EXPECT_TRUE(contains(refusal("PK\x03\x04 this is a zip archive, not tensors"), "safetensors"));
  EXPECT_TRUE(contains(refusal(with_header("[1, 2]", 0)), "not JSON"));
  EXPECT_TRUE(contains(refusal(with_header("{\"t\":", 0)), "not JSON"));
  EXPECT_TRUE(contains(refusal(with_header("{\"t\":{}}", 0)), "malformed"));
  EXPECT_TRUE(contains(refusal(with_header("{\"__metadata__\":{\"a\":1}}", 0)), "malformed"));
  EXPECT_TRUE(contains(entry("F64", "[2]", "[0,16]"), "F64"));
  EXPECT_TRUE(contains(entry("F32", "[4]", "[0,12]"), "outside"));
  EXPECT_TRUE(contains(entry("F32", "[4]", "[4,20]"), "outside"));
  EXPECT_TRUE(contains(entry("F32", "[0]", "[16,0]"), "outside"));
  EXPECT_TRUE(contains(entry("F32", "[3]", "[4,16]"), "starts at byte 4"));
  EXPECT_TRUE(contains(entry("F32", "[3]", "[0,12]"), "12 bytes"));
  EXPECT_TRUE(contains(entry("F32", "[-4]", "[0,16]"), "-4"));
  EXPECT_TRUE(contains(entry("F32", "[4.5]", "[0,16]"), "4.5"));
  EXPECT_TRUE(contains(entry("F32", "[\"4\"]", "[0,16]"), "\"4\""));
  EXPECT_TRUE(contains(entry("F32", "[1,1,1,1,1,1,4]", "[0,16]"), "dimensions"));
  // A product of sizes that wraps around to the right number of bytes.
  EXPECT_TRUE(contains(entry("F32", "[4294967296,4294967296]", "[0,0]"), "memory"));
  const std::string first = tensor("F32", "[4]", "[0,16]");
  const std::string overlapping = R"("u":{"dtype":"F32","shape":[2],"data_offsets":[8,16]})";
  EXPECT_TRUE(contains(refusal(with_header("{" + first + "," + overlapping + "}", 16)), "'u'"));
  EXPECT_TRUE(contains(refusal(with_header("{" + first + "}", 17)), "17"));
}

TEST(Safetensors, RefusesWhatCannotBeOpened) {
  const TemporaryFolder folder;
  EXPECT_TRUE(contains(user_error_of([&] { read_safetensors(folder / "absent"); }), "absent"));
  EXPECT_TRUE(contains(user_error_of([&] { read_safetensors(folder.path()); }), "cannot read"));
  EXPECT_THROW(write_safetensors(folder / "no/such/folder", samples()), UserError);
}

}  // namespace
}  // namespace slotwise::testing
