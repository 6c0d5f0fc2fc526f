#include "core/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/files.h"
#include "core/json_reason.h"

namespace slotwise {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

constexpr std::uint64_t kLargestHeader = 100u << 20;

using Json = nlohmann::ordered_json;  // tensors keep the order of the file

std::string format_name(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "F32";
    case DType::bf16:
      return "BF16";
    case DType::i32:
      return "I32";
    case DType::i64:
      return "I64";
    case DType::u8:
      return "U8";
  }
  return "";
}

DType parse_dtype(const std::string& text, const std::string& name, const std::string& file) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::i32, DType::i64, DType::u8}) {
    if (format_name(dtype) == text) return dtype;
  }
  user_error("{}: tensor '{}' has element type {}, which is not one of F32, BF16, I32, I64, U8",
             file, name, text);
}

struct Entry {
  std::string name;
  DType dtype;
  Shape shape;
  std::uint64_t begin, end;
};

std::uint64_t whole_number(const Json& value, const std::string& name, const std::string& file) {
  if (!value.is_number_unsigned()) {
    user_error("{}: tensor '{}' has {} where a whole number must be (corrupted); copy it again",
               file, name, value.dump());
  }
  return value.get<std::uint64_t>();
}

Shape parse_shape(const Json& sizes, const std::string& name, const std::string& file) {
  constexpr std::uint64_t kMostElements = std::uint64_t{1} << 56;
  Shape shape;
  std::uint64_t elements = 1;
  for (const Json& value : sizes) {
    const std::uint64_t size = whole_number(value, name, file);
    if (shape.dimensions() == Shape::kMaxDimensions ||
        size > kMostElements / std::max<std::uint64_t>(elements, 1)) {
      user_error("{}: tensor '{}' has shape {}, which is past {} dimensions or any memory", file,
                 name, sizes.dump(), Shape::kMaxDimensions);
    }
    elements *= size;
    shape.append(static_cast<std::int64_t>(size));
  }
  return shape;
}

Entry parse_entry(const std::string& name, const Json& value, std::uint64_t data_bytes,
                  const std::string& file) {
  Entry entry;
  entry.name = name;
  entry.dtype = parse_dtype(value.at("dtype").get<std::string>(), name, file);
  entry.shape = parse_shape(value.at("shape"), name, file);
  entry.begin = whole_number(value.at("data_offsets").at(0), name, file);
  entry.end = whole_number(value.at("data_offsets").at(1), name, file);
  const auto expected = static_cast<std::uint64_t>(entry.shape.elements()) * size_of(entry.dtype);
  if (entry.end > data_bytes || entry.begin > entry.end || entry.end - entry.begin != expected) {
    user_error("{}: tensor '{}' points outside the file (truncated or corrupted); copy it again",
               file, name);
  }
  return entry;
}

// The format wants every byte of the data in exactly one tensor.
void check_cover(std::vector<Entry> entries, std::uint64_t data_bytes, const std::string& file) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  std::uint64_t covered = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != covered) {
      user_error(
          "{}: tensor '{}' starts at byte {} of the data, expected {} (corrupted); copy it "
          "again",
          file, entry.name, entry.begin, covered);
    }
    covered = entry.end;
  }
  if (covered != data_bytes) {
    user_error("{}: its tensors take {} bytes, the file holds {} (corrupted); copy it again", file,
               covered, data_bytes);
  }
}

class Reader {
 public:
  Reader(const std::filesystem::path& path, const char* label)
      : file_(path, std::ios::binary), text_(path.string()), label_(label) {
    if (!file_) user_error("cannot read {}: {}", text_, std::strerror(errno));
    if (std::filesystem::is_directory(path)) user_error("cannot read {}: it is a folder", text_);
    bytes_ = std::filesystem::file_size(path);
  }

  TensorFile read() {
    TensorFile out;
    const Json header = read_header();
    const std::uint64_t data_bytes = bytes_ - 8 - header_bytes_;
    std::vector<Entry> entries;
    for (const auto& [name, value] : header.items()) {
      if (name == "__metadata__") {
        out.metadata = value.get<std::map<std::string, std::string>>();
      } else {
        entries.push_back(parse_entry(name, value, data_bytes, text_));
      }
    }
    check_cover(entries, data_bytes, text_);
    for (const Entry& entry : entries) out.tensors.push_back({entry.name, read_tensor(entry)});
    return out;
  }

 private:
  [[noreturn]] void refuse(const char* why) {
    user_error("{} is not a safetensors file ({}); give a file written by Slotwise or Hugging Face",
               text_, why);
  }

  Json read_header() {
    if (bytes_ < 8) refuse("shorter than 8 bytes");
    file_.read(reinterpret_cast<char*>(&header_bytes_), 8);
    if (header_bytes_ > kLargestHeader || header_bytes_ > bytes_ - 8) {
      refuse("the header length does not fit the file");
    }
    std::string text(header_bytes_, '\0');
    file_.read(text.data(), static_cast<std::streamsize>(text.size()));
    Json header = Json::parse(text, nullptr, false);
    if (header.is_discarded() || !header.is_object()) refuse("the header is not JSON");
    return header;
  }

  Tensor read_tensor(const Entry& entry) {
    Tensor tensor = Tensor::empty(entry.shape, entry.dtype, {}, label_);
    file_.seekg(static_cast<std::streamoff>(8 + header_bytes_ + entry.begin));
    file_.read(static_cast<char*>(tensor.raw()), static_cast<std::streamsize>(tensor.bytes()));
    if (!file_) user_error("{}: tensor '{}' could not be read in full", text_, entry.name);
    return tensor;
  }

  std::ifstream file_;
  std::string text_;
  const char* label_;
  std::uint64_t bytes_ = 0;
  std::uint64_t header_bytes_ = 0;
};

}  // namespace

const Tensor* TensorFile::find(const std::string& name) const {
  for (const NamedTensor& entry : tensors) {
    if (entry.name == name) return &entry.tensor;
  }
  return nullptr;
}

const Tensor& TensorFile::require(const std::string& name) const {
  const Tensor* tensor = find(name);
  if (tensor == nullptr) user_error("{} holds no tensor '{}'", path.string(), name);
  return *tensor;
}

TensorFile read_safetensors(const std::filesystem::path& path, const char* label) {
  try {
    TensorFile file = Reader(path, label).read();
    file.path = path;
    return file;
  } catch (const nlohmann::json::exception& e) {
    user_error("{}: the safetensors header is malformed: {}", path.string(), json_reason(e));
  }
}

void write_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  Json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const NamedTensor& entry : tensors) {
    std::vector<std::int64_t> shape;
    for (int i = 0; i < entry.tensor.shape().dimensions(); ++i)
      shape.push_back(entry.tensor.size(i));
    const std::uint64_t end = offset + entry.tensor.bytes();
    header[entry.name] = {{"dtype", format_name(entry.tensor.dtype())},
                          {"shape", shape},
                          {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.is_null() ? "{}" : header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // data starts aligned
  AtomicFile file(path);
  const std::uint64_t header_bytes = text.size();
  file.write(&header_bytes, sizeof header_bytes);
  file.write(text.data(), text.size());
  for (const NamedTensor& entry : tensors) {
    const Tensor host = entry.tensor.to(Device{});
    file.write(host.raw(), host.bytes());
  }
  file.commit();
}

}  // namespace slotwise
